/** Identifies an object. */
export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** An object as the API server returned it, with all fields: an update sends it back with only the intended changes. */
export interface LiveObject extends Reference {
  readonly metadata: Reference['metadata'] & {
    readonly resourceVersion: string;
    readonly uid?: string;
    readonly ownerReferences?: readonly object[];
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** `Secret cloister/cloister-tls`. */
export function titleOf({ kind, metadata: { name, namespace } }: Reference): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

const PLURALS: Readonly<Record<string, string>> = {
  ConfigMap: 'configmaps',
  Secret: 'secrets',
  Pod: 'pods',
  PodTemplate: 'podtemplates',
  Namespace: 'namespaces',
  Node: 'nodes',
  RuntimeClass: 'runtimeclasses',
  Event: 'events',
  PersistentVolume: 'persistentvolumes',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  ResourceClaim: 'resourceclaims',
  ResourceClaimTemplate: 'resourceclaimtemplates',
  ResourceQuota: 'resourcequotas',
  LimitRange: 'limitranges',
  NetworkPolicy: 'networkpolicies',
  Deployment: 'deployments',
  CronJob: 'cronjobs',
  PodDisruptionBudget: 'poddisruptionbudgets',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  MutatingAdmissionPolicy: 'mutatingadmissionpolicies',
  EndpointSlice: 'endpointslices',
  Report: 'reports',
  MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
};

/** URL path of the objects of a kind. */
export function collectionPath(apiVersion: string, kind: string, namespace: string | undefined): string {
  const plural = PLURALS[kind];
  if (plural === undefined) throw new Error(`add the plural of ${kind} to PLURALS`);
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${group}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`;
}

export function objectPath({ apiVersion, kind, metadata: { name, namespace } }: Reference): string {
  return `${collectionPath(apiVersion, kind, namespace)}/${name}`;
}
