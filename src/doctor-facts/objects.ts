import { APPLIED_ANNOTATION, NAMESPACE_LABELS } from '../core/labels.ts';
import type {
  Binding,
  Claim,
  ClusterNode,
  Deployment,
  DisruptionBudget,
  EnsureJob,
  GovernedPod,
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

/** Objects as the API server returns them, in the fields that the checks need. */

export interface LiveMetadata {
  readonly name: string;
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

export interface LiveNode extends Live {
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: { readonly nodeInfo?: { readonly kubeletVersion?: string } };
}

export const nodeOf = ({ metadata, spec, status }: LiveNode): ClusterNode => ({
  name: metadata.name,
  kubeletVersion: status?.nodeInfo?.kubeletVersion ?? '',
  isSchedulable: spec?.unschedulable !== true,
  zone: metadata.labels?.['topology.kubernetes.io/zone'],
});

export function namespaceOf({ metadata: { name, labels = {}, annotations = {}, deletionTimestamp, managedFields = [] } }: Live): Namespace {
  const writers = managedFields.filter(({ fieldsV1 }) => `f:${NAMESPACE_LABELS.enforce}` in (fieldsV1?.['f:metadata']?.['f:labels'] ?? {}));
  return { name, labels, annotations, isTerminating: deletionTimestamp !== undefined, enforcedSince: dateOf(writers.at(-1)?.time) };
}

export interface LivePod extends Live {
  readonly spec: {
    readonly nodeName?: string;
    readonly hostUsers?: boolean;
    readonly runtimeClassName?: string;
    readonly serviceAccountName?: string;
    readonly containers: readonly LiveContainer[];
    readonly initContainers?: readonly LiveContainer[];
    readonly volumes?: readonly { readonly persistentVolumeClaim?: { readonly claimName: string } }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

interface LiveContainer {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly resources?: { readonly limits?: Quantities };
  readonly securityContext?: { readonly procMount?: string; readonly allowPrivilegeEscalation?: boolean };
}

export function governedPodOf({ metadata, spec }: LivePod): GovernedPod {
  const containers = [...(spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'), ...spec.containers];
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    created: dateOf(metadata.creationTimestamp),
    labels: metadata.labels ?? {},
    applied: metadata.annotations?.[APPLIED_ANNOTATION],
    containers: containers.map(({ name }) => name),
    unlimited: containers.filter(({ resources }) => resources?.limits?.memory === undefined).map(({ name }) => name),
    serviceAccount: spec.serviceAccountName ?? 'default',
    claims: (spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => (claim === undefined ? [] : [claim.claimName])),
  };
}

export const ownPodOf = ({ metadata, spec, status }: LivePod): OwnPod => ({
  name: metadata.name,
  node: spec.nodeName,
  isReady: (status?.conditions ?? []).some((each) => each.type === 'Ready' && each.status === 'True'),
});

export const probedPodOf = ({ metadata, spec }: LivePod): ProbedPod => ({
  hostUsers: spec.hostUsers,
  runtimeClassName: spec.runtimeClassName,
  isProcUnmasked: spec.containers.some(({ securityContext }) => securityContext?.procMount === 'Unmasked'),
  allowsEscalation: spec.containers.some(({ securityContext }) => securityContext?.allowPrivilegeEscalation === true),
  applied: metadata.annotations?.[APPLIED_ANNOTATION],
});

export interface LiveDeployment extends Live {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

export const deploymentOf = ({ spec, status }: LiveDeployment): Deployment => ({
  replicas: spec?.replicas ?? 1,
  readyReplicas: status?.readyReplicas ?? 0,
  failures: (status?.conditions ?? []).flatMap(({ type, status: holds, message = '' }) =>
    type === 'ReplicaFailure' && holds === 'True' ? [message] : [],
  ),
});

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
  readonly spec: Readonly<Record<string, unknown>> & { readonly csi?: { readonly driver: string } };
}

/** The types of volumes in a PersistentVolume that a check knows; any other one is known by its CSI driver. */
const VOLUME_TYPES = ['nfs', 'cephfs', 'glusterfs', 'azureFile', 'hostPath', 'local'];

export const storageOf = ({ spec }: LiveVolume): string | undefined =>
  spec.csi?.driver ?? VOLUME_TYPES.find((type) => spec[type] !== undefined);

export interface LiveClaim extends Live {
  readonly spec?: { readonly volumeName?: string };
}

export function claimOf({ metadata: { name, namespace = '' }, spec }: LiveClaim, storage: ReadonlyMap<string, string | undefined>): Claim {
  const volume = spec?.volumeName;
  return { namespace, name, volume, storage: volume === undefined ? undefined : storage.get(volume) };
}

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
