import type { FactName } from './facts.ts';

/** A right in RBAC: verbs on a resource, all of its objects or those with a name, or on a path of the API server. */
export type Right =
  | { readonly group: string; readonly resource: string; readonly names?: readonly string[]; readonly verbs: readonly string[] }
  | { readonly path: string; readonly verbs: readonly string[] };

const path = (of: string): Right => ({ path: of, verbs: ['get'] });
const list = (group: string, ...resources: readonly string[]): readonly Right[] =>
  resources.map((resource) => ({ group, resource, verbs: ['list'] }));

const ADMISSION = 'admissionregistration.k8s.io';
const WEBHOOKS = list(ADMISSION, 'mutatingwebhookconfigurations', 'validatingwebhookconfigurations');

/** What a fact is, and the rights that reading it needs. */
export interface FactOrigin {
  /** For the pages of the checks. */
  readonly what: string;
  readonly rights: readonly Right[];
}

/** `cloister doctor --print-rbac` prints the rights of the facts that its checks read, and no others. */
export const ORIGINS: Readonly<Record<FactName, FactOrigin>> = {
  serverVersion: { what: 'the version of the API server', rights: [path('/version')] },
  gates: { what: 'the feature gates that the API server reports in its metrics', rights: [path('/metrics')] },
  admission: { what: 'what the API server counts about admission in its metrics', rights: [path('/metrics')] },
  hasPolicies: { what: 'the kinds that the API server has', rights: [path(`/apis/${ADMISSION}/v1`)] },
  nodes: { what: 'the nodes, as their kubelets describe them', rights: list('', 'nodes') },
  classes: { what: 'RuntimeClasses', rights: list('node.k8s.io', 'runtimeclasses') },
  namespaces: { what: 'labels and annotations of the namespaces', rights: list('', 'namespaces') },
  governedPods: { what: 'pods of governed namespaces, and pods that name a profile', rights: list('', 'namespaces', 'pods') },
  neighbours: { what: 'the pods beside those that name a profile', rights: list('', 'namespaces', 'pods') },
  events: { what: 'warnings about pods of governed namespaces', rights: list('', 'namespaces', 'pods', 'events') },
  deployment: { what: 'the Deployment of the serving pods', rights: list('apps', 'deployments') },
  ownPods: { what: 'the serving pods', rights: list('', 'pods') },
  installerPods: { what: 'the pods that install the seccomp profile on nodes', rights: list('', 'pods') },
  budgets: { what: 'PodDisruptionBudgets of the serving pods', rights: list('policy', 'poddisruptionbudgets') },
  endpoints: { what: 'EndpointSlices of the Service', rights: list('discovery.k8s.io', 'endpointslices') },
  servingPods: {
    what: 'certificate, version and configuration, from each serving pod itself',
    rights: [...list('discovery.k8s.io', 'endpointslices'), ...WEBHOOKS],
  },
  entryDrift: { what: 'the webhook configurations of Cloister', rights: WEBHOOKS },
  policyDrift: {
    what: 'the ValidatingAdmissionPolicies of Cloister and their bindings',
    rights: list(ADMISSION, 'validatingadmissionpolicies', 'validatingadmissionpolicybindings'),
  },
  webhooks: { what: 'all webhook configurations', rights: WEBHOOKS },
  mutatingPolicies: { what: 'MutatingAdmissionPolicies', rights: list(ADMISSION, 'mutatingadmissionpolicies') },
  authorities: { what: 'each caBundle of the webhook configurations of Cloister', rights: WEBHOOKS },
  ensureJob: { what: 'the CronJob of `cloister ensure`', rights: list('batch', 'cronjobs') },
  rbac: {
    what: 'roles and bindings',
    rights: list('rbac.authorization.k8s.io', 'clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'),
  },
  claims: { what: 'PersistentVolumeClaims with their volumes', rights: list('', 'persistentvolumes', 'persistentvolumeclaims') },
  deviceClaims: {
    what: 'ResourceClaims and ResourceClaimTemplates',
    rights: list('resource.k8s.io', 'resourceclaims', 'resourceclaimtemplates'),
  },
  quotas: { what: 'ResourceQuotas', rights: list('', 'resourcequotas') },
  networkPolicies: { what: 'NetworkPolicies', rights: list('networking.k8s.io', 'networkpolicies') },
  limitRanges: { what: 'LimitRanges', rights: list('', 'limitranges') },
  probes: {
    what: 'the answers to pods that are created in dry-run mode',
    rights: [...list('', 'namespaces'), { group: '', resource: 'pods', verbs: ['create'] }],
  },
  labelProbe: {
    what: 'the answer to the removal of a label in dry-run mode, for an identity that may change namespaces and may not label them',
    rights: list('', 'namespaces'),
  },
  proofs: {
    what: 'what pods print that run on nodes for a moment',
    rights: [
      ...list('', 'namespaces', 'nodes', 'events'),
      ...list('apps', 'deployments'),
      { group: '', resource: 'pods', verbs: ['create', 'list', 'delete'] },
      { group: '', resource: 'pods/binding', verbs: ['create'] },
      { group: '', resource: 'pods/log', verbs: ['get'] },
    ],
  },
  kubelets: {
    what: 'configuration and metrics of the kubelets, through the API server',
    rights: [...list('', 'nodes'), { group: '', resource: 'nodes/proxy', verbs: ['get'] }],
  },
};

/** As `needs` of a message: `get on /metrics`, `list on pods`. */
export function printRight(right: Right): string {
  const on = 'path' in right ? right.path : right.group === '' ? right.resource : `${right.resource}.${right.group}`;
  return `${right.verbs.join(' and ')} on ${on}`;
}

export interface RbacRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

/** The rules of a ClusterRole with the rights, each once. */
export function rulesOf(rights: readonly Right[]): readonly RbacRule[] {
  const verbsByTarget = new Map<string, { readonly right: Right; readonly verbs: Set<string> }>();
  for (const right of rights) {
    const key = 'path' in right ? right.path : `${right.group}/${right.resource}`;
    const known = verbsByTarget.get(key) ?? { right, verbs: new Set<string>() };
    for (const verb of right.verbs) known.verbs.add(verb);
    verbsByTarget.set(key, known);
  }
  return [...verbsByTarget.values()].map(({ right, verbs }) =>
    'path' in right
      ? { nonResourceURLs: [right.path], verbs: [...verbs] }
      : {
          apiGroups: [right.group],
          resources: [right.resource],
          ...(right.names && { resourceNames: right.names }),
          verbs: [...verbs],
        },
  );
}
