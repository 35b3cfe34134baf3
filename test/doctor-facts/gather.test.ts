import { afterEach, expect, test } from 'vitest';
import { ClusterError, openApi } from '../../src/cluster/client.ts';
import type { FactName, Facts } from '../../src/doctor/facts.ts';
import { findService, gatherFacts } from '../../src/doctor-facts/gather.ts';
import { contextWith } from '../support/doctor-facts.ts';
import { type Answer, type FalseApiServer, json, startFalseApiServer } from '../support/false-api-server.ts';

let server: FalseApiServer | undefined;
afterEach(() => server?.stop());

async function gather(names: readonly FactName[], answer: Answer, timeoutMs = 10_000): Promise<Facts> {
  server = await startFalseApiServer([answer]);
  const api = await openApi({ kubeconfig: server.kubeconfig });
  if (!api.ok) throw new Error(api.error);
  const context = contextWith();
  return gatherFacts(names, { api: api.value, context, target: { service: context.service }, operationsPort: 9443, timeoutMs });
}

test('a list that takes too long makes its fact missing, and not the command fail', async () => {
  const { quotas, rbac } = await gather(['quotas', 'rbac'], () => {}, 200);
  expect(quotas).toEqual({ missing: 'the list of ResourceQuota objects took longer than 0.2 s' });
  expect(rbac).toEqual({ missing: expect.stringMatching(/^the list of (?:Cluster)?Role(?:Binding)? objects took longer/) });
});

test('a forbidden request makes its fact missing, with the right', async () => {
  const forbidden = json(403, { kind: 'Status', message: 'nodes is forbidden' });
  const { nodes, admission, serverVersion } = await gather(['nodes', 'admission', 'serverVersion'], forbidden);
  expect(nodes).toEqual({ missing: 'this identity needs list on nodes' });
  expect(admission).toEqual({ missing: 'this identity needs get on /metrics' });
  expect(serverVersion).toEqual({ missing: 'this identity needs get on /version' });
});

test('another error makes its fact missing, with what the API server says', async () => {
  const { nodes } = await gather(['nodes'], json(401, { kind: 'Status', message: 'Unauthorized' }));
  expect(nodes).toEqual({ missing: expect.stringContaining('Unauthorized') });
});

test('an API server that emulates nothing and reports text is no version', async () => {
  const { serverVersion } = await gather(['serverVersion'], json(200, { major: 'x' }));
  expect(serverVersion).toEqual({ missing: expect.stringContaining('reports no version') });
});

test('a fact that no check asked for is not read', async () => {
  const { nodes } = await gather(['serverVersion'], json(200, { major: '1', minor: '36', gitVersion: 'v1.36.3' }));
  expect(nodes).toEqual({ missing: 'no check asked for it' });
  expect(server?.requests).toHaveLength(1);
});

test('an API server without MutatingAdmissionPolicies has none', async () => {
  const { mutatingPolicies } = await gather(['mutatingPolicies'], json(404, { kind: 'Status', message: 'not found' }));
  expect(mutatingPolicies).toEqual({ value: [] });
  expect(server?.requests.map(({ pathname }) => pathname.split('/')[3])).toEqual(['v1', 'v1beta1']);
});

/** As an API server that forbids `/metrics`, has one governed namespace, and admits each pod. */
const withoutMetrics: Answer = (response, request) => {
  const { pathname } = new URL(request.url ?? '', 'http://localhost');
  if (pathname === '/metrics') return json(403, { kind: 'Status', message: 'forbidden' })(response, request);
  const admitted = { metadata: { name: 'p' }, spec: { hostUsers: false, containers: [] } };
  if (request.method === 'POST') return json(201, admitted)(response, request);
  return json(200, { items: [{ metadata: { name: 'team-a', labels: { 'cloister.dev/enforce': 'userns' } } }] })(response, request);
};

test('without dry runs, a forbidden /metrics sends none, and the feature gates are missing', async () => {
  const { gates } = await gather(['gates', 'namespaces'], withoutMetrics);
  expect(gates).toEqual({ missing: 'this identity needs get on /metrics' });
  expect(server?.requests.map(({ pathname }) => pathname).toSorted()).toEqual(['/api/v1/namespaces', '/metrics']);
});

test('with dry runs, the admitted pods show the feature gates where /metrics is forbidden', async () => {
  const { gates } = await gather(['gates', 'probes'], withoutMetrics);
  expect(gates).toEqual({ value: new Map([['UserNamespacesSupport', true]]) });
});

