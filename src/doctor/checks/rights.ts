import { API_GROUP, LABELER } from '../../manifests/labels.ts';
import { type Context, checkCluster, type Problem, printObjects } from '../check.ts';
import type { PolicyRule, Rbac, RbacSubject } from '../facts.ts';
import { profileByModeIn } from '../in-force.ts';

interface Access {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

const isAny = (written: readonly string[] | undefined, ...wanted: readonly string[]): boolean =>
  (written ?? []).some((each) => each === '*' || wanted.includes(each));

/** Whether a rule gives one of the verbs. A rule for named objects counts too: it may name the objects of Cloister. */
function gives(rule: PolicyRule, { group, resource, verbs }: Access): boolean {
  return isAny(rule.apiGroups, group) && isAny(rule.resources, resource) && isAny(rule.verbs, ...verbs);
}

/**
 * The subjects of the ClusterRoleBindings to roles that give the access, without the administrators: only a group of many identities counts as a holder
 * by the role `cluster-admin`. A right on cluster-scoped objects cannot come from a RoleBinding.
 */
function holdersOf({ roles, bindings }: Rbac, access: readonly Access[]): readonly RbacSubject[] {
  const giving = new Set(
    roles
      .filter(({ namespace, rules }) => namespace === undefined && rules.some((rule) => access.some((each) => gives(rule, each))))
      .map(({ name }) => name),
  );
  const subjects = bindings
    .filter(({ namespace, role }) => namespace === undefined && giving.has(role.name))
    .flatMap((binding) => binding.subjects.filter((each) => binding.role.name !== 'cluster-admin' || isWide(each)));
  return [...new Map(subjects.map((each) => [printSubject(each), each])).values()];
}

function printSubject({ kind, name, namespace }: RbacSubject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

/** Groups that many identities are in. */
const WIDE_GROUP = /^system:(?:authenticated|unauthenticated|serviceaccounts(?::.*)?)$/;
const isWide = ({ kind, name }: RbacSubject): boolean => kind === 'Group' && WIDE_GROUP.test(name);
/** The administrators, the controllers of Kubernetes and Cloister. */
const isKnown = ({ kind, name, namespace }: RbacSubject): boolean =>
  (kind === 'Group' && name === 'system:masters') ||
  namespace === 'kube-system' ||
  name.startsWith('system:kube-') ||
  name.startsWith('system:node');

const LABEL: readonly Access[] = [{ group: API_GROUP, resource: 'profiles', verbs: ['label'] }];

export const labelHolders = checkCluster({
  id: 'label-holders',
  summary: 'No wide group, such as system:authenticated, may change the labels of namespaces.',
  reads: ['rbac'],
  levels: ['warning', 'info'],
  run({ rbac }) {
    const holders = holdersOf(rbac, LABEL).filter((each) => !isKnown(each));
    const wide = holders.filter(isWide).map(printSubject);
    const single = holders.filter((each) => !isWide(each)).map(printSubject);
    const remedy = `Bind the ClusterRole ${LABELER} to single users and service accounts, and take wildcards out of the others' roles.`;
    return [
      ...(wide.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: wide,
              message: `${printObjects(wide)} may change the labels that govern namespaces, and so free its own pods`,
              remedy,
            } as const,
          ]),
      ...(single.length === 0
        ? []
        : [
            {
              level: 'info',
              objects: single,
              message: `beyond the administrators, the labels that govern namespaces can be changed by ${printObjects(single)}`,
              remedy: 'Check that each of them must.',
            } as const,
          ]),
    ];
  },
});

const NAMESPACES: readonly Access[] = [{ group: '', resource: 'namespaces', verbs: ['create', 'update', 'patch'] }];

export const platformLabels = checkCluster({
  id: 'platform-labels',
  summary: 'Every service account that creates namespaces may also label them.',
  reads: ['rbac', 'namespaces'],
  levels: ['warning'],
  run({ rbac, namespaces }, context) {
    const mayLabel = new Set(holdersOf(rbac, LABEL).map(printSubject));
    const creators = holdersOf(rbac, NAMESPACES)
      .filter(({ kind, namespace }) => kind === 'ServiceAccount' && namespace !== 'kube-system' && namespace !== context.service.namespace)
      .map(printSubject)
      .filter((each) => !mayLabel.has(each));
    const ungoverned = namespaces.filter((each) => isForUsers(each.name, context) && profileByModeIn(each, context).enforce === undefined);
    if (creators.length === 0 || ungoverned.length === 0) return [];
    return [
      {
        level: 'warning',
        objects: creators,
        message: `${printObjects(creators)} may create or change namespaces, and may not set labels of Cloister: some platforms, such as Eclipse Che, ignore that refusal, and their namespaces stay ungoverned`,
        remedy: `Bind the ClusterRole ${LABELER} to it, govern its namespaces by name with \`governs\`, or create the namespaces beforehand.`,
      },
    ];
  },
});

