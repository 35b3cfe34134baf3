import { APPLIED_ANNOTATION } from '../core/labels.ts';
import { annotationOf, entryOf, orEmpty, type Pod, specOf, type Toleration, toleration } from '../core/pod.ts';
import { type Grant, isGrant, type Wall } from '../core/requirements.ts';
import { anything, boolean, list, map, object, string, type Typed } from '../core/shape.ts';
import { holdsToken } from '../core/token-volumes.ts';

/** What the checks of a wall read. An absent value is not known, and a check concludes nothing from it. */
export interface WallFacts {
  readonly pod: PodFacts;
  readonly profile: ProfileFacts;
  /** By name; undefined: they could not be read. */
  readonly nodes: ReadonlyMap<string, NodeFacts> | undefined;
  readonly classes: ReadonlyMap<string, ClassFacts> | undefined;
  /** Warnings about the pod, newest first; undefined: they were not read. */
  readonly events: readonly EventFacts[] | undefined;
  /** For a claim that the pod may write to: a pod without a wall that may write to it, too. */
  readonly sharers: ReadonlyMap<string, string>;
  readonly now: Date;
}

/** The policy in force for the pod. */
export interface ProfileFacts {
  readonly id: string;
  /** Id of its backend. */
  readonly backend: string;
  readonly grant: Grant;
  readonly wall: Wall;
  /** Whether the pod's spec has the wall. */
  readonly isRequested: boolean;
}

export interface PodFacts {
  readonly created: Date | undefined;
  readonly phase: string | undefined;
  /** Whether a container of any kind runs: an init container runs while the phase is still Pending. */
  readonly isRunning: boolean;
  /** Since when the pod is not ready; undefined: it is, or this is not known. */
  readonly unreadySince: Date | undefined;
  /** undefined: the pod is on no node. */
  readonly node: string | undefined;
  /** The host namespaces that it shares, by their fields. */
  readonly hostNamespaces: readonly string[];
  readonly hostUsers: boolean | undefined;
  readonly runtimeClass: string | undefined;
  /** Quantities by resource. */
  readonly overhead: Readonly<Record<string, unknown>>;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
  readonly serviceAccount: string;
  readonly hasToken: boolean;
  /** Names of the claims that it may write to. */
  readonly claims: readonly string[];
  /** Names of the claims that it mounts for reading alone. */
  readonly readOnlyClaims: readonly string[];
  /** The profile and the grant that Cloister applied, as its annotation says. */
  readonly applied: { readonly profile: string; readonly grant: Grant } | undefined;
}

export interface NodeFacts {
  readonly name: string;
  readonly uid: string | undefined;
  readonly kubelet: string | undefined;
  readonly runtime: string | undefined;
  /** The release of its kernel. */
  readonly kernel: string | undefined;
  /** Made when its kernel started. */
  readonly bootId: string | undefined;
  /** `linux` or `windows`. */
  readonly os: string | undefined;
  /** The name of its distribution, as /etc/os-release has it. */
  readonly osImage: string | undefined;
  /** The id that the provider of the machine gave it, such as `kind://docker/kind/kind-worker`. */
  readonly providerId: string | undefined;
  readonly isSchedulable: boolean;
  readonly isReady: boolean;
  /** Whether the kubelet says that the node has AppArmor. */
  readonly hasAppArmor: boolean;
  /** Names of the resources that device plugins offer on it. */
  readonly devices: readonly string[];
  /** By name, '' is the default; the value says whether the handler has user namespaces, undefined: it does not say. Empty: the node names none. */
  readonly handlers: ReadonlyMap<string, boolean | undefined>;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
}

export interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: string;
}

export interface ClassFacts {
  readonly name: string;
  readonly handler: string;
  readonly created: Date | undefined;
  /** Quantities by resource; undefined: the class has no overhead. */
  readonly podFixed: Readonly<Record<string, unknown>> | undefined;
  /** What the class adds to its pods. */
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Toleration[];
}

export interface EventFacts {
  readonly namespace: string;
  readonly kind: string;
  /** Name of the object that the event is about. */
  readonly object: string;
  readonly uid: string | undefined;
  readonly reason: string;
  readonly message: string;
  readonly time: Date | undefined;
}

