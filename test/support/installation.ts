import { setTimeout as pause } from 'node:timers/promises';
import { version } from '../../src/commands/shared/version.ts';
import type { ApiServer } from './api-server.ts';
import { NAMESPACE, SERVICE } from './ensure.ts';
import { kubelets } from './kubernetes.ts';

const COMPONENT = (component: string) => ({ 'app.kubernetes.io/name': 'cloister', 'app.kubernetes.io/component': component });
const MERGE = { contentType: 'application/merge-patch+json' };

/** What the chart creates beside the objects of `ensure`, on two nodes that no kubelet runs: the pods are made ready by hand. */
export async function createInstallation(apiServer: ApiServer, config: string): Promise<void> {
  const { admin } = apiServer;
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await admin.request('POST', path, body);
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  };
  const base = `namespaces/${NAMESPACE}`;
  const labels = COMPONENT('webhook');
  for (const name of NODES) await createNode(apiServer, name);
  await post(`/api/v1/${base}/configmaps`, { metadata: { name: 'cloister-config', labels }, data: { 'config.yaml': config } });
  const containers = [{ name: 'cloister', image: 'cloister' }];
  await post(`/apis/apps/v1/${base}/deployments`, {
    metadata: { name: SERVICE, labels },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  });
  await post(`/apis/policy/v1/${base}/poddisruptionbudgets`, {
    metadata: { name: SERVICE, labels },
    spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
  });
  await post(`/apis/discovery.k8s.io/v1/${base}/endpointslices`, {
    metadata: { name: 'cloister-1', labels: { 'kubernetes.io/service-name': SERVICE } },
    addressType: 'IPv4',
    ports: [{ name: 'https', port: 8443 }],
    endpoints: [{ addresses: ['10.1.2.3'], conditions: { ready: true } }],
  });
  const cronJob = `/apis/batch/v1/${base}/cronjobs`;
  const template = { spec: { template: { spec: { containers, restartPolicy: 'Never' } } } };
  await post(cronJob, {
    metadata: { name: 'cloister-ensure', labels: COMPONENT('ensure') },
    spec: { schedule: '17 * * * *', jobTemplate: template },
  });
  await admin.request('PATCH', `${cronJob}/cloister-ensure/status`, { status: { lastSuccessfulTime: new Date().toISOString() } }, MERGE);
  await startPods(apiServer);
  for (const node of NODES) await startInstaller(apiServer, node);
}

/** The pod of the chart's DaemonSet on a node, where the seccomp profile is installed. */
export async function startInstaller({ admin }: ApiServer, node: string): Promise<void> {
  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const name = `cloister-node-profile-${node}`;
  const containers = [{ name: 'installed', image: `registry.example.com/cloister:${version()}` }];
  const tolerations = [{ operator: 'Exists' }];
  const pod = { metadata: { name, labels: COMPONENT('node-profile') }, spec: { nodeName: node, containers, tolerations } };
  const created = await admin.request('POST', pods, pod);
  if (created.status !== 201) throw new Error(JSON.stringify(created.body));
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  await admin.request('PATCH', `${pods}/${name}/status`, { status }, MERGE);
}

const NODES = ['worker-1', 'worker-2'];

/** What a kubelet reports of a node with Kata Containers and user namespaces. */
const NODE_INFO = {
  kubeletVersion: kubelets.equal,
  containerRuntimeVersion: 'containerd://2.1.4',
  kernelVersion: '6.12.55+',
  operatingSystem: 'linux',
  osImage: 'Flatcar Container Linux by Kinvolk 4230.2.1 (Oklo)',
} as const;
export const KATA_HANDLERS = ['', 'runc', 'kata-qemu'].map((name) => ({ name, features: { userNamespaces: name !== 'kata-qemu' } }));
export const KATA_LABEL = { 'katacontainers.io/kata-runtime': 'true' };

interface NodeChanges {
  readonly nodeInfo?: Partial<Record<keyof typeof NODE_INFO, string>>;
  readonly runtimeHandlers?: readonly object[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** A node as its kubelet would register it, with what differs. */
export async function createNode(
  { admin }: ApiServer,
  name: string,
  { nodeInfo, runtimeHandlers = KATA_HANDLERS, labels = KATA_LABEL }: NodeChanges = {},
): Promise<void> {
  const created = await admin.request('POST', '/api/v1/nodes', { metadata: { name, labels } });
  if (created.status !== 201) throw new Error(JSON.stringify(created.body));
  const reported = { nodeInfo: { ...NODE_INFO, ...nodeInfo }, runtimeHandlers };
  const { status, body } = await admin.request('PATCH', `/api/v1/nodes/${name}/status`, { status: reported }, MERGE);
  if (status !== 200) throw new Error(JSON.stringify(body));
}

interface PodList {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

async function startPods({ admin }: ApiServer): Promise<void> {
  const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
  let found: PodList['items'] = [];
  while (found.length < 2) {
    found = (await admin.request<PodList>('GET', `${pods}?labelSelector=app.kubernetes.io/component%3Dwebhook`)).body.items;
    await pause(50);
  }
  for (const [index, { metadata }] of found.entries()) {
    const target = { apiVersion: 'v1', kind: 'Node', name: `worker-${index + 1}` };
    await admin.request('POST', `${pods}/${metadata.name}/binding`, { metadata, target });
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    await admin.request('PATCH', `${pods}/${metadata.name}/status`, { status }, MERGE);
  }
}
