import { normalizeCapability } from '../core/containers.ts';
import { APPLIED_ANNOTATION, NAMESPACE_LABELS } from '../core/labels.ts';
import { type ContainerSpec, lastsAsLongAsPod, memoryLimitOf, orEmpty, specOf } from '../core/pod.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { subjectOf } from '../core/subject.ts';
import { isIsolated } from '../core/wall.ts';
import type {
  Binding,
  Claim,
  Deployment,
  DeviceClaim,
  DisruptionBudget,
  EnsureJob,
  GovernedPod,
  InstallerPod,
  Labels,
  LimitRange,
  MutatingPolicy,
  Namespace,
  NetworkPolicy,
  OwnPod,
  PolicyRule,
  ProbedPod,
  Quantities,
  Quota,
  RbacSubject,
  Role,
} from '../doctor/facts.ts';
import { podFactsOf } from '../live/facts.ts';

/** Objects as the API server returns them, in the fields that the checks need. */

export interface LiveMetadata {
  readonly name: string;
  readonly uid?: string;
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly managedFields?: readonly { readonly time?: string; readonly fieldsV1?: ManagedFields }[];
}

interface ManagedFields {
  readonly 'f:metadata'?: { readonly 'f:labels'?: Readonly<Record<string, unknown>> };
}

interface Live {
  readonly metadata: LiveMetadata;
}

const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

export function namespaceOf({ metadata: { name, labels = {}, annotations = {}, deletionTimestamp, managedFields = [] } }: Live): Namespace {
  const writers = managedFields.filter(({ fieldsV1 }) => `f:${NAMESPACE_LABELS.enforce}` in (fieldsV1?.['f:metadata']?.['f:labels'] ?? {}));
  return { name, labels, annotations, isTerminating: deletionTimestamp !== undefined, enforcedSince: dateOf(writers.at(-1)?.time) };
}

