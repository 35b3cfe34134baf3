import { API_GROUP, LABELER } from '../../manifests/labels.ts';
import { type Context, checkCluster, LEFT_OUT, type Problem, printObjects } from '../check.ts';
import type { PolicyRule, Rbac, RbacSubject } from '../facts.ts';
import { profileByModeIn } from '../in-force.ts';
import { hasClass } from '../landings.ts';
import { printRight } from '../rights.ts';

interface Access {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

const isAny = (written: readonly string[] | undefined, ...wanted: readonly string[]): boolean =>
  (written ?? []).some((each) => each === '*' || wanted.includes(each));

/** Whether a rule gives one of the verbs. A rule for named objects counts too: it may name the objects of Cloister. */
function gives(rule: PolicyRule, { group, resource, verbs }: Access): boolean {
  const [, subresource] = resource.split('/');
  const everywhere = subresource === undefined ? [] : [`*/${subresource}`];
  return isAny(rule.apiGroups, group) && isAny(rule.resources, resource, ...everywhere) && isAny(rule.verbs, ...verbs);
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
    const remedy = `Bind the ClusterRole ${LABELER} only to single users and service accounts, and remove wildcards from the other roles of these groups.`;
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
              message: `not only administrators can change the labels that govern namespaces: ${printObjects(single)} can, too`,
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

const ADMISSION_RESOURCES = [
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
];
const MUTATING_POLICIES = ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'];
const SWITCHES: readonly Access[] = [
  ...ADMISSION_RESOURCES.map((resource) => ({
    group: 'admissionregistration.k8s.io',
    resource,
    verbs: ['update', 'patch', 'delete', 'deletecollection'],
  })),
  { group: '', resource: 'nodes/status', verbs: ['update', 'patch'] },
];
const CLASSES: readonly Access[] = [
  { group: 'node.k8s.io', resource: 'runtimeclasses', verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'] },
];

export const webhookWriters = checkCluster({
  id: 'webhook-writers',
  summary: 'Only administrators and Cloister may change webhook configurations, policies and the status of nodes.',
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
        message: `not only administrators can switch Cloister off: ${printObjects(writers)} can change webhook configurations, policies or the status of nodes`,
        remedy: 'Take the right away where it is not needed; cert-manager needs it for its CA injector alone.',
      },
    ];
  },
});

export const classWritable = checkCluster({
  id: 'class-writable',
  summary: 'Only administrators may write RuntimeClasses.',
  reads: ['rbac'],
  levels: ['warning'],
  run({ rbac }, { profiles }) {
    if (![...profiles.values()].some(hasClass)) return LEFT_OUT;
    const writers = holdersOf(rbac, CLASSES)
      .filter((each) => !isKnown(each))
      .map(printSubject);
    if (writers.length === 0) return [];
    return [
      {
        level: 'warning',
        objects: writers,
        message: `beyond the administrators, RuntimeClasses can be written, and a profile led to an ordinary runtime, by ${printObjects(writers)}`,
        remedy: 'Take the right away where it is not needed; the installer of a runtime needs it while it installs.',
      },
    ];
  },
});