test('no pod is tried in a namespace that is being deleted', async () => {
  const labels = { 'cloister.dev/enforce': 'userns' };
  const items = [{ metadata: { name: 'team-a', labels, deletionTimestamp: '2026-01-01T00:00:00Z' } }];
  const { probes, labelProbe } = await gather(['probes', 'labelProbe'], json(200, { items }));
  expect([probes, labelProbe]).toEqual([{ value: [] }, { value: undefined }]);
  expect(server?.requests.map(({ pathname }) => pathname)).toEqual(['/api/v1/namespaces']);
});

test('the search of the Service that takes too long is an error for the user', async () => {
  server = await startFalseApiServer([() => {}]);
  const api = await openApi({ kubeconfig: server.kubeconfig });
  if (!api.ok) throw new Error(api.error);
  await expect(findService(api.value, 200)).rejects.toThrow(
    new ClusterError('the list of ValidatingWebhookConfiguration objects took longer than 0.2 s', { isRetryable: true }),
  );
});

const byPath =
  (answers: (url: URL) => readonly object[]): Answer =>
  (response, request) =>
    json(200, { items: answers(new URL(request.url ?? '', 'http://localhost')) })(response, request);

const NAMESPACES = [
  { metadata: { name: 'team-a', labels: { 'cloister.dev/enforce': 'userns' } } },
  { metadata: { name: 'lab' } },
  { metadata: { name: 'web' } },
];

test('of the warnings, those of governed namespaces with a known cause are kept, newest first', async () => {
  const event = (namespace: string, message: string, lastTimestamp: string) => ({
    metadata: { namespace },
    involvedObject: { kind: 'Pod', name: 'p', uid: 'u' },
    reason: 'Failed',
    message,
    lastTimestamp,
  });
  const known = 'container ID 70000 cannot be mapped to a host ID';
  const { events } = await gather(
    ['events'],
    byPath(({ pathname, searchParams }) => {
      if (pathname === '/api/v1/namespaces') return NAMESPACES;
      if (pathname !== '/api/v1/events' || !searchParams.get('fieldSelector')?.endsWith('reason=Failed')) return [];
      return [
        event('team-a', known, '2026-01-01T00:00:00Z'),
        event('team-a', known, '2026-01-02T00:00:00Z'),
        event('team-a', 'Back-off pulling image', '2026-01-03T00:00:00Z'),
        event('web', known, '2026-01-04T00:00:00Z'),
      ];
    }),
  );
  expect('value' in events && events.value.map(({ time }) => time)).toEqual([new Date('2026-01-02'), new Date('2026-01-01')]);
  const queries = server?.requests.filter(({ pathname }) => pathname === '/api/v1/events') ?? [];
  expect(queries.map(({ searchParams }) => searchParams.get('fieldSelector')).toSorted()).toEqual(
    ['Failed', 'FailedCreate', 'FailedCreatePodSandBox'].map((reason) => `type=Warning,reason=${reason}`),
  );
});

test('the neighbours are the other pods of a namespace where a pod with a claim has opted in', async () => {
  const claim = (name: string) => ({ volumes: [{ name, persistentVolumeClaim: { claimName: name } }] });
  const optedIn = {
    metadata: { namespace: 'lab', name: 'ws', labels: { 'cloister.dev/profile': 'userns' } },
    spec: { hostUsers: false, containers: [], ...claim('data') },
  };
  const { neighbours, governedPods } = await gather(
    ['neighbours', 'governedPods'],
    byPath(({ pathname, searchParams }) => {
      if (pathname === '/api/v1/namespaces') return NAMESPACES;
      if (pathname === '/api/v1/pods') return searchParams.has('labelSelector') ? [optedIn] : [];
      if (pathname !== '/api/v1/namespaces/lab/pods') return [];
      return [optedIn, { metadata: { namespace: 'lab', name: 'db' }, spec: { containers: [], ...claim('data') } }];
    }),
  );
  expect(neighbours).toEqual({ value: [{ namespace: 'lab', name: 'db', claims: ['data'], walls: [] }] });
  expect('value' in governedPods && governedPods.value.map(({ name, walls }) => [name, walls])).toEqual([['ws', ['userns']]]);
});

test('without a pod that has opted in, no neighbour is read', async () => {
  const { neighbours } = await gather(
    ['neighbours'],
    byPath(({ pathname }) => (pathname === '/api/v1/namespaces' ? NAMESPACES : [])),
  );
  expect(neighbours).toEqual({ value: [] });
  expect(server?.requests.filter(({ pathname }) => pathname.startsWith('/api/v1/namespaces/')).map(({ pathname }) => pathname)).toEqual([
    '/api/v1/namespaces/team-a/pods',
  ]);
});

test('an API server without dynamic resource allocation has no claims for devices', async () => {
  const { deviceClaims } = await gather(['deviceClaims'], json(404, { kind: 'Status', message: 'not found' }));
  expect(deviceClaims).toEqual({ value: [] });
});
