import type { ClassFacts, EventFacts, NodeFacts, PodFacts } from '../live/facts.ts';
import type { Entry } from '../manifests/entries.ts';
import type { ProbeReport } from './probe-report.ts';

/** What was read from a cluster, or why it could not be read: a missing right, or an error. */
export type Fact<T> = { readonly value: T } | { readonly missing: string };

/** What the checks read. A check names what it reads, and gets only values: what is missing makes its answer unknown. */
export interface FactValues {
  readonly serverVersion: ApiServerVersion;
  /** Whether a feature gate is on in the API server, by name. */
  readonly gates: ReadonlyMap<string, boolean>;
  readonly admission: AdmissionMetrics;
  /** Whether the API server has ValidatingAdmissionPolicies. */
  readonly hasPolicies: boolean;
  readonly nodes: readonly NodeFacts[];
  readonly classes: readonly ClassFacts[];
  readonly namespaces: readonly Namespace[];
  /** The pods of namespaces in which a profile is in force, and pods that opted in. Pods that have ended are left out. */
  readonly governedPods: readonly GovernedPod[];
  /** The other pods of the namespaces in which a pod has opted in: no profile is in force for them. */
  readonly neighbours: readonly Neighbour[];
  /** Warnings of governed namespaces whose cause is known, newest first. */
  readonly events: readonly EventFacts[];
  /** The Deployment of the serving pods; undefined: there is none. */
  readonly deployment: Deployment | undefined;
  /** The pods of the Deployment. */
  readonly ownPods: readonly OwnPod[];
  readonly budgets: readonly DisruptionBudget[];
  /** The pods that install the seccomp profile of Cloister on nodes. */
  readonly installerPods: readonly InstallerPod[];
  /** `host:port` of the endpoints of the Service. */
  readonly endpoints: readonly { readonly address: string; readonly isReady: boolean }[];
  readonly servingPods: readonly ServingPodFact[];
  readonly entryDrift: readonly EntryDrift[];
  readonly policyDrift: readonly ObjectDrift[];
  readonly webhooks: readonly LiveConfiguration[];
  readonly mutatingPolicies: readonly MutatingPolicy[];
  /** The authorities of the entries of Cloister. */
  readonly authorities: readonly Certificate[];
  readonly ensureJob: EnsureJob | undefined;
  readonly rbac: Rbac;
  readonly claims: readonly Claim[];
  /** Claims for devices, and templates of such claims (dynamic resource allocation). */
  readonly deviceClaims: readonly DeviceClaim[];
  readonly quotas: readonly Quota[];
  readonly limitRanges: readonly LimitRange[];
  readonly networkPolicies: readonly NetworkPolicy[];
  readonly probes: readonly Probe[];
  /** undefined: the identity of this command may label namespaces, so that the API server would accept the change. */
  readonly labelProbe: LabelProbe | undefined;
  /** Empty: no profile is configured. */
  readonly proofs: readonly Proof[];
  readonly kubelets: readonly KubeletFact[];
}

export type FactName = keyof FactValues;
export type Facts = { readonly [Name in FactName]: Fact<FactValues[Name]> };

