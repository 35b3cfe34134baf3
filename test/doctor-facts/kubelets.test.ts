import { afterEach, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import type { Fact, KubeletFact } from '../../src/doctor/facts.ts';
import { gatherFacts } from '../../src/doctor-facts/gather.ts';
import { contextWith } from '../support/doctor-facts.ts';
import { type Answer, type FalseApiServer, json, startFalseApiServer } from '../support/false-api-server.ts';

let server: FalseApiServer | undefined;
afterEach(() => server?.stop());

const text =
  (status: number, body: string): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
const METRICS = `# TYPE kubelet_cgroup_version gauge
kubelet_cgroup_version 2
kubelet_started_user_namespaced_pods_errors_total 4
kubelet_started_user_namespaced_pods_total 9
`;
const configz = (userNamespaces?: object) =>
  text(200, JSON.stringify({ kubeletconfig: { maxPods: 110, ...(userNamespaces && { userNamespaces }) } }));

/** @param answers of the kubelets, by the end of the path */
async function kubelets(answers: Readonly<Record<string, Answer>>, nodes = ['worker-1']): Promise<Fact<readonly KubeletFact[]>> {
  server = await startFalseApiServer([
    (response, request) => {
      const [path = ''] = request.url?.split('?') ?? [];
      const answer = Object.entries(answers).find(([end]) => path.endsWith(end))?.[1];
      return (answer ?? json(200, { items: nodes.map((name) => ({ metadata: { name } })) }))(response, request);
    },
  ]);
  const api = await openApi({ kubeconfig: server.kubeconfig });
  if (!api.ok) throw new Error(api.error);
  const context = contextWith();
  const source = { api: api.value, context, target: { service: context.service }, operationsPort: 9443 };
  return (await gatherFacts(['kubelets', 'nodes'], source)).kubelets;
}

test('a kubelet is asked for its configuration and its metrics, through the API server', async () => {
  expect(await kubelets({ configz: configz({ idsPerPod: 131_072 }), metrics: text(200, METRICS) })).toEqual({
    value: [
      {
        node: 'worker-1',
        configuration: { value: { idsPerPod: 131_072 } },
        metrics: { value: { userNamespaceErrors: 4, cgroupVersion: 2 } },
      },
    ],
  });
  expect(server?.requests.map(({ pathname }) => pathname).toSorted()).toEqual([
    '/api/v1/nodes',
    '/api/v1/nodes/worker-1/proxy/configz',
    '/api/v1/nodes/worker-1/proxy/metrics',
  ]);
});

test('a kubelet without the setting has the default of Kubernetes, and metrics that are missing are not known', async () => {
  expect(await kubelets({ configz: configz(), metrics: text(200, '') })).toEqual({
    value: [
      {
        node: 'worker-1',
        configuration: { value: { idsPerPod: 65_536 } },
        metrics: { value: { userNamespaceErrors: undefined, cgroupVersion: undefined } },
      },
    ],
  });
});

test('a missing right makes the fact missing', async () => {
  const forbidden = json(403, { kind: 'Status', message: 'nodes "worker-1" is forbidden' });
  expect(await kubelets({ configz: forbidden, metrics: forbidden })).toEqual({ missing: 'this identity needs get on nodes/proxy' });
});

test.each([
  ['a kubelet that refuses the API server', text(403, 'Forbidden (user=kube-apiserver, verb=get, resource=nodes)'), /says: Forbidden/],
  [
    'a kubelet that is not reached',
    json(503, { kind: 'Status', message: 'error trying to reach service' }),
    /error trying to reach service/,
  ],
  ['a connection that ends', ((response) => response.destroy()) as Answer, /cannot be reached/],
  ['an answer that is no JSON', text(200, 'not found'), /the answer is no JSON/],
])('%s makes only its own configuration missing', async (_, answer, why) => {
  const found = await kubelets({ 'worker-1/proxy/configz': answer, configz: configz(), metrics: text(200, METRICS) }, [
    'worker-1',
    'worker-2',
  ]);
  if ('missing' in found) throw new Error(found.missing);
  expect(found.value.map(({ configuration }) => configuration)).toEqual([
    { missing: expect.stringMatching(why) },
    { value: { idsPerPod: 65_536 } },
  ]);
});