const containerStatuses = list(object({ state: object({ running: anything }) }));

const livePod = object({
  metadata: object({ creationTimestamp: string }),
  spec: object({ volumes: list(object({ persistentVolumeClaim: object({ claimName: string, readOnly: boolean }) })) }),
  status: object({
    phase: string,
    conditions: list(object({ type: string, status: string, lastTransitionTime: string })),
    containerStatuses,
    initContainerStatuses: containerStatuses,
    ephemeralContainerStatuses: containerStatuses,
  }),
});

/**
 * @param pod the pod as it runs, with the node that it is on
 * @param document the object of the API server that has it
 */
export function podFactsOf(pod: Pod, document: object): PodFacts {
  const { metadata, spec: live, status } = shapedOf(livePod, document);
  const spec = specOf(pod);
  const ready = orEmpty(status?.conditions).find(({ type }) => type === 'Ready');
  const claims = orEmpty(live?.volumes).flatMap(({ persistentVolumeClaim: claim }) =>
    claim?.claimName ? [{ claimName: claim.claimName, readOnly: claim.readOnly }] : [],
  );
  return {
    created: dateOf(metadata?.creationTimestamp),
    phase: status?.phase ?? undefined,
    isRunning: [status?.initContainerStatuses, status?.containerStatuses, status?.ephemeralContainerStatuses]
      .flatMap(orEmpty)
      .some(({ state }) => state?.running != null),
    unreadySince: ready?.status === 'False' ? dateOf(ready.lastTransitionTime) : undefined,
    node: spec.nodeName || undefined,
    hostNamespaces: (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field] === true),
    hostUsers: spec.hostUsers ?? undefined,
    runtimeClass: spec.runtimeClassName || undefined,
    overhead: spec.overhead ?? {},
    nodeSelector: spec.nodeSelector ?? {},
    tolerations: orEmpty(spec.tolerations),
    serviceAccount: spec.serviceAccountName || spec.serviceAccount || 'default',
    hasToken: orEmpty(spec.volumes).some(holdsToken),
    claims: claims.filter(({ readOnly }) => readOnly !== true).map(({ claimName }) => claimName),
    readOnlyClaims: claims.filter(({ readOnly }) => readOnly === true).map(({ claimName }) => claimName),
    applied: appliedOf(pod),
  };
}

function appliedOf(pod: Pod): PodFacts['applied'] {
  const [profile = '', grant = ''] = annotationOf(pod, APPLIED_ANNOTATION)?.split('/') ?? [];
  return isGrant(grant) ? { profile, grant } : undefined;
}

const liveNode = object({
  metadata: object({ name: string, uid: string, labels: map(string) }),
  spec: object({ taints: list(object({ key: string, value: string, effect: string })), unschedulable: boolean, providerID: string }),
  status: object({
    nodeInfo: object({
      kubeletVersion: string,
      containerRuntimeVersion: string,
      kernelVersion: string,
      bootID: string,
      operatingSystem: string,
      osImage: string,
    }),
    conditions: list(object({ type: string, status: string, message: string })),
    allocatable: map(anything),
    runtimeHandlers: list(object({ name: string, features: object({ userNamespaces: boolean }) })),
  }),
});

