import type { NamePattern } from './name-pattern.ts';
import type { AppArmorProfile, SeccompProfile } from './pod.ts';

/** What a profile gives a workspace because its wall is up, from least to most. */
export const GRANTS = ['none', 'sudo', 'containers'] as const;
export type Grant = (typeof GRANTS)[number];

export const isGrant = (value: string): value is Grant => (GRANTS as readonly string[]).includes(value);
export const exceeds = (asked: Grant, most: Grant): boolean => GRANTS.indexOf(asked) > GRANTS.indexOf(most);

/**
 * What a profile with a grant asks of a pod, as data. Profiles make terms, once, at start; rules read them. So a rule is written once for
 * all profiles, and a profile is a table.
 */
export interface Terms {
  readonly profile: string;
  readonly grant: Grant;
  readonly wall: Wall;
  /** Name patterns of the workspace containers; absent: every regular container that does not restrict itself. */
  readonly grantTo?: readonly NamePattern[];
  /** What workspace containers get and may hold. Everything else is held to Pod Security baseline. */
  readonly workspace: WorkspaceTerms;
  /** Ids from here on do not exist in the pod's user namespace; absent: any id does. */
  readonly idsPerPod?: number;
  /** Whether raw block volumes may be attached. */
  readonly blockDevices: boolean;
  /** Whether emptyDirs may be made of huge pages. */
  readonly hugePages: boolean;
  /** Extended resources that a container may ask for. */
  readonly devices: ReadonlySet<string>;
  /** Whether `SYSBOX_SYSCONT_MODE` decides what capabilities mean, as it does under Sysbox alone. */
  readonly sysbox: boolean;
  /** Whether the pod goes without a service account token. */
  readonly withoutToken: boolean;
}

/** The field values that make a profile's isolation real. */
export interface Wall {
  /** `false`, or absent where the runtime brings its own kernel and refuses user namespaces. */
  readonly hostUsers: false | undefined;
  /** The class to set; undefined: none is needed, and a foreign one is taken away. */
  readonly runtimeClassName: string | undefined;
  /** Further classes that are as good. */
  readonly runtimeClasses: ReadonlySet<string>;
  /** Annotations by which older nodes learn what `hostUsers` says on newer ones. */
  readonly annotations: readonly (readonly [key: string, value: string])[];
}

export interface WorkspaceTerms {
  readonly allowPrivilegeEscalation: boolean;
  /** Whether the container is given `privileged: true`; only ever in a guest whose handler keeps the node's devices out. */
  readonly privileged: boolean;
  /** Capabilities that `add` may hold. */
  readonly mayHold: ReadonlySet<string>;
  /** `drop: [ALL]` with exactly these written out; undefined: capabilities stay as they are. */
  readonly capabilities: readonly string[] | undefined;
  /** Whether a missing `drop: [ALL]` is an escape: where processes could otherwise gain what `none` denies. */
  readonly mustDropAll: boolean;
  readonly procMountUnmasked: boolean;
  /** Better than RuntimeDefault; undefined: RuntimeDefault. */
  readonly seccompProfile: SeccompProfile | undefined;
  readonly appArmorProfile: AppArmorProfile | undefined;
  readonly seLinuxType: string | undefined;
  /** Where nested images live: an emptyDir for each path. */
  readonly storage: readonly string[];
  readonly storageMedium: 'Memory' | undefined;
  /** The `sizeLimit` of each; undefined: of memory a share of the container's own, of disk none. */
  readonly storageSize: string | undefined;
  /** What a container without a memory limit has, in bytes, where it has a guest of its own; undefined: there is no guest. */
  readonly guestMemoryBytes: number | undefined;
  /** The value of SYSBOX_SYSCONT_MODE; containers outside the grant have FALSE. */
  readonly sysboxMode: 'TRUE' | 'FALSE';
}

/**
 * What Pod Security `baseline` lets any container add, byte for byte.
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
