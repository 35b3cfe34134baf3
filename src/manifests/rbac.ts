import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../core/object-names.ts';
import { API_GROUP, BACKSTOP_LABELS, LABELER, LABELS, MANAGER } from './labels.ts';
import { type Manifest, policiesWith } from './policies.ts';

export interface Service {
  readonly namespace: string;
  readonly name: string;
}

/** The Secrets that `cloister ensure` keeps for a Service, in its namespace. */
export const authoritySecretOf = ({ name }: Service): string => `${name}-ca`;
export const servingSecretOf = ({ name }: Service): string => `${name}-tls`;

/** The PodTemplate that `cloister ensure` creates in dry runs only, in the namespace of a Service. */
export const fieldProbeOf = ({ name }: Service): string => `${name}-fields`;

const RBAC = 'rbac.authorization.k8s.io/v1';

/** The permissions that policies ask for: to label namespaces, and to change the webhook configurations. */
export function userRoles(): readonly Manifest[] {
  return [
    { name: LABELER, verb: 'label' },
    { name: MANAGER, verb: 'manage' },
  ].map(({ name, verb }) => ({ apiVersion: RBAC, kind: 'ClusterRole', metadata: { name, labels: LABELS }, rules: [mayUse(verb)] }));
}

/** The resource exists only in RBAC. */
function mayUse(verb: string): object {
  return { apiGroups: [API_GROUP], resources: ['profiles'], verbs: [verb] };
}

/** Who manages the Secrets and the caBundle: `cloister ensure`, or another tool, such as cert-manager. */
export const CERTIFICATE_KEEPERS = ['ensure', 'files'] as const;
export type CertificateKeeper = (typeof CERTIFICATE_KEEPERS)[number];

/**
 * The permissions that `cloister ensure` needs, and no others: a service account with its roles and bindings. They name every object that
 * it writes. Creation is also limited to names: `ensure` creates by server-side apply, where the API server knows the name when it authorizes.
 * @param policies of the configuration: those that enforce profiles have its names
 */
export function ensureRoles(service: Service, certificates: CertificateKeeper, policies: readonly Manifest[]): readonly Manifest[] {
  const name = `${service.name}-ensure`;
  const { namespace } = service;
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const bindTo = (kind: string) => ({ roleRef: { apiGroup: RBAC.slice(0, RBAC.indexOf('/')), kind, name }, subjects });
  const secrets = certificates === 'ensure' ? [manage('', 'secrets', [authoritySecretOf(service), servingSecretOf(service)])] : [];
  const metadata = { name, labels: LABELS };
  const ofBackstop = (kind: string): string[] =>
    policies.filter((each) => each.kind === kind && each.metadata.labels === BACKSTOP_LABELS).map((each) => each.metadata.name);
  const backstop = ofBackstop('ValidatingAdmissionPolicy');
  const backstopBindings = ofBackstop('ValidatingAdmissionPolicyBinding');
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...metadata, namespace } },
    {
      apiVersion: RBAC,
      kind: 'Role',
      metadata: { ...metadata, namespace },
      rules: [
        ...secrets,
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list'] },
        // A template runs nothing: this right gives its holder no pod.
        { apiGroups: [''], resources: ['podtemplates'], resourceNames: [fieldProbeOf(service)], verbs: ['create', 'patch'] },
      ],
    },
    { apiVersion: RBAC, kind: 'RoleBinding', metadata: { ...metadata, namespace }, ...bindTo('Role') },
    {
      apiVersion: RBAC,
      kind: 'ClusterRole',
      metadata,
      rules: [
        manage(ADMISSION, 'mutatingwebhookconfigurations', [MUTATING_CONFIGURATION]),
        manage(ADMISSION, 'validatingwebhookconfigurations', [VALIDATING_CONFIGURATION]),
        manage(ADMISSION, POLICIES, [...namesOf('ValidatingAdmissionPolicy'), ...backstop]),
        manage(ADMISSION, BINDINGS, namesOf('ValidatingAdmissionPolicyBinding')),
        // Where a profile is no longer configured, its bindings are found by their label.
        { apiGroups: [ADMISSION], resources: [BINDINGS], verbs: ['list'] },
        ...(backstop.length === 0
          ? []
          : [
              manage(ADMISSION, BINDINGS, backstopBindings, ['delete']),
              // The API server asks for this name, of no object, where a policy is created whose parameters are policies.
              gets(ADMISSION, POLICIES, '*'),
            ]),
        mayUse('manage'),
      ],
    },
    { apiVersion: RBAC, kind: 'ClusterRoleBinding', metadata, ...bindTo('ClusterRole') },
  ];
}