/** The rules that RBAC gives to a service account that governed pods run as. A pod may also leave its token out, and be unauthenticated. */
function rulesOfAccount({ roles, bindings }: Rbac, namespace: string, account: string): readonly BoundRule[] {
  const groups = ['system:authenticated', 'system:unauthenticated', 'system:serviceaccounts', `system:serviceaccounts:${namespace}`];
  const isBound = (subject: RbacSubject): boolean =>
    (subject.kind === 'ServiceAccount' && subject.name === account && subject.namespace === namespace) ||
    (subject.kind === 'User' && subject.name === `system:serviceaccount:${namespace}:${account}`) ||
    (subject.kind === 'Group' && groups.includes(subject.name));
  return bindings
    .filter((binding) => binding.subjects.some(isBound))
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
const WRITES = ['create', 'update', 'patch', 'delete', 'deletecollection'];
const accessTo = (group: string, resources: readonly string[], verbs: readonly string[]): readonly Access[] =>
  resources.map((resource) => ({ group, resource, verbs }));

/** Rights that lead out of every wall where they hold in the whole cluster. Source: https://kubernetes.io/docs/concepts/security/rbac-good-practices/ */
const ESCAPES: readonly Access[] = [
  ...accessTo('', ['secrets'], READS),
  ...accessTo('', ['nodes', 'nodes/status'], WRITES),
  ...accessTo('', ['nodes/proxy'], ['get', ...WRITES]),
  ...accessTo('', ['pods', 'serviceaccounts/token'], ['create']),
  ...accessTo('', ['pods/exec', 'pods/attach'], ['get', 'create']),
  ...accessTo('', ['pods/ephemeralcontainers'], ['update', 'patch']),
  ...accessTo('', ['replicationcontrollers'], ['create', 'update', 'patch']),
  ...accessTo('apps', ['deployments', 'daemonsets', 'statefulsets', 'replicasets'], ['create', 'update', 'patch']),
  ...accessTo('batch', ['jobs', 'cronjobs'], ['create', 'update', 'patch']),
  ...accessTo('', ['users', 'groups', 'serviceaccounts'], ['impersonate']),
  ...accessTo('rbac.authorization.k8s.io', ['clusterrolebindings', 'rolebindings'], ['create', 'update', 'patch']),
  ...accessTo('rbac.authorization.k8s.io', ['clusterroles', 'roles'], ['bind', 'escalate']),
  ...accessTo('admissionregistration.k8s.io', [...ADMISSION_RESOURCES, ...MUTATING_POLICIES], WRITES),
  ...accessTo('node.k8s.io', ['runtimeclasses'], WRITES),
  ...LABEL,
];

/** Every identity may ask about itself. */
const SELF_REVIEWS = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'];
const isSelfReview = ({ resources = [] }: PolicyRule): boolean =>
  resources.length > 0 && resources.every((each) => SELF_REVIEWS.includes(each));
const doesMoreThanRead = (rule: PolicyRule): boolean =>
  !isSelfReview(rule) && ((rule.verbs ?? []).some((verb) => !READS.includes(verb)) || ESCAPES.some((each) => gives(rule, each)));

/** The first right that leads out of every wall, as `create on pods`. */
function wayOutOf(rules: readonly BoundRule[]): string | undefined {
  const wide = rules.filter(({ isClusterWide }) => isClusterWide);
  const found = ESCAPES.find((access) => wide.some(({ rule }) => gives(rule, access)));
  return (
    found &&
    printRight({ ...found, verbs: found.verbs.filter((verb) => wide.some(({ rule }) => gives(rule, { ...found, verbs: [verb] }))) })
  );
}

export const serviceAccountRights = checkCluster({
  id: 'service-account-rights',
  summary: 'The service accounts of governed pods may only read, and not Secrets.',
  reads: ['governedPods', 'rbac'],
  levels: ['error', 'warning'],
  run({ governedPods, rbac }): readonly Problem[] {
    const accounts = [...new Map(governedPods.map((pod) => [`${pod.namespace}/${pod.serviceAccount}`, pod])).values()];
    const judged = accounts.map(({ namespace, serviceAccount }) => {
      const rules = rulesOfAccount(rbac, namespace, serviceAccount);
      const name = `${namespace}/${serviceAccount}`;
      return { name, wayOut: wayOutOf(rules), isMore: rules.some(({ rule }) => doesMoreThanRead(rule)) };
    });
    const remedy = 'Let workspaces run as a service account without roles, or set `serviceAccountToken: remove` in the profile.';
    const escaping = Map.groupBy(
      judged.filter(({ wayOut }) => wayOut !== undefined),
      ({ wayOut }) => wayOut,
    );
    const more = judged.filter(({ wayOut, isMore }) => wayOut === undefined && isMore).map(({ name }) => name);
    return [
      ...[...escaping].map(([wayOut, group]): Problem => {
        const objects = group.map(({ name }) => name);
        return {
          level: 'error',
          objects,
          message: `workspaces run as ${printObjects(objects)}, with ${wayOut} in the whole cluster: no wall holds a workspace with such a token`,
          remedy,
        };
      }),
      ...(more.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: more,
              message: `workspaces run as ${printObjects(more)}, which may do more than read`,
              remedy,
            } as const,
          ]),
    ];
  },
});