/** @returns undefined: the object has no name */
export function nodeFactsOf(document: unknown): NodeFacts | undefined {
  const name = nameOf(document);
  const { metadata, spec, status } = shapedOf(liveNode, document);
  return name === undefined
    ? undefined
    : {
        name,
        uid: metadata?.uid ?? undefined,
        kubelet: status?.nodeInfo?.kubeletVersion ?? undefined,
        runtime: status?.nodeInfo?.containerRuntimeVersion ?? undefined,
        kernel: status?.nodeInfo?.kernelVersion ?? undefined,
        bootId: status?.nodeInfo?.bootID ?? undefined,
        os: status?.nodeInfo?.operatingSystem ?? undefined,
        osImage: status?.nodeInfo?.osImage ?? undefined,
        providerId: spec?.providerID ?? undefined,
        isSchedulable: spec?.unschedulable !== true,
        isReady: orEmpty(status?.conditions).some(({ type, status: holds }) => type === 'Ready' && holds === 'True'),
        hasAppArmor: orEmpty(status?.conditions).some(({ type, message }) => type === 'Ready' && message?.includes('AppArmor enabled')),
        devices: Object.entries(status?.allocatable ?? {}).flatMap(([name, quantity]) =>
          name.includes('/') && quantity !== '0' ? [name] : [],
        ),
        handlers: new Map(
          orEmpty(status?.runtimeHandlers).map((handler) => [handler.name ?? '', handler.features?.userNamespaces ?? undefined]),
        ),
        labels: metadata?.labels ?? {},
        taints: orEmpty(spec?.taints).map(({ key, value, effect }) => ({ key: key ?? '', value: value ?? '', effect: effect ?? '' })),
      };
}

const liveClass = object({
  metadata: object({ name: string, creationTimestamp: string }),
  handler: string,
  overhead: object({ podFixed: map(anything) }),
  scheduling: object({ nodeSelector: map(string), tolerations: list(toleration) }),
});

/** @returns undefined: the object has no name or no handler */
export function classFactsOf(document: unknown): ClassFacts | undefined {
  const name = nameOf(document);
  const { metadata, handler, overhead, scheduling } = shapedOf(liveClass, document);
  return name === undefined || handler == null
    ? undefined
    : {
        name,
        handler,
        created: dateOf(metadata?.creationTimestamp),
        podFixed: overhead?.podFixed ?? undefined,
        nodeSelector: scheduling?.nodeSelector ?? {},
        tolerations: orEmpty(scheduling?.tolerations),
      };
}

const liveEvent = object({
  metadata: object({ namespace: string, creationTimestamp: string }),
  involvedObject: object({ kind: string, name: string, uid: string }),
  reason: string,
  message: string,
  lastTimestamp: string,
  eventTime: string,
  series: object({ lastObservedTime: string }),
});

/** @returns undefined: the object is about nothing */
export function eventFactsOf(document: unknown): EventFacts | undefined {
  const { metadata, involvedObject, reason, message, lastTimestamp, eventTime, series } = shapedOf(liveEvent, document);
  if (!involvedObject?.kind || !involvedObject.name) return undefined;
  return {
    namespace: metadata?.namespace ?? '',
    kind: involvedObject.kind,
    object: involvedObject.name,
    uid: involvedObject.uid ?? undefined,
    reason: reason ?? '',
    message: message ?? '',
    time: dateOf(series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata?.creationTimestamp),
  };
}

type ShapedLike = typeof livePod | typeof liveNode | typeof liveClass | typeof liveEvent;

/** The document, if it has the shape: otherwise nothing of it is known. */
function shapedOf<S extends ShapedLike>(shape: S, document: unknown): Typed<S> {
  return (shape(document) === undefined ? document : {}) as Typed<S>;
}

const named = object({ metadata: object({ name: string }) });

function nameOf(document: unknown): string | undefined {
  return named(document) === undefined ? ((document as Typed<typeof named>).metadata?.name ?? undefined) : undefined;
}

function dateOf(text: string | null | undefined): Date | undefined {
  const date = new Date(text ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** The node that the pod is on. */
export function nodeOf({ pod, nodes }: WallFacts): NodeFacts | undefined {
  return pod.node === undefined ? undefined : nodes?.get(pod.node);
}

export function classOf({ pod, classes }: WallFacts): ClassFacts | undefined {
  return pod.runtimeClass === undefined ? undefined : classes?.get(pod.runtimeClass);
}

/** The handler that runs the pod; '' is the default of the node; undefined: it is not known. */
export function handlerOf(facts: WallFacts): string | undefined {
  return facts.pod.runtimeClass === undefined ? '' : classOf(facts)?.handler;
}

/** Whether an entry of the node's labels has the value; the keys are data of the cluster. */
export const hasLabel = ({ labels }: NodeFacts, key: string): boolean => entryOf(labels, key) !== undefined;