/** Namespaces that no platform creates: those of Kubernetes and of Cloister. */
const isForUsers = (name: string, { service }: Context): boolean =>
  name !== 'default' && !name.startsWith('kube-') && name !== service.namespace;

const SWITCHES: readonly Access[] = [
  ...[
    'mutatingwebhookconfigurations',
    'validatingwebhookconfigurations',
    'validatingadmissionpolicies',
    'validatingadmissionpolicybindings',
  ].map((resource) => ({ group: 'admissionregistration.k8s.io', resource, verbs: ['update', 'patch', 'delete', 'deletecollection'] })),
  { group: 'node.k8s.io', resource: 'runtimeclasses', verbs: ['create', 'update', 'patch', 'delete'] },
  { group: '', resource: 'nodes/status', verbs: ['update', 'patch'] },
];

export const webhookWriters = checkCluster({
  id: 'webhook-writers',
  summary: 'Only administrators and Cloister may change webhook configurations, policies, RuntimeClasses and the status of nodes.',
  reads: ['rbac'],
  levels: ['warning'],
  run({ rbac }, { service }): readonly Problem[] {
    const writers = holdersOf(rbac, SWITCHES)
      .filter((each) => !isKnown(each) && !(each.namespace === service.namespace && each.name === `${service.name}-ensure`))
      .map(printSubject);
    if (writers.length === 0) return [];
    return [
      {
        level: 'warning',
        objects: writers,
        message: `beyond the administrators, webhook configurations, policies, RuntimeClasses or the status of nodes can be changed, and Cloister switched off, by ${printObjects(writers)}`,
        remedy: 'Take the right away where it is not needed; cert-manager needs it for its CA injector alone.',
      },
    ];
  },
});

/** The service accounts that governed pods run as, with the rules that RBAC gives to them. */
function rulesOfAccount({ roles, bindings }: Rbac, namespace: string, account: string): readonly BoundRule[] {
  const isBound = (subject: RbacSubject): boolean =>
    (subject.kind === 'ServiceAccount' && subject.name === account && subject.namespace === namespace) ||
    (subject.kind === 'Group' && subject.name === `system:serviceaccounts:${namespace}`);
  return bindings
    .filter((binding) => (binding.namespace === undefined || binding.namespace === namespace) && binding.subjects.some(isBound))
    .flatMap((binding) =>
      roles
        .filter(
          ({ name, namespace: of }) =>
            name === binding.role.name && (binding.role.kind === 'ClusterRole' ? of === undefined : of === binding.namespace),
        )
        .flatMap(({ rules }) => rules.map((rule) => ({ rule, isClusterWide: binding.namespace === undefined }))),
    );
}

interface BoundRule {
  readonly rule: PolicyRule;
  readonly isClusterWide: boolean;
}

const READS = ['get', 'list', 'watch'];
const ESCAPES: readonly Access[] = [
  { group: '', resource: 'secrets', verbs: READS },
  { group: '', resource: 'nodes', verbs: ['create', 'update', 'patch', 'delete'] },
  { group: '', resource: 'nodes/proxy', verbs: ['get', 'create'] },
  { group: '', resource: 'pods', verbs: ['create'] },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings', verbs: ['create', 'update', 'patch'] },
];

export const serviceAccountRights = checkCluster({
  id: 'service-account-rights',
  summary: 'The service accounts of governed pods may only read in their own namespace.',
  reads: ['governedPods', 'rbac'],
  levels: ['error', 'warning'],
  run({ governedPods, rbac }) {
    const accounts = [...new Map(governedPods.map((pod) => [`${pod.namespace}/${pod.serviceAccount}`, pod])).values()];
    const judged = accounts.map(({ namespace, serviceAccount }) => {
      const rules = rulesOfAccount(rbac, namespace, serviceAccount);
      const isEscape = rules.some(({ rule, isClusterWide }) => isClusterWide && ESCAPES.some((each) => gives(rule, each)));
      const isMore = rules.some(
        ({ rule }) =>
          (rule.verbs ?? []).some((verb) => !READS.includes(verb)) || gives(rule, { group: '', resource: 'secrets', verbs: READS }),
      );
      return { name: `${namespace}/${serviceAccount}`, level: isEscape ? 'error' : isMore ? 'warning' : 'ok' };
    });
    const named = (level: string): string[] => judged.filter((each) => each.level === level).map(({ name }) => name);
    const remedy = 'Let workspaces run as a service account without roles, or set `serviceAccountToken: remove` in the profile.';
    const [escapes, more] = [named('error'), named('warning')];
    return [
      ...(escapes.length === 0
        ? []
        : [
            {
              level: 'error',
              objects: escapes,
              message: `workspaces run as ${printObjects(escapes)}, which may read Secrets, create pods, or change nodes or bindings in the whole cluster: no wall holds a workspace with such a token`,
              remedy,
            } as const,
          ]),
      ...(more.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: more,
              message: `workspaces run as ${printObjects(more)}, which may do more than read in its namespace`,
              remedy,
            } as const,
          ]),
    ];
  },
});
