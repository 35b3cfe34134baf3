import type { ClassScheduling } from './class-scheduling.ts';
import type { NamePattern } from './name-pattern.ts';
import type { AppArmorProfile, SeccompProfile } from './pod.ts';

/** What a profile allows a workspace because the pod is isolated, from least to most. */
export const GRANTS = ['none', 'sudo', 'containers'] as const;
export type Grant = (typeof GRANTS)[number];

export const isGrant = (value: string): value is Grant => (GRANTS as readonly string[]).includes(value);
export const exceeds = (asked: Grant, most: Grant): boolean => GRANTS.indexOf(asked) > GRANTS.indexOf(most);

/**
 * Requirements of a profile at a grant, as data. Built once at start, read by all rules: a rule is written once for all profiles, and a
 * profile is a table.
 */
export interface ProfileRequirements {
  readonly profile: string;
  readonly grant: Grant;
  readonly wall: Wall;
  /** Name patterns of the workspace containers; absent: every regular container and native sidecar that does not restrict itself. */
  readonly grantTo?: readonly NamePattern[];
  /** Requirements of workspace containers, under `none` of all containers. All others are limited to Pod Security baseline. */
  readonly workspace: WorkspaceRequirements;
  /** The number of ids in the pod's user namespace; absent: any id exists. */
  readonly idsPerPod?: number;
  /** Whether raw block volumes may be attached. */
  readonly allowsBlockDevices: boolean;
  /** Whether emptyDirs may have the medium HugePages. */
  readonly allowsHugePages: boolean;
  /** Extended resources that a container may ask for. */
  readonly allowedDevices: ReadonlySet<string>;
  /** CSI drivers whose inline volumes a pod may have. */
  readonly csiDrivers: ReadonlySet<string>;
  /** Taints that a pod may not tolerate, and labels of nodes that it may not ask for: each a `key` or a `key=value`. */
  readonly deniedTolerations: ReadonlySet<string>;
  readonly deniedNodeLabels: ReadonlySet<string>;
  /** What the profile's runtime classes add to a pod. The pod may have this even if it is denied otherwise. */
  readonly classScheduling: ClassScheduling;
  /** Whether `SYSBOX_SYSCONT_MODE` decides what capabilities mean, as it does under Sysbox alone. */
  readonly isSysbox: boolean;
  /** Whether an engine that runs as root of the pod works in a container with the grant `containers`. */
  readonly runsRootfulEngines: boolean;
  /** Whether required anti-affinity may select pods of other namespaces. */
  readonly allowsWideAntiAffinity: boolean;
  readonly maxTerminationGracePeriodSeconds: number;
  /** Whether the pod must have no service account token. */
  readonly removesToken: boolean;
}

/** The field values that make a profile's isolation real. */
export interface Wall {
  /** `false`, or undefined where the runtime has its own kernel and rejects user namespaces. */
  readonly hostUsers: false | undefined;
  /** The class to set; undefined: none is needed, and a foreign one is removed. */
  readonly runtimeClassName: string | undefined;
  /** Further classes with the same isolation. */
  readonly runtimeClasses: ReadonlySet<string>;
  /** Annotations that replace `hostUsers` on older nodes. */
  readonly annotations: readonly (readonly [key: string, value: string])[];
}

export interface WorkspaceRequirements {
  readonly allowPrivilegeEscalation: boolean;
  /** Whether the container is given `privileged: true`; only in a guest whose handler does not pass the node's devices. */
  readonly makesPrivileged: boolean;
  /** Capabilities that `add` may contain. */
  readonly allowedCapabilities: ReadonlySet<string>;
  /** Capabilities that are added, together with `drop: [ALL]`; undefined: capabilities stay as they are. */
  readonly addedCapabilities: readonly string[] | undefined;
  /** Whether a missing `drop: [ALL]` is an escape: where processes could otherwise gain what `none` denies. */
  readonly mustDropAll: boolean;
  readonly unmasksProc: boolean;
  /** The profile to set instead of RuntimeDefault; undefined: RuntimeDefault. */
  readonly seccompProfile: SeccompProfile | undefined;
  readonly appArmorProfile: AppArmorProfile | undefined;
  readonly seLinuxType: string | undefined;
  /** Where nested images live: an emptyDir for each path. */
  readonly storage: readonly string[];
  readonly storageMedium: 'Memory' | undefined;
  /** The `sizeLimit` of each volume. undefined: for memory, a share of the container's memory limit; for disk, no limit. */
  readonly storageSize: string | undefined;
  /** Memory of a guest whose container has no memory limit, in bytes; undefined: the profile has no guest. */
  readonly guestMemoryBytes: number | undefined;
  /** The value of SYSBOX_SYSCONT_MODE; containers outside the grant have FALSE. */
  readonly sysboxMode: 'TRUE' | 'FALSE';
}

/**
 * The capabilities that Pod Security `baseline` lets any container add, byte for byte.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
export const BASELINE_CAPABILITIES = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
] as const;