export interface LivePod extends Live {
  readonly spec: {
    readonly nodeName?: string;
    readonly hostUsers?: boolean;
    readonly runtimeClassName?: string;
    readonly containers: readonly LiveContainer[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

interface LiveContainer {
  readonly image?: string;
  readonly securityContext?: { readonly procMount?: string; readonly allowPrivilegeEscalation?: boolean };
}

/** @param profiles the configured ones */
export function governedPodOf(live: Live, profiles: Iterable<Profile>): GovernedPod {
  const found = subjectOf(live, '', 'Pod');
  // Of a pod that cannot be decoded, nothing is known: it has neither a wall nor the mark of Cloister.
  const pod = found.ok ? found.value.pod : {};
  const spec = specOf(pod);
  const inits = orEmpty(spec.initContainers).map((each) => ({ list: 'initContainers', spec: each }) as const);
  const lasting = [...inits.filter(lastsAsLongAsPod).map((each) => each.spec), ...orEmpty(spec.containers)];
  const { namespace = '', name, uid, labels = {} } = live.metadata;
  return {
    ...podFactsOf(pod, live),
    namespace,
    name,
    uid,
    labels,
    walls: [...profiles].filter(({ grant, requirementsFor }) => isIsolated(pod, requirementsFor(grant).wall)).map(({ id }) => id),
    containers: lasting.map(nameOf),
    unlimited: lasting.filter(({ resources }) => memoryLimitOf(resources) === undefined).map(nameOf),
    powerlessInits: inits
      .filter((each) => !lastsAsLongAsPod(each) && setsUpFirewall(each.spec) && !maySetUpFirewall(each.spec))
      .map((each) => nameOf(each.spec)),
  };
}

const nameOf = ({ name }: ContainerSpec): string => name ?? '';

/**
 * Init containers that set up rules of iptables or nftables, as their projects name them.
 * Sources: zero-to-jupyterhub (jupyterhub/files/hub/jupyterhub_config.py), istio (pkg/kube/inject), linkerd2 (pkg/k8s/labels.go), kuma (pkg/plugins/runtime/k8s).
 */
const FIREWALL_INITS: ReadonlySet<string> = new Set(['block-cloud-metadata', 'istio-init', 'linkerd-init', 'kuma-init']);
const FIREWALL_COMMAND = /\b(?:ip6?tables|nft)\b/;

const setsUpFirewall = ({ name, command, args }: ContainerSpec): boolean =>
  FIREWALL_INITS.has(name ?? '') || [...orEmpty(command), ...orEmpty(args)].some((word) => FIREWALL_COMMAND.test(word));

function maySetUpFirewall({ securityContext }: ContainerSpec): boolean {
  const added = orEmpty(securityContext?.capabilities?.add).map(normalizeCapability);
  return securityContext?.privileged === true || added.includes('NET_ADMIN') || added.includes('ALL');
}

const isReady = ({ status }: LivePod): boolean =>
  (status?.conditions ?? []).some((each) => each.type === 'Ready' && each.status === 'True');

export const ownPodOf = (pod: LivePod): OwnPod => ({ name: pod.metadata.name, node: pod.spec.nodeName, isReady: isReady(pod) });

export const installerPodOf = (pod: LivePod): InstallerPod => ({
  namespace: pod.metadata.namespace ?? '',
  node: pod.spec.nodeName,
  isReady: isReady(pod),
  image: pod.spec.containers[0]?.image ?? '',
});

export const probedPodOf = ({ metadata, spec }: LivePod): ProbedPod => ({
  hostUsers: spec.hostUsers,
  runtimeClassName: spec.runtimeClassName,
  isProcUnmasked: spec.containers.some(({ securityContext }) => securityContext?.procMount === 'Unmasked'),
  allowsEscalation: spec.containers.some(({ securityContext }) => securityContext?.allowPrivilegeEscalation === true),
  applied: metadata.annotations?.[APPLIED_ANNOTATION],
});

export interface LiveDeployment extends Live {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: {
      readonly spec?: { readonly containers?: readonly { readonly image?: string; readonly imagePullPolicy?: string }[] };
    };
  };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

export function deploymentOf({ spec, status }: LiveDeployment): Deployment {
  const [container] = spec?.template?.spec?.containers ?? [];
  return {
    replicas: spec?.replicas ?? 1,
    readyReplicas: status?.readyReplicas ?? 0,
    image: container?.image,
    imagePullPolicy: container?.imagePullPolicy,
    failures: (status?.conditions ?? []).flatMap(({ type, status: holds, message = '' }) =>
      type === 'ReplicaFailure' && holds === 'True' ? [message] : [],
    ),
  };
}

export interface LiveBudget extends Live {
  readonly status?: { readonly disruptionsAllowed?: number; readonly expectedPods?: number; readonly currentHealthy?: number };
}

export const budgetOf = ({
  metadata: { name },
  status: { disruptionsAllowed = 0, expectedPods = 0, currentHealthy = 0 } = {},
}: LiveBudget): DisruptionBudget => ({
  name,
  disruptionsAllowed,
  expectedPods,
  currentHealthy,
});

export interface LiveCronJob extends Live {
  readonly spec: { readonly suspend?: boolean; readonly schedule: string };
  readonly status?: { readonly lastSuccessfulTime?: string };
}

export const ensureJobOf = ({ metadata, spec, status }: LiveCronJob): EnsureJob => ({
  isSuspended: spec.suspend === true,
  schedule: spec.schedule,
  lastSuccess: dateOf(status?.lastSuccessfulTime),
  created: dateOf(metadata.creationTimestamp),
});

export interface LiveRole extends Live {
  readonly rules?: readonly PolicyRule[] | null;
}

export const roleOf = ({ metadata: { name, namespace }, rules }: LiveRole): Role => ({
  name,
  ...(namespace !== undefined && { namespace }),
  rules: rules ?? [],
});

export interface LiveBinding extends Live {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly RbacSubject[];
}

export const bindingOf = ({ metadata: { name, namespace }, roleRef: { kind, name: role }, subjects = [] }: LiveBinding): Binding => ({
  name,
  ...(namespace !== undefined && { namespace }),
  role: { kind, name: role },
  subjects,
});

export interface LiveVolume extends Live {
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface LiveClaim extends Live {
  readonly spec?: { readonly volumeName?: string };
}

export function claimOf({ metadata: { name, namespace = '' }, spec }: LiveClaim, storage: ReadonlyMap<string, string | undefined>): Claim {
  const volume = spec?.volumeName;
  return { namespace, name, volume, storage: volume === undefined ? undefined : storage.get(volume) };
}

export const deviceClaimOf = (kind: DeviceClaim['kind'], { metadata: { name, namespace = '' } }: Live): DeviceClaim => ({
  kind,
  namespace,
  name,
});

export interface LiveQuota extends Live {
  readonly status?: { readonly hard?: Quantities; readonly used?: Quantities };
}

export const quotaOf = ({ metadata: { name, namespace = '' }, status: { hard = {}, used = {} } = {} }: LiveQuota): Quota => ({
  namespace,
  name,
  hard,
  used,
});

export interface LiveLimitRange extends Live {
  readonly spec?: { readonly limits?: LimitRange['limits'] };
}

export const limitRangeOf = ({ metadata: { name, namespace = '' }, spec }: LiveLimitRange): LimitRange => ({
  namespace,
  name,
  limits: spec?.limits ?? [],
});

export interface LiveNetworkPolicy extends Live {
  readonly spec?: { readonly policyTypes?: readonly string[] };
}

export const networkPolicyOf = ({ metadata: { namespace = '' }, spec }: LiveNetworkPolicy): NetworkPolicy => ({
  namespace,
  limitsEgress: spec?.policyTypes?.includes('Egress') === true,
});

export interface LiveMutatingPolicy extends Live {
  readonly spec?: { readonly matchConstraints?: { readonly resourceRules?: readonly { readonly resources?: readonly string[] }[] } };
}

export const mutatingPolicyOf = ({ metadata: { name }, spec }: LiveMutatingPolicy): MutatingPolicy => ({
  name,
  resources: (spec?.matchConstraints?.resourceRules ?? []).flatMap(({ resources = [] }) => resources),
});