export interface ApiServerVersion {
  /** `v1.36.3`. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
}

/** What an API server counts about admission since it started. A series exists after its first use. */
export interface AdmissionMetrics {
  /** The plug-ins that were called. */
  readonly plugins: ReadonlySet<string>;
  /** By name, for the entries of Cloister. */
  readonly entries: ReadonlyMap<string, EntryMetrics>;
}

export interface EntryMetrics {
  readonly failedOpen: number;
  /** The time that the slowest 1 % of the calls took at least, in seconds; undefined: there were fewer than a hundred calls. */
  readonly slowestSeconds: number | undefined;
}

export type Labels = Readonly<Record<string, string>>;

export interface Namespace {
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Whether it is being deleted: nothing can be created in it. */
  readonly isTerminating: boolean;
  /** When the label `enforce` was last written, as managedFields say. */
  readonly enforcedSince: Date | undefined;
}

/** A pod beside others in a namespace. */
export interface Neighbour extends Pick<PodFacts, 'claims'> {
  readonly namespace: string;
  readonly name: string;
  /** Ids of the configured profiles whose wall its spec has. */
  readonly walls: readonly string[];
}

export interface GovernedPod extends PodFacts, Neighbour {
  readonly uid: string | undefined;
  readonly labels: Labels;
  /** Regular containers and native sidecars. */
  readonly containers: readonly string[];
  /** Those without a memory limit. */
  readonly unlimited: readonly string[];
  /** Init containers that set up a firewall, as their name or command says, without the capability for it. */
  readonly powerlessInits: readonly string[];
}

export interface Deployment {
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly image?: string | undefined;
  readonly imagePullPolicy?: string | undefined;
  /** The messages of the conditions that report a failure. */
  readonly failures: readonly string[];
}

export interface OwnPod {
  readonly name: string;
  readonly node: string | undefined;
  readonly isReady: boolean;
}

export interface InstallerPod {
  readonly namespace: string;
  readonly node: string | undefined;
  readonly isReady: boolean;
  readonly image: string;
}

export interface DisruptionBudget {
  readonly name: string;
  readonly disruptionsAllowed: number;
  readonly expectedPods: number;
  readonly currentHealthy: number;
}

export interface Certificate {
  readonly serial: string;
  readonly from: Date;
  readonly to: Date;
}

export interface ServingPodFact {
  readonly address: string;
  readonly version: string | undefined;
  /** SHA-256 of its configuration. */
  readonly configuration: string | undefined;
  readonly leaf: ServingCertificate | undefined;
  /** Why a field above is absent. */
  readonly problem: string | undefined;
}

export interface ServingCertificate extends Certificate {
  /** The names of the entries of Cloister with a caBundle that does not verify the certificate. */
  readonly distrustedBy: readonly string[];
  /** Whether it covers the DNS name at which API servers call the Service. */
  readonly coversService: boolean;
}

/** How an object in the cluster differs from the one that the configuration gives. */
export interface ObjectDrift {
  /** `ValidatingAdmissionPolicy cloister-pods`. */
  readonly title: string;
  readonly isMissing: boolean;
  readonly differences: readonly string[];
  readonly isHandsOff: boolean;
}

export interface EntryDrift extends ObjectDrift {
  /** The names of entries that the configuration does not give. */
  readonly foreign: readonly string[];
}

export type LiveEntry = Pick<Entry, 'name' | 'clientConfig'> & {
  readonly rules?: readonly {
    readonly apiGroups?: readonly string[];
    readonly resources?: readonly string[];
    readonly operations?: readonly string[];
  }[];
  readonly namespaceSelector?: LabelSelector;
  readonly failurePolicy?: string;
  readonly reinvocationPolicy?: string;
  readonly timeoutSeconds?: number;
  readonly matchConditions?: readonly unknown[];
};

export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[];
}

export interface LiveConfiguration {
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';
  readonly name: string;
  readonly entries: readonly LiveEntry[];
}

export interface MutatingPolicy {
  readonly name: string;
  readonly resources: readonly string[];
}

export interface EnsureJob {
  readonly isSuspended: boolean;
  readonly schedule: string;
  readonly lastSuccess: Date | undefined;
  readonly created: Date | undefined;
}

export interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs?: readonly string[];
}

export interface RbacSubject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface Role {
  readonly name: string;
  /** Absent: a ClusterRole. */
  readonly namespace?: string;
  readonly rules: readonly PolicyRule[];
}

export interface Binding {
  readonly name: string;
  /** Absent: a ClusterRoleBinding. */
  readonly namespace?: string;
  readonly role: { readonly kind: string; readonly name: string };
  readonly subjects: readonly RbacSubject[];
}

export interface Rbac {
  readonly roles: readonly Role[];
  readonly bindings: readonly Binding[];
}

