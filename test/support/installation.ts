import { setTimeout as pause } from 'node:timers/promises';
import type { ApiServer } from './api-server.ts';
import { NAMESPACE, SERVICE } from './ensure.ts';

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
  for (const name of ['worker-1', 'worker-2']) await createNode(apiServer, name, 'v1.36.3');
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
}

export async function createNode({ admin }: ApiServer, name: string, kubeletVersion: string): Promise<void> {
  await admin.request('POST', '/api/v1/nodes', { metadata: { name } });
  const { status, body } = await admin.request(
    'PATCH',
    `/api/v1/nodes/${name}/status`,
    { status: { nodeInfo: { kubeletVersion } } },
    MERGE,
  );
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
