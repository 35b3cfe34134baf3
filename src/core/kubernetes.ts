/**
 * The minor versions of Kubernetes 1 that are supported: a weekly run of the tests emulates each of them, or runs it, and has the oldest
 * and the newest API server itself.
 */
export const SUPPORTED_MINORS = { oldest: 33, newest: 37 } as const;

/** The supported versions, as `1.33`, from the oldest to the newest. */
export const SUPPORTED_VERSIONS: readonly string[] = Array.from(
  { length: SUPPORTED_MINORS.newest - SUPPORTED_MINORS.oldest + 1 },
  (_, index) => `1.${SUPPORTED_MINORS.oldest + index}`,
);

/** `1.33 to 1.37`. */
export const SUPPORTED_KUBERNETES = `1.${SUPPORTED_MINORS.oldest} to 1.${SUPPORTED_MINORS.newest}`;

/** A feature gate of the API server. While it is off, the API server drops its field from new pods, after the mutating webhooks and without a message. */
export interface FeatureGate {
  readonly name: string;
  /** The minor version of Kubernetes 1 from which the gate is on by default. */
  readonly onSince: number;
  /** What happens to a profile that needs the field, as a clause. */
  readonly without: string;
}

/** From this minor version of Kubernetes 1 on, the feature gate UserNamespacesSupport is on by default. Source: KEP-127. */
export const USER_NAMESPACES_SINCE = 33;

/**
 * The gates of fields that decide what Cloister says about a pod, by field. `runtimeClassName` has no gate.
 * Sources: pkg/features/kube_features.go, and dropDisabledFields in pkg/api/pod/util.go of Kubernetes
 */
export const FIELD_GATES = {
  hostUsers: { name: 'UserNamespacesSupport', onSince: USER_NAMESPACES_SINCE, without: 'every pod of the profile is refused' },
  procMount: { name: 'ProcMountType', onSince: 33, without: 'nested containers fail' },
  resourceClaims: { name: 'DynamicResourceAllocation', onSince: 34, without: 'the pod gets no device' },
} as const satisfies Readonly<Record<string, FeatureGate>>;

/** `the feature gate ProcMountType is off (it is on by default since Kubernetes 1.33)`. */
export function printOff({ name, onSince }: FeatureGate): string {
  return `the feature gate ${name} is off (it is on by default since Kubernetes 1.${onSince})`;
}

/** A field that a pod had at its mutating entry, and has no longer. A repair by hand would end in the same way. */
export const DROPPED = {
  hostUsers: {
    message: `hostUsers was set, and it is missing now: the API server drops it where ${printOff(FIELD_GATES.hostUsers)}, or another webhook removed it`,
    remedy: 'ask the operator to turn the gate on in API server and kubelets',
  },
  runtimeClassName: {
    message: 'runtimeClassName was set, and it is missing now: another webhook removed it, because the API server never drops it',
    remedy: 'ask the operator to exclude the namespace from that webhook',
  },
} as const;
