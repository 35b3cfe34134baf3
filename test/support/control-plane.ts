import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { apiServerProgram, controllerManager, kubernetesBinaries, nodePrograms } from '../../tools/programs/kubernetes.ts';
import { type Client, type Connection, certificateClient } from './client.ts';
import type { Daemons } from './daemons.ts';
import type { KubernetesVariant } from './kubernetes.ts';
import { type Network, startRelay, within } from './network.ts';
import { createAuthority, issueClientCertificate, issueServerCertificate } from './openssl.ts';

/** The controllers that tests see at work: RBAC's aggregated roles, service accounts, workloads' pods, the end of what is deleted, and
 * the type checks of policies. */
const CONTROLLERS = [
  'clusterrole-aggregation-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'root-ca-certificate-publisher-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'daemonset-controller',
  'deployment-controller',
  'disruption-controller',
  'endpointslice-controller',
  'replicaset-controller',
  'job-controller',
  'resourcequota-controller',
  'cronjob-controller',
  'validatingadmissionpolicy-status-controller', // checks the types of CEL
];

/** What pods that run need besides: a healthy node loses the taint that it was born with. */
const NODE_CONTROLLERS = ['node-lifecycle-controller', 'persistentvolume-binder-controller'];

/** Bodies of what writes a pod, who and when for its neighbours; the API server's own chatter is left out. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'Metadata', verbs: ['get', 'list', 'watch'], resources: [{ group: '', resources: ['pods', 'pods/*'] }] },
    { level: 'RequestResponse', resources: [{ group: '', resources: ['pods', 'pods/*'] }] },
    {
      level: 'Metadata',
      verbs: ['create', 'update', 'patch', 'delete', 'deletecollection'],
      resources: [
        { group: '', resources: ['namespaces', 'namespaces/*', 'podtemplates', 'replicationcontrollers', 'secrets'] },
        { group: 'apps' },
        { group: 'batch' },
        { group: 'admissionregistration.k8s.io' },
      ],
    },
    { level: 'None' },
  ],
};

const LOOPBACK = '127.0.0.1';

/** The first address of the range below: pods find it in their environment. */
export const SERVICE_ADDRESS = '10.0.0.1';

export interface ControlPlaneOptions {
  /** Whether kubelets will join. Then there is a scheduler, and the API server asks a node's kubelet at the node's own name. */
  readonly forNodes?: boolean;
  /** Absent: this machine's. */
  readonly network?: Network | undefined;
  /** Further flags of the API server. */
  readonly flags?: readonly string[];
  /** Of the API server alone: the other programs are the pinned ones. */
  readonly kubernetes?: KubernetesVariant;
}

/** etcd, kube-apiserver and a few controllers of kube-controller-manager, on loopback alone. */
export async function startControlPlane(
  daemons: Daemons,
  { forNodes = false, network, flags: further = [], kubernetes = {} }: ControlPlaneOptions = {},
): Promise<Connection> {
  const { folder } = daemons;
  const binaries = await kubernetesBinaries();
  const manager = await controllerManager();
  const [apiPort, etcdPort] = await Promise.all([freePort(), freePort()]);
  const authority = await createAuthority(folder);
  const connection = {
    url: `https://${LOOPBACK}:${apiPort}`,
    folder,
    binaries,
    authority,
    auditFile: join(folder, 'audit.jsonl'),
    ...(network && { network }),
  };
  const etcdUrl = `http://${LOOPBACK}:${etcdPort}`;
  const serviceAccountKey = join(folder, 'service-accounts.key');
  await writeFile(serviceAccountKey, newServiceAccountKey(), { mode: 0o600 });

  daemons.start('etcd', ...within(network, join(binaries, 'etcd'), etcdFlags(folder, etcdUrl)));
  const flags = [
    ...(await apiServerFlags(connection, { etcdUrl, serviceAccountKey })),
    ...(forNodes ? await nodeFlags(connection) : []),
    ...versionFlags(kubernetes),
    ...further,
  ];
  const apiServer = daemons.start('kube-apiserver', ...within(network, await apiServerProgram(kubernetes.version), flags));
  if (network) startRelay(daemons, network, apiPort);
  const { request } = await certificateClient(connection, 'start', ['system:masters']);
  await daemons.ready(apiServer, () => isAnswered(request, '/readyz'), { timeoutMs: 60_000 });

  const { kubeconfig } = await certificateClient(connection, 'system:kube-controller-manager');
  const managerFlags = [
    `--kubeconfig=${kubeconfig}`,
    `--controllers=${[...CONTROLLERS, ...(forNodes ? NODE_CONTROLLERS : [])].join(',')}`,
    `--root-ca-file=${authority.certFile}`,
    `--service-account-private-key-file=${serviceAccountKey}`,
    '--use-service-account-credentials', // each controller asks as itself, as in life
    '--leader-elect=false',
    '--secure-port=0',
  ];
  const controllers = daemons.start('kube-controller-manager', ...within(network, manager, managerFlags));
  await daemons.ready(controllers, () => isAnswered(request, TOP_ROLE, isAggregated), { timeoutMs: 30_000 });
  if (forNodes) await startScheduler(daemons, connection);
  return connection;
}