export interface Claim {
  readonly namespace: string;
  readonly name: string;
  /** `nfs`, `hostPath`, `local`, or the driver of a CSI volume; undefined: it is not bound yet. */
  readonly storage: string | undefined;
  readonly volume: string | undefined;
}

export interface DeviceClaim {
  readonly kind: 'ResourceClaim' | 'ResourceClaimTemplate';
  readonly namespace: string;
  readonly name: string;
}

export type Quantities = Readonly<Record<string, string>>;

export interface Quota {
  readonly namespace: string;
  readonly name: string;
  readonly hard: Quantities;
  readonly used: Quantities;
}

export interface LimitRange {
  readonly namespace: string;
  readonly name: string;
  readonly limits: readonly {
    readonly type?: string;
    readonly default?: Quantities;
    readonly min?: Quantities;
    readonly max?: Quantities;
  }[];
}

export interface NetworkPolicy {
  readonly namespace: string;
  /** Whether it is about what pods may connect to. */
  readonly limitsEgress: boolean;
}

/** The answer to a pod that was created in dry-run mode. */
export interface Probe {
  readonly namespace: string;
  readonly profile: string;
  /**
   * `grant`: the plain pod of an author, where the profile is enforced; `opt-in`: the plain pod with the label of the profile, in a namespace that enforces
   * none; `refused`: in both, a pod that Cloister must refuse.
   */
  readonly pod: 'grant' | 'refused' | 'opt-in';
  readonly outcome: ProbeOutcome;
}

export type ProbeOutcome = { readonly is: 'admitted'; readonly pod: ProbedPod } | Rejection;

/** What the API server answered. */
export interface Rejection {
  readonly is: 'rejected';
  /** The HTTP status. */
  readonly status: number;
  readonly message: string;
}

export interface ProbedPod {
  readonly hostUsers: boolean | undefined;
  readonly runtimeClassName: string | undefined;
  /** Whether a container has `procMount: Unmasked`. */
  readonly isProcUnmasked: boolean;
  readonly allowsEscalation: boolean;
  readonly applied: string | undefined;
}

export interface LabelProbe {
  readonly namespace: string;
  readonly outcome: { readonly is: 'admitted' } | Rejection;
}

/** What became of a pod of `--run`, or why there was none. */
export interface Proof {
  readonly profile: string;
  /** undefined: no namespace enforces the profile. */
  readonly namespace: string | undefined;
  /** undefined: there was no pod on a node. */
  readonly node: NodeFacts | undefined;
  readonly outcome: ProofOutcome;
  /** Why the pod could not be deleted; undefined: it was deleted, or there was none. */
  readonly leftBehind: string | undefined;
}

export type ProofOutcome =
  | {
      readonly is: 'ran';
      readonly report: ProbeReport;
      /** The Localhost seccomp profiles that the spec of the pod has. */
      readonly seccompProfiles: readonly string[];
    }
  /** The pod ran, and what it printed could not be read. */
  | { readonly is: 'unread'; readonly why: string; readonly remedy: string }
  /** The pod was on its node, and did not start. */
  | { readonly is: 'not started'; readonly why: string; readonly remedy: string; readonly lacksSeccompProfile: boolean }
  /** There was no pod, and not because the API server rejected it. */
  | { readonly is: 'not tried'; readonly why: string; readonly remedy: string }
  | Rejection;

/** What a kubelet says about itself. One that does not answer says nothing about the others. */
export interface KubeletFact {
  readonly node: string;
  readonly configuration: Fact<KubeletConfiguration>;
  readonly metrics: Fact<KubeletMetrics>;
}

export interface KubeletConfiguration {
  readonly idsPerPod: number;
}

/** undefined: the kubelet has no such metric. */
export interface KubeletMetrics {
  /** Pods with a user namespace that did not start, since the kubelet started. */
  readonly userNamespaceErrors: number | undefined;
  readonly cgroupVersion: number | undefined;
}
