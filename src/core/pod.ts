import { anything, boolean, list, map, number, object, type Shape, string, type Typed } from './shape.ts';

/**
 * Exactly the fields of a pod that rules read. If a document has this shape, rules may use its fields without checking their types.
 * Field names and meanings: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
const seccompProfile = object({ type: string, localhostProfile: string });
const appArmorProfile = object({ type: string, localhostProfile: string });
const seLinuxOptions = object({ user: string, role: string, type: string, level: string });
const windowsOptions = object({ hostProcess: boolean });

const securityContext = object({
  allowPrivilegeEscalation: boolean,
  appArmorProfile,
  capabilities: object({ add: list(string), drop: list(string) }),
  privileged: boolean,
  procMount: string,
  runAsGroup: number,
  runAsUser: number,
  seLinuxOptions,
  seccompProfile,
  windowsOptions,
});

const podSecurityContext = object({
  appArmorProfile,
  fsGroup: number,
  runAsGroup: number,
  runAsUser: number,
  seLinuxOptions,
  seccompProfile,
  supplementalGroups: list(number),
  sysctls: list(object({ name: string, value: string })),
  windowsOptions,
});

const handler = object({ httpGet: object({ host: string }), tcpSocket: object({ host: string }) });
const probe = object({ httpGet: object({ host: string }), tcpSocket: object({ host: string }), terminationGracePeriodSeconds: number });
const resources = object({ limits: map(anything), requests: map(anything) });

const container = object({
  name: string,
  args: list(string),
  command: list(string),
  image: string,
  env: list(object({ name: string, value: string, valueFrom: anything })),
  envFrom: list(object({ prefix: string })),
  lifecycle: object({ postStart: handler, preStop: handler }),
  livenessProbe: probe,
  ports: list(object({ hostIP: string, hostPort: number, containerPort: number, protocol: string, name: string })),
  readinessProbe: probe,
  resources,
  restartPolicy: string,
  securityContext,
  startupProbe: probe,
  volumeDevices: list(object({ name: string, devicePath: string })),
  volumeMounts: list(object({ name: string, mountPath: string, mountPropagation: string, readOnly: boolean })),
});

/** A volume's source is the one key beside its name. Rules judge the key itself, so that unknown kinds of volume are not let through. */
const volume = object({
  name: string,
  csi: object({ driver: string, readOnly: boolean }),
  emptyDir: object({ medium: string }),
  hostPath: object({ path: string }),
  persistentVolumeClaim: object({ claimName: string, readOnly: boolean }),
  projected: object({ sources: list(object({ podCertificate: anything, serviceAccountToken: anything })) }),
});

const nodeSelectorRequirement = object({ key: string, operator: string, values: list(string) });
const nodeSelectorTerm = object({ matchExpressions: list(nodeSelectorRequirement), matchFields: list(nodeSelectorRequirement) });
export const toleration = object({ key: string, operator: string, value: string, effect: string, tolerationSeconds: number });

const nodeAffinity = object({
  requiredDuringSchedulingIgnoredDuringExecution: object({ nodeSelectorTerms: list(nodeSelectorTerm) }),
  preferredDuringSchedulingIgnoredDuringExecution: list(object({ preference: nodeSelectorTerm })),
});

const podAntiAffinity = object({
  requiredDuringSchedulingIgnoredDuringExecution: list(object({ namespaces: list(string), namespaceSelector: anything })),
});

const podSpec = object({
  affinity: object({ nodeAffinity, podAntiAffinity }),
  automountServiceAccountToken: boolean,
  containers: list(container),
  dnsPolicy: string,
  ephemeralContainers: list(container),
  evictionResponders: list(object({ name: string })),
  hostIPC: boolean,
  hostNetwork: boolean,
  hostPID: boolean,
  hostUsers: boolean,
  initContainers: list(container),
  nodeName: string,
  nodeSelector: map(string),
  os: object({ name: string }),
  overhead: map(anything),
  priority: number,
  priorityClassName: string,
  resourceClaims: list(object({ name: string, resourceClaimName: string, resourceClaimTemplateName: string })),
  resources,
  runtimeClassName: string,
  schedulingGates: list(object({ name: string })),
  securityContext: podSecurityContext,
  serviceAccount: string,
  serviceAccountName: string,
  terminationGracePeriodSeconds: number,
  tolerations: list(toleration),
  volumes: list(volume),
});

