import { makeClassScheduling, NO_SCHEDULING, type WrittenScheduling } from '../class-scheduling.ts';
import { CONTROL_PLANE_LABELS, SECRET_CSI_DRIVERS, SYSTEM_NODE_LABELS, SYSTEM_TAINTS } from '../known-names.ts';
import { USER_NAMESPACES_SINCE } from '../kubernetes.ts';
import type { NamePattern } from '../name-pattern.ts';
import {
  BASELINE_CAPABILITIES,
  GRANTS,
  type Grant,
  type ProfileRequirements,
  type Wall,
  type WorkspaceRequirements,
} from '../requirements.ts';

/** What an operator may set for a profile. Each backend lists the options that it has. */
export interface ProfileOptions {
  readonly grant?: Grant | undefined;
  /** How `containers` is made possible under user namespaces. */
  readonly nesting?: 'seccomp' | 'sysadmin' | undefined;
  /** The Localhost profile that `nesting: seccomp` needs on the nodes, relative to the kubelet's seccomp folder. */
  readonly seccompProfile?: string | undefined;
  /** `Unconfined`, or the name of a profile loaded on the nodes. */
  readonly appArmorProfile?: string | undefined;
  readonly seLinuxType?: string | undefined;
  readonly grantTo?: readonly NamePattern[] | undefined;
  /** Mount paths for nested image storage. */
  readonly storage?: readonly string[] | undefined;
  /** The medium of the volumes at these paths. */
  readonly storageMedium?: 'memory' | 'disk' | undefined;
  /** The size limit of each of these volumes, as a quantity of bytes. */
  readonly storageSize?: string | undefined;
  /** Profiles that a pod's label may choose instead. */
  readonly mayChoose?: readonly string[] | undefined;
  readonly devices?: readonly string[] | undefined;
  readonly csiDrivers?: readonly string[] | undefined;
  /** Taints that pods may not tolerate, in addition to the known ones: each is `key` or `key=value`. */
  readonly deniedTolerations?: readonly string[] | undefined;
  readonly deniedNodeLabels?: readonly string[] | undefined;
  readonly runtimeClassName?: string | undefined;
  /** Further classes that a pod may name. */
  readonly runtimeClasses?: readonly string[] | undefined;
  /** The field `scheduling` of these RuntimeClasses. */
  readonly runtimeClassScheduling?: WrittenScheduling | undefined;
  /** Ids in a pod's user namespace, as the kubelets' `userNamespaces.idsPerPod` says. */
  readonly idsPerPod?: number | undefined;
  /** How a Sysbox pod gets its user namespace: `hostUsers`, or the annotation of CRI-O nodes that predate it. */
  readonly identity?: 'host-users' | 'crio-annotation' | undefined;
  /** Whether the operator confirms that the Kata handler passes no device of the node to privileged containers. */
  readonly guestPrivileged?: boolean | undefined;
  readonly serviceAccountToken?: 'keep' | 'remove' | undefined;
  /** Which pods required anti-affinity may select. */
  readonly antiAffinity?: 'own-namespace' | 'all-namespaces' | undefined;
  readonly maxTerminationGracePeriodSeconds?: number | undefined;
}

/** The versions of Kubernetes whose API server and kubelets support `hostUsers`. */
export const KUBERNETES_WITH_USER_NAMESPACES = `Kubernetes 1.${USER_NAMESPACES_SINCE} or later, or 1.30 to 1.${
  USER_NAMESPACES_SINCE - 1
} with the feature gate UserNamespacesSupport on API server and kubelets`;

/** Options that every backend has. */
export const COMMON_OPTIONS = [
  'grant',
  'appArmorProfile',
  'seLinuxType',
  'grantTo',
  'storage',
  'mayChoose',
  'devices',
  'csiDrivers',
  'deniedTolerations',
  'deniedNodeLabels',
  'runtimeClassName',
  'runtimeClasses',
  'runtimeClassScheduling',
  'serviceAccountToken',
  'antiAffinity',
  'maxTerminationGracePeriodSeconds',
] as const satisfies readonly (keyof ProfileOptions)[];

/** An hour: enough to store the state of a workspace, and a drain can wait for it. */
const DEFAULT_GRACE_PERIOD_SECONDS = 3_600;

/** A kind of wall. */
export interface Backend {
  readonly id: string;
  /** What stands between the workspace and the node, in one sentence. */
  readonly summary: string;
  /** What nodes and API server must provide. */
  readonly requires: readonly string[];
  /** Its options beyond the common ones. */
  readonly options: readonly (keyof ProfileOptions)[];
  makeWall(options: ProfileOptions): Wall;
  makeWorkspaceRequirements(grant: Grant, options: ProfileOptions): Partial<WorkspaceRequirements>;
  /** Further requirements of the whole pod. */
  makePodRequirements(
    options: ProfileOptions,
  ): Partial<Pick<ProfileRequirements, 'idsPerPod' | 'allowsBlockDevices' | 'allowsHugePages' | 'isSysbox' | 'runsRootfulEngines'>>;
}

