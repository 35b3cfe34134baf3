import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { type Client, type Connection, certificateClient, type Finished, tokenClient } from './client.ts';
import { startControlPlane } from './control-plane.ts';
import { Daemons } from './daemons.ts';
import { type KubernetesVariant, readVariant, VARIANT } from './kubernetes.ts';
import { startNetwork } from './network.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly apiServer: Connection;
  }
}

/** A real kube-apiserver with RBAC, default admission and an audit log. Its stored objects, audit log and metrics are the truth that tests read. */
export interface ApiServer {
  readonly connection: Connection;
  readonly url: string;
  readonly caFile: string;
  /** In system:masters: may do everything. */
  readonly admin: Client;
  /** A user with a certificate; without rights until a binding gives some. */
  client(user: string, groups?: readonly string[]): Promise<Client>;
  /** The service account itself, by a token as a pod of it would have. */
  serviceAccount(namespace: string, name: string): Promise<Client>;
  kubeconfig(user: string, groups?: readonly string[]): Promise<string>;
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<Finished>;
  /** Creates a namespace that pods can be created in: its `default` service account exists. */
  createNamespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** A user who holds a ClusterRole in one namespace. */
  createTenant(namespace: string, name: string, options?: { readonly clusterRole?: string }): Promise<Client>;
  createRuntimeClass(name: string, runtimeClass: RuntimeClass): Promise<void>;
  auditLog(): Promise<readonly AuditEvent[]>;
  /** The first event so far, or the next one to come, that matches: the log may follow the answer by a moment. */
  auditEvent(matches: (event: AuditEvent) => boolean): Promise<AuditEvent>;
  /** The API server's own, in Prometheus's text format. */
  metrics(): Promise<string>;
}

export interface KubectlOptions {
  /** `admin` or the path of a kubeconfig. */
  readonly as?: string;
  readonly input?: string;
}

export interface RuntimeClass {
  readonly handler: string;
  readonly overhead?: { readonly podFixed: Readonly<Record<string, string>> };
  readonly scheduling?: { readonly nodeSelector?: Readonly<Record<string, string>>; readonly tolerations?: readonly object[] };
}

export interface AuditEvent {
  readonly auditID: string;
  readonly level: 'Metadata' | 'Request' | 'RequestResponse';
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly objectRef?: {
    readonly resource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
  };
  readonly responseStatus?: { readonly code?: number; readonly message?: string; readonly reason?: string };
  readonly requestObject?: unknown;
  readonly responseObject?: unknown;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ApiServerOptions {
  /** Whether it is in a network of its own, where pods can have addresses. */
  readonly hasNetwork?: boolean;
  /** Further flags of kube-apiserver. */
  readonly flags?: readonly string[];
  /** Absent: the one of the project of this test. */
  readonly kubernetes?: KubernetesVariant;
}

export async function startApiServer({
  hasNetwork = false,
  flags = [],
  kubernetes = readVariant(process.env[VARIANT]),
}: ApiServerOptions = {}): Promise<ApiServer & { stop(): Promise<void> }> {
  const daemons = await Daemons.create('api-server');
  try {
    const network = hasNetwork ? await startNetwork(daemons) : undefined;
    const apiServer = await connectApiServer(await startControlPlane(daemons, { network, flags, kubernetes }));
    return { ...apiServer, stop: () => daemons.stop() };
  } catch (error) {
    await daemons.stop();
    throw error;
  }
}

/** The API server that all test files of a run share: keep to namespaces and names of your own. */
export function useApiServer(): Promise<ApiServer> {
  return connectApiServer(inject('apiServer'));
}

export async function connectApiServer(connection: Connection): Promise<ApiServer> {
  const admin = await certificateClient(connection, 'admin', ['system:masters']);
  const client: ApiServer['client'] = (user, groups) => certificateClient(connection, user, groups);
  const auditLog: ApiServer['auditLog'] = () => readAuditLog(connection.auditFile);
  return {
    connection,
    url: connection.url,
    caFile: connection.authority.certFile,
    admin,
    client,
    auditLog,
    serviceAccount: (namespace, name) => serviceAccountClient(connection, admin, namespace, name),
    kubeconfig: async (user, groups) => (await client(user, groups)).kubeconfig,
    kubectl: (args, { as = 'admin', input = '' } = {}) => admin.kubectl(as === 'admin' ? args : [`--kubeconfig=${as}`, ...args], { input }),
    createNamespace: (name, labels = {}) => createNamespace(admin, name, labels),
    createTenant: async (namespace, name, { clusterRole = 'edit' } = {}) => {
      const tenant = await client(name);
      await bind(admin, tenant, namespace, clusterRole);
      return tenant;
    },
    async createRuntimeClass(name, runtimeClass) {
      await create(admin, '/apis/node.k8s.io/v1/runtimeclasses', { metadata: { name }, ...runtimeClass });
    },
    auditEvent: (matches) => eventually('an audit event', async () => (await auditLog()).find(matches)),
    metrics: async () => (await admin.request<string>('GET', '/metrics')).body,
  };
}

async function createNamespace(admin: Client, name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  await create(admin, '/api/v1/namespaces', { metadata: { name, labels } });
  await eventually(`the default service account of ${name}`, async () => {
    const { status } = await admin.request('GET', `/api/v1/namespaces/${name}/serviceaccounts/default`);
    return status === 200 || undefined;
  });
}

/** The authorizer sees a binding a moment after it is stored: waits until the user's rights have grown. */
async function bind(admin: Client, user: Client, namespace: string, clusterRole: string): Promise<void> {
  const before = await rightsOf(user, namespace);
  await create(admin, `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
    metadata: { name: `${user.user}-${clusterRole}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: clusterRole },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user.user }],
  });
  await eventually(`${user.user}'s rights in ${namespace}`, async () => (await rightsOf(user, namespace)) > before || undefined);
}

interface RulesReview {
  readonly status: { readonly resourceRules: readonly unknown[] };
}

async function rightsOf(user: Client, namespace: string): Promise<number> {
  const review = await create<RulesReview>(user, '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: { namespace } });
  return review.status.resourceRules.length;
}

interface TokenRequest {
  readonly status: { readonly token: string };
}

async function serviceAccountClient(connection: Connection, admin: Client, namespace: string, name: string): Promise<Client> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { status } = await create<TokenRequest>(admin, path, { spec: {} });
  return tokenClient(connection, `system:serviceaccount:${namespace}:${name}`, status.token);
}

/** For what a test takes for granted: anything but success is an error that says what the API server said. */
async function create<Body>(client: Client, path: string, object: object): Promise<Body> {
  const { status, body } = await client.request<Body>('POST', path, object);
  if (status >= 300) throw new Error(`POST ${path} as ${client.user}: ${status} ${JSON.stringify(body)}`);
  return body;
}

async function readAuditLog(file: string): Promise<readonly AuditEvent[]> {
  const content = await readFile(file, 'utf8');
  const whole = content.slice(0, content.lastIndexOf('\n') + 1); // the last line may still be on its way
  return whole.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as AuditEvent]));
}

const PATIENCE_MS = 10_000;

async function eventually<T>(what: string, find: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${PATIENCE_MS} ms`);
    await sleep(20);
  }
}