const metadata = object({
  name: string,
  generateName: string,
  namespace: string,
  labels: map(string),
  annotations: map(string),
  ownerReferences: list(object({ apiVersion: string, kind: string, name: string })),
});

const podShape = object({ metadata, spec: podSpec });

/** These are interfaces because the compiler prints only the name of an interface in an error, but the whole text of a type alias. */
export interface SeccompProfile extends Typed<typeof seccompProfile> {}
export interface AppArmorProfile extends Typed<typeof appArmorProfile> {}
export interface SeLinuxOptions extends Typed<typeof seLinuxOptions> {}
export interface WindowsOptions extends Typed<typeof windowsOptions> {}
export interface SecurityContext extends Typed<typeof securityContext> {}
export interface PodSecurityContext extends Typed<typeof podSecurityContext> {}
export interface Handler extends Typed<typeof handler> {}
export interface Resources extends Typed<typeof resources> {}
export interface ContainerSpec extends Typed<typeof container> {}
export interface Volume extends Typed<typeof volume> {}
export interface PodSpec extends Typed<typeof podSpec> {}
export interface Metadata extends Typed<typeof metadata> {}
export interface NodeSelectorTerm extends Typed<typeof nodeSelectorTerm> {}
export interface Toleration extends Typed<typeof toleration> {}

/** A pod, or a pod template. Any field may be absent: the API server checks which are required. */
export interface Pod {
  readonly metadata?: Metadata | null;
  readonly spec?: PodSpec | null;
}

/** Checks that a document is a pod or a pod template; returns the first mismatch. */
export const podIs: Shape<Pod> = podShape;

export const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers'] as const;
export type ContainerList = (typeof CONTAINER_LISTS)[number];

/** One container in its place. */
export interface Container {
  readonly list: ContainerList;
  readonly index: number;
  readonly name: string;
  readonly spec: ContainerSpec;
  /** Whether the grant is this container's; see `containers.ts`. */
  readonly hasGrant: boolean;
  /** The pod-level settings that apply to the container and cannot be repaired on the pod any more: present where it joins a running pod. */
  readonly inherited: PodSecurityContext | undefined;
}

/** Security settings that a container has, or inherits from its pod. */
export type SharedField = keyof SecurityContext & keyof PodSecurityContext;

/**
 * The container's own setting or, for a container that joins a running pod, what it inherits from the pod. For other containers a rule judges the
 * pod's setting once, on the pod.
 */
export function effectiveOf<Field extends SharedField>(
  { spec, inherited }: Container,
  field: Field,
): SecurityContext[Field] | PodSecurityContext[Field] | undefined {
  return spec.securityContext?.[field] ?? inherited?.[field];
}

/** Ephemeral containers are added while the pod runs. Nothing but the new container can be repaired then. */
export const joinsRunningPod = ({ list }: Pick<Container, 'list'>): boolean => list === 'ephemeralContainers';

/** Regular containers, and native sidecars: init containers that restart until the pod ends. Since Kubernetes 1.29, container engines also run as native sidecars. */
export const lastsAsLongAsPod = ({ list, spec }: Pick<Container, 'list' | 'spec'>): boolean =>
  list === 'containers' || (list === 'initContainers' && spec.restartPolicy === 'Always');

const NONE: readonly never[] = [];
const EMPTY_SPEC: PodSpec = {};

export const specOf = (pod: Pod): PodSpec => pod.spec ?? EMPTY_SPEC;

export function labelOf(pod: Pod, key: string): string | undefined {
  return entryOf(pod.metadata?.labels, key);
}

export function annotationOf(pod: Pod, key: string): string | undefined {
  return entryOf(pod.metadata?.annotations, key);
}

/** A missing list is an empty one. */
export function orEmpty<T>(items: readonly T[] | null | undefined): readonly T[] {
  return items ?? NONE;
}

/** The limit as written. The API server rejects it if it is no quantity. */
export function memoryLimitOf(resources: Resources | null | undefined): unknown {
  return entryOf(resources?.limits, 'memory');
}

/** The entry of a map whose keys a pod's author chose. */
export function entryOf<T>(entries: { readonly [key: string]: T } | null | undefined, key: string): T | undefined {
  return entries != null && Object.hasOwn(entries, key) ? entries[key] : undefined;
}