/** A configured backend. Its requirements are built once at start, one for each grant. */
export interface Profile {
  readonly id: string;
  readonly backend: Backend;
  /** The largest grant of this profile. */
  readonly grant: Grant;
  readonly mayChoose: readonly string[];
  requirementsFor(grant: Grant): ProfileRequirements;
  /** For a pod that is not isolated: nothing beyond Pod Security baseline. */
  readonly withoutIsolation: ProfileRequirements;
}

/** `sudo` needs nothing on the nodes. */
export const DEFAULT_GRANT: Grant = 'sudo';

export function makeProfile(id: string, backend: Backend, options: ProfileOptions): Profile {
  const requirements = new Map(GRANTS.map((grant) => [grant, makeRequirements(id, backend, options, grant)]));
  const none = requirementsFor('none');
  return {
    id,
    backend,
    grant: options.grant ?? DEFAULT_GRANT,
    mayChoose: options.mayChoose ?? [],
    requirementsFor,
    withoutIsolation: { ...none, classScheduling: NO_SCHEDULING, workspace: { ...none.workspace, ...defaultWorkspaceOf('none') } },
  };

  function requirementsFor(grant: Grant): ProfileRequirements {
    return requirements.get(grant) as ProfileRequirements;
  }
}

function makeRequirements(profile: string, backend: Backend, options: ProfileOptions, grant: Grant): ProfileRequirements {
  return {
    profile,
    grant,
    wall: backend.makeWall(options),
    ...(options.grantTo === undefined ? {} : { grantTo: options.grantTo }),
    workspace: { ...defaultWorkspaceOf(grant), ...nodeSettingsOf(grant, options), ...backend.makeWorkspaceRequirements(grant, options) },
    allowsBlockDevices: false,
    allowsHugePages: true,
    isSysbox: false,
    runsRootfulEngines: false,
    ...backend.makePodRequirements(options),
    allowedDevices: new Set(options.devices),
    allowsWideAntiAffinity: options.antiAffinity === 'all-namespaces',
    maxTerminationGracePeriodSeconds: options.maxTerminationGracePeriodSeconds ?? DEFAULT_GRACE_PERIOD_SECONDS,
    csiDrivers: new Set(options.csiDrivers ?? SECRET_CSI_DRIVERS),
    deniedTolerations: new Set([...CONTROL_PLANE_LABELS, ...SYSTEM_TAINTS, ...(options.deniedTolerations ?? [])]),
    deniedNodeLabels: new Set([...CONTROL_PLANE_LABELS, ...SYSTEM_NODE_LABELS, ...(options.deniedNodeLabels ?? [])]),
    classScheduling: makeClassScheduling(options.runtimeClassScheduling ?? {}),
    removesToken: options.serviceAccountToken === 'remove',
  };
}

/** What a grant means before a backend adds to it. */
function defaultWorkspaceOf(grant: Grant): WorkspaceRequirements {
  return {
    allowPrivilegeEscalation: grant !== 'none',
    makesPrivileged: false,
    allowedCapabilities: new Set(BASELINE_CAPABILITIES),
    addedCapabilities: undefined,
    mustDropAll: false,
    unmasksProc: false,
    seccompProfile: undefined,
    appArmorProfile: undefined,
    seLinuxType: undefined,
    storage: [],
    storageMedium: undefined,
    storageSize: undefined,
    guestMemoryBytes: undefined,
    sysboxMode: 'FALSE',
  };
}

/** Settings of the nodes that nested containers need and only the operator knows. */
function nodeSettingsOf(grant: Grant, { appArmorProfile, seLinuxType }: ProfileOptions): Partial<WorkspaceRequirements> {
  if (grant !== 'containers') return {};
  const isLocal = appArmorProfile !== undefined && appArmorProfile !== 'Unconfined';
  return {
    seLinuxType,
    appArmorProfile: isLocal ? { type: 'Localhost', localhostProfile: appArmorProfile } : appArmorProfile && { type: appArmorProfile },
  } as Partial<WorkspaceRequirements>;
}

export function wallOf({ runtimeClassName, runtimeClasses }: ProfileOptions, wall: Partial<Wall>): Wall {
  return {
    hostUsers: undefined,
    annotations: [],
    ...wall,
    runtimeClassName: runtimeClassName ?? wall.runtimeClassName,
    runtimeClasses: new Set(runtimeClasses),
  };
}
