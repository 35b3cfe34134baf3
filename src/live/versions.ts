import { USER_NAMESPACES_SINCE } from '../core/kubernetes.ts';

/** A version that its program reports of itself. */
export interface ProgramVersion {
  readonly major: number;
  readonly minor: number;
  /** 0 where the text has none. */
  readonly patch: number;
}

/** A container runtime, as `containerRuntimeVersion` of a node names it. */
export interface RuntimeVersion {
  /** `containerd`, `cri-o`. */
  readonly name: string;
  /** undefined: the version cannot be read. */
  readonly version: ProgramVersion | undefined;
}

/** Behind the numbers, vendors write `-eks-1234567`, `-gke.100`, `+k3s1`, `+rke2r2`, `-rc.1`, `+bottlerocket`, `~ds1`. */
const VERSION = /^v?(?<major>\d{1,4})\.(?<minor>\d{1,4})(?:\.(?<patch>\d{1,6}))?(?:[-+~].*)?$/;

/** The numbers of a version, without what a vendor appends. @returns undefined: the text is no version, so nothing may be concluded from it */
export function versionOf(text: string | undefined): ProgramVersion | undefined {
  const { major, minor, patch = '0' } = VERSION.exec(text ?? '')?.groups ?? {};
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** @param text `containerd://2.0.5-k3s1` */
export function runtimeVersionOf(text: string | undefined): RuntimeVersion | undefined {
  const { name, version } = /^(?<name>[a-z][a-z0-9-]*):\/\/(?<version>.*)$/.exec(text ?? '')?.groups ?? {};
  return name === undefined ? undefined : { name, version: versionOf(version) };
}

/** Whether a version is before another one, by its numbers. */
export function isBefore(version: ProgramVersion, major: number, minor: number, patch = 0): boolean {
  if (version.major !== major) return version.major < major;
  return version.minor === minor ? version.patch < patch : version.minor < minor;
}

/** The release of a kernel: behind its numbers, distributions write whatever they like, such as `.1-microsoft-standard-WSL2` or `-427.el9.x86_64`. */
const KERNEL = /^(?<major>\d{1,4})\.(?<minor>\d{1,4})(?:\.(?<patch>\d{1,6}))?(?!\d)/;

/** @param text `5.14.0-427.13.1.el9_4.x86_64` @returns undefined: the text is no release, so nothing may be concluded from it */
export function kernelVersionOf(text: string | undefined): ProgramVersion | undefined {
  const { major, minor, patch = '0' } = KERNEL.exec(text ?? '')?.groups ?? {};
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/** From this minor version of Kubernetes 1 on, a kubelet knows `hostUsers` of any pod. Source: KEP-127. */
const HOST_USERS_SINCE = 30;

/** How far a kubelet is: before it knew `hostUsers`, while user namespaces were off by default, and since. */
export type KubeletSupport = 'before' | 'gated' | 'since';

/** @returns undefined: its version cannot be read */
export function kubeletSupportOf(kubelet: string | undefined): KubeletSupport | undefined {
  const version = versionOf(kubelet);
  if (version === undefined) return undefined;
  if (isBefore(version, 1, HOST_USERS_SINCE)) return 'before';
  return isBefore(version, 1, USER_NAMESPACES_SINCE) ? 'gated' : 'since';
}