function versionFlags({ emulated, featureGates }: KubernetesVariant): readonly string[] {
  return [
    ...(emulated === undefined ? [] : [`--emulated-version=${emulated}`]),
    ...(featureGates === undefined ? [] : [`--feature-gates=${featureGates}`]),
  ];
}

async function startScheduler(daemons: Daemons, connection: Connection): Promise<void> {
  const [{ scheduler }, { kubeconfig }] = await Promise.all([nodePrograms(), certificateClient(connection, 'system:kube-scheduler')]);
  const flags = [`--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--secure-port=0'];
  daemons.start('kube-scheduler', ...within(connection.network, scheduler, flags));
}

async function nodeFlags({ folder, authority }: Connection): Promise<readonly string[]> {
  const client = { commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'] };
  const { certFile, keyFile } = await issueClientCertificate(folder, 'kubelet-client', authority, client);
  return [
    '--authorization-mode=Node', // adds to RBAC: a kubelet may do what its pods need
    '--enable-admission-plugins=NodeRestriction',
    `--kubelet-certificate-authority=${authority.certFile}`,
    `--kubelet-client-certificate=${certFile}`,
    `--kubelet-client-key=${keyFile}`,
    '--kubelet-preferred-address-types=Hostname',
    '--enable-aggregator-routing', // there is no kube-proxy: a Service's pods are called by their own addresses
  ];
}

/** `edit` gathers `view`, and `admin` gathers `edit`: a right of `view` that has come up here is everywhere. */
const TOP_ROLE = '/apis/rbac.authorization.k8s.io/v1/clusterroles/admin';

function isAggregated(role: unknown): boolean {
  const { rules } = role as { readonly rules: readonly { readonly resources?: readonly string[] }[] | null };
  return (rules ?? []).some(({ resources = [] }) => resources.includes('pods/log'));
}

async function isAnswered(request: Client['request'], path: string, asWanted: (body: unknown) => boolean = () => true): Promise<boolean> {
  const answer = await request('GET', path).catch(() => undefined);
  return answer?.status === 200 && asWanted(answer.body);
}

function etcdFlags(folder: string, url: string): readonly string[] {
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=http://${LOOPBACK}:0`, // alone, it has no peers
    '--unsafe-no-fsync',
  ];
}

interface ApiServerParts {
  readonly etcdUrl: string;
  readonly serviceAccountKey: string;
}

async function apiServerFlags(connection: Connection, { etcdUrl, serviceAccountKey }: ApiServerParts): Promise<readonly string[]> {
  const { url, folder, authority, auditFile } = connection;
  const names = [`IP:${LOOPBACK}`, `IP:${SERVICE_ADDRESS}`, 'DNS:localhost', 'DNS:kubernetes.default.svc'];
  const serving = await issueServerCertificate(folder, 'kube-apiserver', authority, names);
  const auditPolicy = join(folder, 'audit-policy.json');
  await writeFile(auditPolicy, JSON.stringify(AUDIT_POLICY));
  return [
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${LOOPBACK}`,
    `--advertise-address=${LOOPBACK}`,
    '--endpoint-reconciler-type=none', // no pod looks for the API server, and loopback is refused as an endpoint
    `--secure-port=${new URL(url).port}`,
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--client-ca-file=${authority.certFile}`,
    '--authorization-mode=RBAC',
    '--allow-privileged=true',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${serviceAccountKey}`,
    `--service-account-signing-key-file=${serviceAccountKey}`,
    `--audit-policy-file=${auditPolicy}`,
    `--audit-log-path=${auditFile}`,
    '--audit-log-maxsize=10000', // never rotated: tests read the whole of it
  ];
}

function newServiceAccountKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return String(privateKey.export({ type: 'sec1', format: 'pem' }));
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no free port'))));
    });
  });
}
