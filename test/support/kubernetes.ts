import { SUPPORTED_VERSIONS } from '../../src/core/kubernetes.ts';
import { OTHER_KUBERNETES, pinnedKubernetes } from '../../tools/programs/kubernetes.ts';

/**
 * The API server of a project of tests. An API server emulates earlier versions: it then has their feature gates, API groups and Pod Security,
 * and its own code for everything else.
 */
export interface KubernetesVariant {
  /** The program, as `1.36.3`; undefined: the pinned one. */
  readonly version?: string;
  /** The version that it emulates, as `1.33`; undefined: its own. */
  readonly emulated?: string;
  /** As for `--feature-gates`. */
  readonly featureGates?: string;
}

/** In the environment of a project: `1.33` to emulate, or `1.33.13` for a program of its own. */
export const VARIANT = 'CLOISTER_TEST_KUBERNETES';

const minorOf = (version: string): number => Number(version.split('.')[1]);

/** The versions that the pinned API server can emulate for the tests: the supported ones before its own. */
export const EMULATED: readonly string[] = SUPPORTED_VERSIONS.filter((version) => minorOf(version) < minorOf(pinnedKubernetes()));

/** Whether MutatingAdmissionPolicy is in v1. @param version as `1.33` or `1.33.13` */
export const hasMutatingPolicies = (version: string): boolean => minorOf(version) >= 36;

/**
 * Whether the API server survives the creation of a policy while others are evaluated. Emulation does not bring the bug back.
 * Source: https://github.com/kubernetes/kubernetes/issues/135757
 */
export const survivesNewPolicies = (version: string): boolean => EMULATED.includes(version) || minorOf(version) >= 36;

/** The names of the projects with an API server other than the pinned one. */
export const projectOf = (variant: string): string => `kubernetes-${variant}`;
export const variantIn = (project: string): string | undefined => /^kubernetes-(.+)$/.exec(project)?.[1];

/** @throws when the text is no version */
export function readVariant(text: string | undefined): KubernetesVariant {
  if (text === undefined || text === '') return {};
  if (/^1\.\d+$/.test(text)) return { emulated: text };
  if (OTHER_KUBERNETES.has(text)) return { version: text };
  throw new Error(
    `${VARIANT} is ${text}: it must be a version to emulate, such as 1.33, or one of ${[...OTHER_KUBERNETES.keys()].join(', ')}`,
  );
}

const PINNED = pinnedKubernetes();

/** The API server that the test in this process asks. */
export const tested = ((): {
  readonly version: string;
  readonly minor: number;
  readonly programMinor: number;
  readonly isPinned: boolean;
} => {
  const { version = PINNED, emulated } = readVariant(process.env[VARIANT]);
  return {
    version,
    minor: minorOf(emulated ?? version),
    programMinor: minorOf(version),
    isPinned: version === PINNED && emulated === undefined,
  };
})();

/** Versions of kubelets beside that API server. The version skew policy of Kubernetes lets them be three minor versions older. */
export const kubelets = {
  equal: tested.minor === tested.programMinor ? `v${tested.version}` : `v1.${tested.minor}.0`,
  /** The oldest that Cloister supports, too. */
  oldest: `v1.${Math.max(minorOf(SUPPORTED_VERSIONS[0] ?? ''), tested.minor - 3)}.4`,
  tooOld: `v1.${tested.minor - 4}.9`,
} as const;

/** In what the supported versions of Kubernetes differ, as far as a test can see it. `programMinor` is for code that no feature gate guards. */
export const differences = {
  /** Pod Security `baseline` accepts an unmasked /proc in a pod with a user namespace. */
  acceptsUnmaskedProc: tested.minor >= 35,
  /** Pod Security `baseline` rejects the host of a probe. */
  rejectsProbeHosts: tested.minor >= 34,
  /** The gate DynamicResourceAllocation is on: a pod keeps its claims. */
  keepsResourceClaims: tested.minor >= 34,
  hasMutatingPolicies: hasMutatingPolicies(`1.${tested.minor}`),
  /** The gate PodLevelResources is on: a pod keeps the resources of its spec. */
  keepsPodResources: tested.minor >= 34,
  /** Projected volumes have `podCertificate`: an earlier API server drops it before it calls anything. */
  knowsPodCertificates: tested.programMinor >= 34,
  /** The gates PodCertificateRequest and ClusterTrustBundleProjection are on: a projected volume keeps such sources. */
  keepsCertificateSources: tested.minor >= 37,
  /** The API server writes the AppArmor annotation beside the field: `authoredAnnotations` leaves it out. */
  writesAppArmorAnnotation: tested.programMinor < 34,
  /** The OpenAPI document is that of the pinned version: emulation does not change it. */
  hasPinnedFields: tested.version === PINNED,
} as const;

type Annotations = Readonly<Record<string, string>>;

/** The annotations of a stored pod without those that the API server writes beside a field; undefined: there are no others. */
export function authoredAnnotations(annotations: Annotations = {}): Annotations | undefined {
  const isOfField = (key: string): boolean => differences.writesAppArmorAnnotation && key.startsWith('container.apparmor.security.beta.');
  const others = Object.entries(annotations).filter(([key]) => !isOfField(key));
  return others.length === 0 ? undefined : Object.fromEntries(others);
}