/** What a scan reads. */
export interface ScanScope {
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  /** The namespace of Cloister; undefined: the webhook configurations name it. */
  readonly cloisterNamespace: string | undefined;
  /** The name of the ConfigMap with the configuration; undefined: a file has it. */
  readonly configMap: string | undefined;
  /** Whether it writes Reports of OpenReports. */
  readonly writesReports: boolean;
}

/** Not the name of the roles of the chart, which `kubectl apply` would then replace. */
const SCAN_ROLE = 'cloister-scan-user';

/** The permissions that `cloister scan` needs, and no others: roles without bindings. Named objects are read by a list of one. */
export function scanRoles({ namespaces, cloisterNamespace, configMap, writesReports }: ScanScope): readonly Manifest[] {
  const lists = (apiGroups: readonly string[], resources: readonly string[], resourceNames: readonly string[] = []): object => ({
    apiGroups,
    resources,
    ...(resourceNames.length === 0 ? {} : { resourceNames }),
    verbs: ['list'],
  });
  const reports = { apiGroups: ['openreports.io'], resources: ['reports'], verbs: ['get', 'list', 'create', 'patch', 'update', 'delete'] };
  const ofPods = [lists([''], ['pods', 'events']), ...(writesReports ? [reports] : [])];
  const configMaps = configMap === undefined ? [] : [gets('', 'configmaps', configMap)];
  // The webhook configurations name it.
  const namespaceOfCloister = [
    gets(ADMISSION, 'mutatingwebhookconfigurations', MUTATING_CONFIGURATION),
    gets(ADMISSION, 'validatingwebhookconfigurations', VALIDATING_CONFIGURATION),
  ];
  const servingPods = lists(['discovery.k8s.io'], ['endpointslices']);
  const ofCloister = [...configMaps, ...(configMap !== undefined || cloisterNamespace !== undefined ? [servingPods] : [])];
  const inCluster = [
    lists([''], ['namespaces'], namespaces),
    lists([''], ['nodes']),
    lists(['node.k8s.io'], ['runtimeclasses']),
    ...(namespaces.length === 0 ? ofPods : []),
    ...(cloisterNamespace === undefined ? ofCloister : []),
    ...(configMap !== undefined && cloisterNamespace === undefined ? namespaceOfCloister : []),
  ];
  const inNamespaces = new Map<string, readonly object[]>(namespaces.map((namespace) => [namespace, ofPods]));
  if (cloisterNamespace !== undefined) {
    inNamespaces.set(cloisterNamespace, [...(inNamespaces.get(cloisterNamespace) ?? []), ...ofCloister]);
  }
  const role = (kind: string, rules: readonly object[], namespace?: string): Manifest => ({
    apiVersion: RBAC,
    kind,
    metadata: { name: SCAN_ROLE, ...(namespace !== undefined && { namespace }), labels: LABELS },
    rules,
  });
  return [role('ClusterRole', inCluster), ...[...inNamespaces].map(([namespace, rules]) => role('Role', rules, namespace))];
}

const ADMISSION = 'admissionregistration.k8s.io';

function gets(group: string, resource: string, name: string): object {
  return { apiGroups: [group], resources: [resource], resourceNames: [name], verbs: ['get'] };
}

const POLICIES = 'validatingadmissionpolicies';
const BINDINGS = 'validatingadmissionpolicybindings';

function manage(group: string, resource: string, resourceNames: readonly string[], more: readonly string[] = []): object {
  // Creation by server-side apply needs patch and create.
  return { apiGroups: [group], resources: [resource], resourceNames, verbs: ['get', 'create', 'patch', 'update', ...more] };
}

function namesOf(kind: string): string[] {
  // None of these names depends on the configuration.
  return policiesWith({ profiles: '', ungoverned: '', enforcedByName: '' })
    .filter((each) => each.kind === kind && each.metadata.labels !== BACKSTOP_LABELS)
    .map(({ metadata }) => metadata.name);
}
