import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from './entries.ts';
import { API_GROUP, LABELER, LABELS } from './labels.ts';
import { type Manifest, policies } from './policies.ts';

export interface Service {
  readonly namespace: string;
  readonly name: string;
}

/** The Secrets that `cloister ensure` keeps for a Service, in its namespace. */
export const authoritySecretOf = ({ name }: Service): string => `${name}-ca`;
export const servingSecretOf = ({ name }: Service): string => `${name}-tls`;

const RBAC = 'rbac.authorization.k8s.io/v1';

/** Its holders may label namespaces. */
export function labelerRole(): Manifest {
  return {
    apiVersion: RBAC,
    kind: 'ClusterRole',
    metadata: { name: LABELER, labels: LABELS },
    rules: [{ apiGroups: [API_GROUP], resources: ['profiles'], verbs: ['label'] }],
  };
}

/** Who keeps the Secrets and the caBundle: `cloister ensure`, or somebody else, such as cert-manager. */
export const CERTIFICATE_KEEPERS = ['ensure', 'files'] as const;
export type CertificateKeeper = (typeof CERTIFICATE_KEEPERS)[number];

/**
 * What `cloister ensure` may do, and nothing beyond it: a service account with its roles and bindings. Every object that it writes is named.
 * That holds for creating too, since it creates by server-side apply, where the API server knows the name when it asks for the right.
 */
export function ensureRoles(service: Service, certificates: CertificateKeeper): readonly Manifest[] {
  const name = `${service.name}-ensure`;
  const { namespace } = service;
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const bindTo = (kind: string) => ({ roleRef: { apiGroup: RBAC.slice(0, RBAC.indexOf('/')), kind, name }, subjects });
  const secrets = certificates === 'ensure' ? [keep('', 'secrets', [authoritySecretOf(service), servingSecretOf(service)])] : [];
  const metadata = { name, labels: LABELS };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...metadata, namespace } },
    {
      apiVersion: RBAC,
      kind: 'Role',
      metadata: { ...metadata, namespace },
      rules: [...secrets, { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list'] }],
    },
    { apiVersion: RBAC, kind: 'RoleBinding', metadata: { ...metadata, namespace }, ...bindTo('Role') },
    {
      apiVersion: RBAC,
      kind: 'ClusterRole',
      metadata,
      rules: [
        keep(ADMISSION, 'mutatingwebhookconfigurations', [MUTATING_CONFIGURATION]),
        keep(ADMISSION, 'validatingwebhookconfigurations', [VALIDATING_CONFIGURATION]),
        keep(ADMISSION, 'validatingadmissionpolicies', namesOf('ValidatingAdmissionPolicy')),
        keep(ADMISSION, 'validatingadmissionpolicybindings', namesOf('ValidatingAdmissionPolicyBinding')),
      ],
    },
    { apiVersion: RBAC, kind: 'ClusterRoleBinding', metadata, ...bindTo('ClusterRole') },
  ];
}

const ADMISSION = 'admissionregistration.k8s.io';

function keep(group: string, resource: string, resourceNames: readonly string[]): object {
  // Creating by server-side apply takes patch and create.
  return { apiGroups: [group], resources: [resource], resourceNames, verbs: ['get', 'create', 'patch', 'update'] };
}

function namesOf(kind: string): string[] {
  return policies()
    .filter((each) => each.kind === kind)
    .map(({ metadata }) => metadata.name);
}
