import { afterEach, describe, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import { NO_GOVERNANCE } from '../../src/core/governance.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { gvisor } from '../../src/core/profiles/gvisor.ts';
import { makeProfile } from '../../src/core/profiles/profile.ts';
import { userns } from '../../src/core/profiles/userns.ts';
import { type Scanned, scan } from '../../src/scan/scan.ts';
import type { ScanSettings } from '../../src/scan/types.ts';
import { type Answer, type FalseApiServer, json, startFalseApiServer } from '../support/false-api-server.ts';

/** What a real API server cannot be made to do; test/api-server/scan.test.ts has the rest. */

let server: FalseApiServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const NOW = new Date('2030-01-01T12:00:00Z');
const list = (items: readonly object[], token?: string): Answer => json(200, { metadata: { continue: token }, items });
const forbidden = (what: string): Answer => json(403, { kind: 'Status', message: `${what} is forbidden` });
const namespaces = (count: number): object[] =>
  Array.from({ length: count }, (_, index) => ({ metadata: { name: `ns-${index}`, labels: { 'cloister.dev/enforce': 'userns' } } }));
const pod = (namespace: string, name: string, spec: object = {}, metadata: object = {}): object => ({
  metadata: { namespace, name, uid: `${namespace}-${name}`, creationTimestamp: '2030-01-01T00:00:00Z', ...metadata },
  spec: { hostUsers: false, nodeName: 'worker-1', containers: [{ name: 'a', image: 'b' }], ...spec },
  status: { phase: 'Running' },
});

/** @param answers by path; the first whose path is a prefix of the request's counts */
async function scanWith(
  answers: Readonly<Record<string, Answer>>,
  settings: Partial<ScanSettings> = {},
  signal = new AbortController().signal,
) {
  server = await startFalseApiServer([
    (response, request) => {
      const [, answer = list([])] = Object.entries(answers).find(([path]) => request.url?.startsWith(path)) ?? [];
      return answer(response, request);
    },
  ]);
  const api = await openApi({ kubeconfig: server.kubeconfig, whenForbidden: 'ask for the right' });
  if (!api.ok) throw new Error(api.error);
  const whole: ScanSettings = {
    profiles: new Map([['userns', makeProfile('userns', userns, {})]]),
    exemptions: [],
    governance: NO_GOVERNANCE,
    preview: undefined,
    namespaces: [],
    labels: undefined,
    excluded: new Set(),
    pageSize: 2,
    now: NOW,
    ...settings,
  };
  return scan(api.value, whole, { signal });
}

const titles = ({ rows }: Scanned): string[] => rows.map(({ namespace, name }) => `${namespace}/${name}`);

describe('which lists are read', () => {
  test('where one list of all pods is forbidden, the namespaces are read one by one', async () => {
    const result = await scanWith({
      '/api/v1/namespaces?': list(namespaces(25)),
      '/api/v1/namespaces/ns-3/pods': list([pod('ns-3', 'a')]),
      '/api/v1/namespaces/ns-4/pods': forbidden('pods in ns-4'),
      '/api/v1/pods?': forbidden('pods'),
    });
    expect(titles(result)).toEqual(['ns-3/a']);
    expect(result.incomplete).toEqual([
      expect.stringMatching(/^cannot list Pod objects in ns-4: .*pods in ns-4 is forbidden; ask for the right$/),
    ]);
    expect(result.namespaces).toHaveLength(24);
    expect(result.namespaces).not.toContain('ns-4');
  });

  test('a cluster of many namespaces with five governed ones costs few requests', async () => {
    const others = Array.from({ length: 495 }, (_, index) => ({ metadata: { name: `other-${index}` } }));
    await scanWith({ '/api/v1/namespaces?': list([...namespaces(5), ...others]) });
    expect(server?.requests.length).toBeLessThanOrEqual(9);
  });

  test('with a selector no namespace counts as read completely', async () => {
    const answers = { '/api/v1/namespaces?': list(namespaces(1)), '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'a')]) };
    const result = await scanWith(answers, { labels: 'app=web' });
    expect(result.namespaces).toEqual([]);
    const query = server?.requests.find(({ pathname }) => pathname.endsWith('/ns-0/pods'))?.searchParams;
    expect(query?.get('labelSelector')).toBe('app=web');
    expect(query?.get('fieldSelector')).toBe('status.phase!=Succeeded,status.phase!=Failed');
  });
});

test.each([
  ['/api/v1/nodes', forbidden('nodes')],
  ['/api/v1/nodes', json(400, {})],
  ['/apis/node.k8s.io/v1/runtimeclasses', forbidden('classes')],
  ['/apis/node.k8s.io/v1/runtimeclasses', json(400, {})],
])('without %s no namespace counts as read completely, so that no Report is deleted', async (path, refusal) => {
  const answers = { '/api/v1/namespaces?': list(namespaces(1)), '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'a')]) };
  expect((await scanWith(answers)).namespaces).toEqual(['ns-0']);
  await server?.stop();
  expect((await scanWith({ ...answers, [path]: refusal })).namespaces).toEqual([]);
});

describe('what a scan says of itself', () => {
  test('a list that goes on at a later moment is reported', async () => {
    let requests = 0;
    const pods: Answer = (response, request) => {
      requests += 1;
      const answers = [
        list([pod('ns-0', 'a')], 't1'),
        json(410, { message: 'too old', metadata: { continue: 't2' } }),
        list([pod('ns-0', 'b')]),
      ];
      return answers[requests - 1]?.(response, request);
    };
    const result = await scanWith({ '/api/v1/namespaces?': list(namespaces(1)), '/api/v1/namespaces/ns-0/pods': pods });
    expect([titles(result), result.isInconsistent, result.incomplete]).toEqual([['ns-0/a', 'ns-0/b'], true, []]);
  });

  test('a scan that is ended keeps what it read, and is incomplete', async () => {
    const controller = new AbortController();
    const silent: Answer = () => setTimeout(() => controller.abort(new Error('the time is over')), 50);
    const result = await scanWith(
      {
        '/api/v1/namespaces?': list(namespaces(1)),
        '/api/v1/namespaces/ns-0/pods?limit=2&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed&continue': silent,
        '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'a')], 't1'),
        '/api/v1/pods': silent,
      },
      {},
      controller.signal,
    );
    expect([titles(result), result.incomplete, result.namespaces]).toEqual([['ns-0/a'], ['the time is over'], []]);
  });

  test('a forbidden list of nodes is a note, and a failed one makes the scan incomplete', async () => {
    const answers = { '/api/v1/namespaces?': list(namespaces(1)), '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'a')]) };
    const withoutRight = await scanWith({ ...answers, '/api/v1/nodes': forbidden('nodes') });
    expect([withoutRight.incomplete, withoutRight.rows[0]?.wall.state]).toEqual([[], 'claimed']);
    expect(withoutRight.notes).toEqual([expect.stringMatching(/nodes is forbidden; ask for the right: no wall is proven by the nodes\.$/)]);
    await server?.stop();
    const failed = await scanWith({ ...answers, '/api/v1/nodes': json(400, { message: 'bad request' }) });
    expect([failed.incomplete, failed.rows[0]?.wall.state]).toEqual([[expect.stringMatching(/bad request$/)], 'claimed']);
  });
});

describe('pods', () => {
  const answersWith = (...pods: readonly object[]) => ({
    '/api/v1/namespaces?': list(namespaces(1)),
    '/api/v1/namespaces/ns-0/pods': list(pods),
  });

  test('a pod that is being deleted is judged until its grace period is over, and is then counted', async () => {
    const deleted = (name: string, deletionTimestamp: string) => pod('ns-0', name, { hostUsers: true }, { deletionTimestamp });
    const result = await scanWith(answersWith(deleted('gone', '2030-01-01T12:00:00Z'), deleted('runs', '2060-01-01T00:00:00Z')));
    expect(result.rows.map(({ name, verdict }) => [name, verdict])).toEqual([['runs', 'escapes']]);
    expect(result.notes).toEqual(['Not judged, because the time is over until which they had to be deleted: 1 pod.']);
  });

  test('a pod that cannot be decoded is unjudged', async () => {
    const { rows } = await scanWith(answersWith(pod('ns-0', 'odd', { hostUsers: 'no' })));
    expect(rows.map(({ name, verdict, wall, notes }) => [name, verdict, wall.state, notes])).toEqual([
      ['odd', 'unjudged', 'claimed', ['the pod cannot be decoded: spec.hostUsers must be true or false']],
    ]);
  });

  test('a claim that a pod without a wall may write to is reported', async () => {
    const volumes = [{ name: 'home', persistentVolumeClaim: { claimName: 'home' } }];
    const result = await scanWith(answersWith(pod('ns-0', 'walled', { volumes }), pod('ns-0', 'open', { volumes, hostUsers: true })));
    const walled = result.rows.find(({ name }) => name === 'walled');
    expect(walled?.wall.findings.map(({ check, message }) => [check, message])).toContainEqual([
      'shared-claim',
      'claim home is also mounted by pod open, which has no wall',
    ]);
  });

  test('pods that have a wall may share a claim, and no pod is reported to share with itself', async () => {
    const volumes = [{ name: 'home', persistentVolumeClaim: { claimName: 'home' } }];
    const alone = [{ name: 'own', persistentVolumeClaim: { claimName: 'own' } }];
    const { rows } = await scanWith(
      answersWith(pod('ns-0', 'a', { volumes }), pod('ns-0', 'b', { volumes }), pod('ns-0', 'open', { volumes: alone, hostUsers: true })),
    );
    expect(rows.flatMap(({ wall }) => wall.findings.map(({ check }) => check))).not.toContain('shared-claim');
  });

  test('of several pods without a wall that share a claim, each is reported to each other pod', async () => {
    const volumes = [{ name: 'home', persistentVolumeClaim: { claimName: 'home' } }];
    const open = (name: string) => pod('ns-0', name, { volumes, hostUsers: true });
    const { rows } = await scanWith(answersWith(open('a'), pod('ns-0', 'walled', { volumes }), open('b')));
    const sharers = rows.map(({ name, wall }) => [name, wall.findings.find(({ check }) => check === 'shared-claim')?.message]);
    expect(Object.fromEntries(sharers)).toEqual({
      a: 'claim home is also mounted by pod b, which has no wall',
      b: 'claim home is also mounted by pod a, which has no wall',
      walled: 'claim home is also mounted by pod a, which has no wall',
    });
  });

  test('a pod whose wall only a warning misses is not reported to share a claim', async () => {
    const volumes = [{ name: 'home', persistentVolumeClaim: { claimName: 'home' } }];
    const labels = { 'cloister.dev/enforce': 'userns', 'cloister.dev/warn': 'gvisor' };
    const { rows } = await scanWith(
      {
        '/api/v1/namespaces?': list([{ metadata: { name: 'ns-0', labels } }]),
        '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'a', { volumes }), pod('ns-0', 'b', { volumes })]),
      },
      { profiles: new Map([userns, gvisor].map((backend) => [backend.id, makeProfile(backend.id, backend, {})])) },
    );
    expect(rows).toHaveLength(4);
    expect(rows.flatMap(({ wall }) => wall.findings.map(({ check }) => check))).not.toContain('shared-claim');
  });

  const MIRROR = { annotations: { 'kubernetes.io/config.mirror': 'b1946ac9' } };
  const ownerOf = (fields: object = {}) => ({
    ...MIRROR,
    ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: 'n-1', ...fields }],
  });
  test.each([
    ['the annotation and its node as owner', ownerOf(), true],
    ['no owner', MIRROR, false],
    ['another owner', ownerOf({ kind: 'ReplicaSet' }), false],
    ['another node as owner', ownerOf({ name: 'worker-2' }), false],
    ['a node of another UID as owner', ownerOf({ uid: 'n-2' }), false],
    ['no annotation', { ...ownerOf(), annotations: {} }, false],
  ])('a pod with %s: is it taken for a mirror of a static pod?', async (_, metadata, isMirror) => {
    const nodes = list([{ metadata: { name: 'worker-1', uid: 'n-1' } }]);
    const { rows, mirrors } = await scanWith({ ...answersWith(pod('ns-0', 'a', {}, metadata)), '/api/v1/nodes': nodes });
    expect([rows.length, mirrors]).toEqual(isMirror ? [0, ['ns-0/a']] : [1, []]);
  });

  test('where the nodes cannot be read, the name of the node shows a mirror', async () => {
    const nodes = forbidden('nodes');
    const answers = answersWith(pod('ns-0', 'a', {}, ownerOf({ uid: 'n-2' })), pod('ns-0', 'b', {}, MIRROR));
    const result = await scanWith({ ...answers, '/api/v1/nodes': nodes });
    expect([titles(result), result.mirrors]).toEqual([['ns-0/b'], ['ns-0/a']]);
  });

  test('notes from events are of workloads that cannot create pods, come last, and at most 20 are printed', async () => {
    const event = (name: string, fields: object = {}) => ({
      involvedObject: { kind: 'ReplicaSet', name },
      reason: 'FailedCreate',
      message: 'violates PodSecurity "restricted:latest"',
      ...fields,
    });
    const others = [
      event('other-kind', { involvedObject: { kind: 'Workspace', name: 'other-kind' } }),
      event('other-reason', { reason: 'FailedCreatePodSandBox', message: 'no runtime for "kata" is configured' }),
    ];
    const workloads = Array.from({ length: 23 }, (_, index) => event(`web-${index}`));
    const gone = pod('ns-0', 'gone', {}, { deletionTimestamp: '2030-01-01T00:00:00Z' });
    const { notes } = await scanWith({
      ...answersWith({ ...pod('ns-0', 'a'), status: { phase: 'Pending' } }, gone),
      '/api/v1/namespaces/ns-0/events': list([...others, ...workloads]),
    });
    expect(notes).toHaveLength(22);
    expect(notes[0]).toMatch(/^Not judged, because the time is over/);
    expect(notes[1]).toMatch(/^ReplicaSet ns-0\/web-0 cannot create pods: /);
    expect(notes.at(-1)).toBe('3 further workloads cannot create pods.');
    expect(notes.join()).not.toContain('other-');
  });

  test('an event explains only the pod that it is about', async () => {
    const event = (uid: string) => ({
      involvedObject: { kind: 'Pod', name: 'any', uid },
      reason: 'FailedCreatePodSandBox',
      message: 'no runtime for "kata" is configured',
    });
    const pending = (name: string) => ({ ...pod('ns-0', name), status: { phase: 'Pending' } });
    const { rows } = await scanWith({
      ...answersWith(pending('a'), pending('b')),
      '/api/v1/namespaces/ns-0/events': list([event('ns-0-a')]),
    });
    const explained = rows.filter(({ wall }) => wall.findings.some(({ check }) => check === 'start-failure'));
    expect([rows.length, explained.map(({ name }) => name)]).toEqual([2, ['a']]);
  });

  test('without managedFields, who chose the node is unknown and not judged', async () => {
    const { rows } = await scanWith(answersWith(pod('ns-0', 'a')));
    expect(rows[0]?.notes).toContain('who chose the node of the pod is unknown, because its managedFields do not show it');
    expect(rows[0]?.findings.map(({ rule }) => rule)).not.toContain('node-name');
  });

  test('an exemption that has expired is named at the pods that need it', async () => {
    const exemption = {
      reason: 'the mesh sets up iptables',
      expires: new Date('2029-12-31T00:00:00Z'),
      namespaces: [makeNamePattern('ns-*')],
      serviceAccounts: [makeNamePattern('*')],
      allow: new Map([['capabilities', new Set(['NET_ADMIN'])]]),
    };
    const containers = [{ name: 'a', image: 'b', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }];
    const answers = answersWith(pod('ns-0', 'a', { containers }), pod('ns-0', 'b'));
    const { rows } = await scanWith(answers, { exemptions: [exemption] });
    const note = 'an exemption from capabilities for NET_ADMIN has expired: the mesh sets up iptables';
    expect(rows.map(({ name, notes }) => [name, notes.includes(note)])).toEqual([
      ['a', true],
      ['b', false],
    ]);
    await server?.stop();
    const inForce = { ...exemption, expires: new Date('2031-01-01') };
    const { rows: exempted } = await scanWith(answers, { exemptions: [inForce] });
    expect(exempted.map(({ exempted: uses, notes }) => [uses.length, notes.includes(note)])).toContainEqual([1, false]);
  });

  test('a pod that is older than the label of its namespace has a note', async () => {
    const fieldsV1 = { 'f:metadata': { 'f:labels': { 'f:cloister.dev/enforce': {} } } };
    const [namespace] = namespaces(1) as { metadata: object }[];
    const managedFields = [{ time: '2030-01-01T06:00:00Z', fieldsV1 }];
    const { rows } = await scanWith({
      '/api/v1/namespaces?': list([{ metadata: { ...namespace?.metadata, managedFields } }]),
      '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'a')]),
    });
    expect(rows[0]?.notes).toContain(
      'the pod has no mark of Cloister, and is older than the label of its namespace or a later change of it',
    );
  });
});

test('pods with equal findings share them, so that a large scan needs little memory for each pod', async () => {
  const privileged = { containers: [{ name: 'a', image: 'b', securityContext: { privileged: true } }] };
  const { rows } = await scanWith({
    '/api/v1/namespaces/ns-0/pods': list([pod('ns-0', 'one', privileged), pod('ns-0', 'two', privileged)]),
    '/api/v1/namespaces': list(namespaces(1)),
  });
  const [one = [], two = []] = rows.map(({ findings }) => findings);
  expect(one.length).toBeGreaterThan(1);
  for (const [index, finding] of one.entries()) expect(two[index]).toBe(finding);
});
