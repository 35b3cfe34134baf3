import type { LiveObject, Reference } from '../cluster/object.ts';
import type { ServingPod } from '../cluster/serving.ts';
import type { WebhookConfiguration } from '../manifests/entries.ts';
import type { Manifest } from '../manifests/policies.ts';
import type { CertificateKeeper, Service } from '../manifests/rbac.ts';
import type { Issued } from '../tls/pem.ts';
import type { TrustedAuthority } from '../tls/trust.ts';

/** Desired state. */
export interface DesiredState {
  readonly service: Service;
  readonly certificates: CertificateKeeper;
  /** Without a caBundle. */
  readonly configurations: readonly WebhookConfiguration[];
  /** A pod of each profile. */
  readonly samples: readonly SamplePod[];
  readonly policies: readonly Manifest[];
  /** The version that the serving pods must run before entries are written. */
  readonly version: string;
  /** Digest of the configuration that they must run. */
  readonly configuration: string;
  /** How long after a renewal a pod may still start with the previous serving certificate. */
  readonly overlapMs: number;
}

/** A small pod of a profile, as Cloister repairs it. */
export interface SamplePod {
  readonly profile: string;
  readonly spec: object;
}

/** Observed state. */
export interface ObservedState {
  /** By title. */
  readonly objects: ReadonlyMap<string, LiveObject>;
  /** The bindings in the cluster that have the label of the policies which enforce profiles. */
  readonly backstopBindings: readonly LiveObject[];
  readonly pods: readonly ServingPod[];
}

export interface Plan {
  /** Steps that can be applied now, in this order. */
  readonly steps: readonly Step[];
  /** Steps that wait for the serving pods. */
  readonly waiting: readonly BlockedStep[];
  /** Objects that an operator marked hands-off, and how they differ from the desired state. */
  readonly handsOff: readonly HandsOffDifference[];
  /** Authorities before the current one that are still trusted. */
  readonly previousAuthorities: readonly TrustedAuthority[];
}

export type Step = { readonly object: Reference; readonly why: readonly string[] } & (
  | { readonly do: 'create' }
  | { readonly do: 'delete'; readonly live: LiveObject }
  | { readonly do: 'update'; readonly live: LiveObject; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly do: 'issue-authority'; readonly live: LiveObject; readonly previousAuthorities: readonly TrustedAuthority[] }
  | { readonly do: 'issue-serving'; readonly live: LiveObject; readonly authority: Issued; readonly isNewToApiServers: boolean }
);

export interface BlockedStep {
  readonly step: Extract<Step, { do: 'update' }>;
  readonly until: readonly string[];
}

export interface HandsOffDifference {
  readonly object: Reference;
  readonly why: readonly string[];
}
