import type { IncomingMessage } from 'node:http';
import { json as jsonIn } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import type { Context } from '../../src/doctor/check.ts';
import type { Facts, Proof } from '../../src/doctor/facts.ts';
import { gatherFacts } from '../../src/doctor-facts/gather.ts';
import type { ProofSettings } from '../../src/doctor-facts/proofs.ts';
import { contextWith, REPORT } from '../support/doctor-facts.ts';
import { type Answer, type FalseApiServer, json, startFalseApiServer } from '../support/false-api-server.ts';

let server: FalseApiServer | undefined;
afterEach(() => server?.stop());

interface Pod {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly containers: readonly { readonly image: string; readonly args: readonly string[] }[];
  };
}

/** A false API server of one node, which runs the pods that are bound to it, and what it was asked. */
class FalseCluster {
  /** By `METHOD path`: replaces the usual answer. The last part of the path of a pod is `*` in place of its name. */
  readonly answers = new Map<string, Answer>();
  readonly pods = new Map<string, Pod>();
  readonly bound: string[] = [];
  readonly deleted: string[] = [];
  readonly dryRuns: Pod[] = [];
  state: object = { running: {} };
  phase = 'Running';
  log = `${JSON.stringify(REPORT)}\n`;
  nodes: readonly object[] = [
    {
      metadata: { name: 'worker-1', labels: {} },
      status: { nodeInfo: { kubeletVersion: 'v1.36.3', bootID: 'b' }, conditions: [{ type: 'Ready', status: 'True' }] },
    },
  ];
  items: Readonly<Record<string, readonly object[]>> = {
    namespaces: [{ metadata: { name: 'team-a', labels: { 'cloister.dev/enforce': 'userns' } } }],
    deployments: [
      {
        metadata: { name: 'cloister' },
        spec: { template: { spec: { containers: [{ image: 'registry/cloister:1', imagePullPolicy: 'Never' }] } } },
      },
    ],
    events: [],
  };

  readonly answer: Answer = async (response, request) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    const parts = pathname.split('/');
    const name = parts[5] === 'pods' ? parts[6] : undefined;
    const key = `${request.method} ${name === undefined ? pathname : pathname.replace(name, '*')}`;
    const body = request.method === 'GET' ? undefined : ((await jsonIn(request as IncomingMessage)) as Pod);
    const replaced = this.answers.get(key);
    if (replaced !== undefined && !searchParams.has('dryRun')) return replaced(response, request);
    if (pathname.endsWith('/selfsubjectaccessreviews')) return json(201, { status: { allowed: true } })(response, request);
    if (request.method === 'POST' && parts.at(-1) === 'pods') {
      if (searchParams.has('dryRun')) this.dryRuns.push(body as Pod);
      else this.pods.set((body as Pod).metadata.name, body as Pod);
      return json(201, body as object)(response, request);
    }
    if (request.method === 'POST') {
      this.bound.push(`${name} ${(body as unknown as { target: { name: string } }).target.name}`);
      return json(201, {})(response, request);
    }
    if (request.method === 'DELETE') {
      this.deleted.push(name ?? '');
      return json(200, {})(response, request);
    }
    if (pathname.endsWith('/log') && request.headers.accept !== '*/*') return json(406, { message: 'only JSON' })(response, request);
    if (pathname.endsWith('/log')) return response.writeHead(200, { 'content-type': 'text/plain' }).end(this.log);
    const kind = parts.at(-1) ?? '';
    if (kind === 'pods') {
      const status = { phase: this.phase, containerStatuses: [{ state: this.state }] };
      return json(200, { items: [...this.pods.values()].map((pod) => ({ ...pod, status })) })(response, request);
    }
    return json(200, { items: kind === 'nodes' ? this.nodes : (this.items[kind] ?? []) })(response, request);
  };
}

interface Options extends Partial<ProofSettings> {
  readonly context?: Context;
  readonly signal?: AbortSignal;
}

async function prove(cluster: FalseCluster, { context = contextWith(), signal, ...settings }: Options = {}): Promise<readonly Proof[]> {
  const { proofs } = await gather(cluster, { context, ...(signal && { signal }), ...settings });
  if ('missing' in proofs) throw new Error(proofs.missing);
  return proofs.value;
}

async function gather(cluster: FalseCluster, { context = contextWith(), signal, ...settings }: Options): Promise<Facts> {
  server = await startFalseApiServer([cluster.answer]);
  const api = await openApi({ kubeconfig: server.kubeconfig });
  if (!api.ok) throw new Error(api.error);
  const target = { service: context.service };
  const proofs: ProofSettings = { nodes: 'kinds', waitMs: 20_000, ...settings };
  const source = { api: api.value, context, target, operationsPort: 9443, proofs, ...(signal && { signal }) };
  return gatherFacts(['proofs', 'namespaces', 'deployment'], source);
}

const PODS = '/api/v1/namespaces/team-a/pods';
const outcomesOf = (proofs: readonly Proof[]) => proofs.map(({ outcome }) => outcome);
const forbidden = json(403, { kind: 'Status', message: 'pods is forbidden' });
/** Every pod that was created is deleted, and nothing else is. */
function expectNothingLeft({ pods, deleted }: FalseCluster): void {
  expect(deleted.toSorted()).toEqual([...pods.keys()].toSorted());
}

test('two pods with user namespaces run on the node, and are deleted after their reports are read', async () => {
  const cluster = new FalseCluster();
  const proofs = await prove(cluster);
  expect(proofs).toHaveLength(2);
  for (const { outcome, node, namespace, leftBehind } of proofs) {
    expect(outcome).toEqual({ is: 'ran', report: REPORT, seccompProfiles: [] });
    expect([node?.name, node?.bootId, namespace, leftBehind]).toEqual(['worker-1', 'b', 'team-a', undefined]);
  }
  const pods = [...cluster.pods.values()];
  expect(cluster.bound.toSorted()).toEqual(pods.map(({ metadata }) => `${metadata.name} worker-1`).toSorted());
  for (const { spec } of pods) {
    expect(spec.containers).toEqual([
      expect.objectContaining({ image: 'registry/cloister:1', imagePullPolicy: 'Never', args: ['probe', '--hold=90s'] }),
    ]);
    expect(spec).toMatchObject({ activeDeadlineSeconds: 90, restartPolicy: 'Never', automountServiceAccountToken: false });
    expect(spec).not.toHaveProperty('nodeName');
  }
  expectNothingLeft(cluster);
});

test('an image that is named replaces that of the Deployment, and its pull policy', async () => {
  const cluster = new FalseCluster();
  await prove(cluster, { image: 'mirror/cloister:1' });
  for (const { spec } of cluster.pods.values()) {
    expect(spec.containers[0]).toMatchObject({ image: 'mirror/cloister:1' });
    expect(spec.containers[0]).not.toHaveProperty('imagePullPolicy');
  }
});

test('a profile whose wall is a kernel gets one pod for each node', async () => {
  const cluster = new FalseCluster();
  cluster.items = { ...cluster.items, namespaces: [{ metadata: { name: 'team-a', labels: { 'cloister.dev/enforce': 'gvisor' } } }] };
  expect(await prove(cluster, { context: contextWith('profiles: {gvisor: {}}') })).toHaveLength(1);
});

test.each([
  [
    'no namespace enforces the profile',
    (cluster: FalseCluster) => {
      cluster.items = { ...cluster.items, namespaces: [{ metadata: { name: 'team-a', labels: {} } }] };
    },
    /^no namespace enforces the profile/,
  ],
  [
    'there is no image',
    (cluster: FalseCluster) => {
      cluster.items = { ...cluster.items, deployments: [] };
    },
    /no Deployment of Cloister/,
  ],
  [
    'no node is ready',
    (cluster: FalseCluster) => {
      cluster.nodes = [{ metadata: { name: 'worker-1' }, status: {} }];
    },
    /^no ready node takes the pods of the profile$/,
  ],
  [
    'pods may not be deleted',
    (cluster: FalseCluster) => {
      cluster.answers.set('POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', json(201, { status: { allowed: false } }));
    },
    /needs delete on pods$/,
  ],
])('no pod is created where %s', async (_, change, why) => {
  const cluster = new FalseCluster();
  change(cluster);
  expect(outcomesOf(await prove(cluster))).toEqual([
    { is: 'not tried', why: expect.stringMatching(why), remedy: expect.stringMatching(/\.$/) },
  ]);
  expect([cluster.pods.size, cluster.deleted]).toEqual([0, []]);
});

test('no pod is created where a dry run shows that it is rejected', async () => {
  const cluster = new FalseCluster();
  const { answer } = cluster;
  const rejecting: Answer = (response, request) =>
    request.url?.includes('dryRun') ? json(403, { message: 'violates PodSecurity' })(response, request) : answer(response, request);
  Object.assign(cluster, { answer: rejecting });
  expect(outcomesOf(await prove(cluster))).toEqual([{ is: 'rejected', status: 403, message: 'violates PodSecurity' }]);
  expect([cluster.pods.size, cluster.deleted]).toEqual([0, []]);
});

test.each([
  ['the log', `GET ${PODS}/*/log`, 'get on pods/log', 'unread'],
  ['the list of pods', `GET ${PODS}`, 'list on pods', 'unread'],
  ['the binding', `POST ${PODS}/*/binding`, 'create on pods/binding', 'not tried'],
])('a missing right to %s is named, and the pods are deleted', async (_, key, right, is) => {
  const cluster = new FalseCluster();
  cluster.answers.set(key, forbidden);
  const expected = { is, why: `this identity needs ${right}`, remedy: expect.stringContaining('--print-rbac') };
  expect(outcomesOf(await prove(cluster))).toEqual([expected, expected]);
  expectNothingLeft(cluster);
});

test('a pod that the API server refuses after the dry run is deleted as well, because another answer may be lost', async () => {
  const cluster = new FalseCluster();
  cluster.answers.set(`POST ${PODS}`, json(500, { message: 'etcdserver: leader changed' }));
  expect(outcomesOf(await prove(cluster))[0]).toMatchObject({ is: 'rejected', status: 500 });
  expect(cluster.deleted).toHaveLength(2);
});

const event = (reason: string, message: string) => ({ involvedObject: { kind: 'Pod', name: 'x' }, reason, message });

test.each([
  [
    'an event with a known cause',
    event('FailedCreatePodSandBox', 'no runtime for "kata-qemu" is configured'),
    {},
    /no handler of the RuntimeClass/,
    false,
  ],
  [
    'a container that waits for its seccomp profile',
    undefined,
    { reason: 'CreateContainerError', message: 'cannot load seccomp profile "/x": no such file or directory' },
    /seccomp profile/,
    true,
  ],
  [
    'an image that cannot be pulled',
    undefined,
    { reason: 'ErrImagePull', message: 'not found' },
    /^the image cannot be pulled: not found$/,
    false,
  ],
])('a pod that does not start is reported at once, by %s', async (_, found, waiting, why, lacksSeccompProfile) => {
  const cluster = new FalseCluster();
  cluster.state = { waiting };
  cluster.items = { ...cluster.items, events: found === undefined ? [] : [found] };
  const [outcome] = outcomesOf(await prove(cluster));
  expect(outcome).toMatchObject({ is: 'not started', why: expect.stringMatching(why), lacksSeccompProfile });
  expectNothingLeft(cluster);
});

test.each([
  ['its last event', [event('FailedMount', 'volume is busy')], undefined, /^not within 0\.1 s: event FailedMount: volume is busy$/],
  ['nothing, where there is no event', [], undefined, /no event says why/],
  ['the missing right, where events may not be read', [], forbidden, /needs list on events/],
])('a pod that does not start in time is reported with %s', async (_, events, answer, why) => {
  const cluster = new FalseCluster();
  cluster.state = { waiting: { reason: 'ContainerCreating' } };
  cluster.items = { ...cluster.items, events };
  if (answer !== undefined) cluster.answers.set('GET /api/v1/namespaces/team-a/events', answer);
  expect(outcomesOf(await prove(cluster, { waitMs: 100 }))[0]).toMatchObject({ is: 'not started', why: expect.stringMatching(why) });
  expectNothingLeft(cluster);
});

test('a pod that the kubelet refuses is reported with its message', async () => {
  const cluster = new FalseCluster();
  Object.assign(cluster, { phase: 'Failed', state: undefined });
  cluster.answers.set(`GET ${PODS}`, (response, request) => {
    const status = { phase: 'Failed', reason: 'OutOfcpu', message: 'Node did not have enough resource: cpu' };
    const isOfRun = request.url?.includes('instance');
    return json(200, { items: isOfRun ? [...cluster.pods.values()].map((pod) => ({ ...pod, status })) : [] })(response, request);
  });
  expect(outcomesOf(await prove(cluster))[0]).toMatchObject({ is: 'not started', why: 'OutOfcpu: Node did not have enough resource: cpu' });
  expectNothingLeft(cluster);
});

test('a pod that ends without a report is reported with its last line', async () => {
  const cluster = new FalseCluster();
  cluster.state = { terminated: { exitCode: 2 } };
  cluster.log = 'x\nerror: there is no command "probe"\n';
  expect(outcomesOf(await prove(cluster))[0]).toMatchObject({
    is: 'unread',
    why: 'the pod ended with exit code 2 and without a report: error: there is no command "probe"',
  });
});

test('a log that cannot be read until the end is reported with what the API server says', async () => {
  const cluster = new FalseCluster();
  cluster.answers.set(`GET ${PODS}/*/log`, json(502, { message: 'no route to the kubelet' }));
  expect(outcomesOf(await prove(cluster, { waitMs: 100 }))[0]).toMatchObject({
    is: 'unread',
    why: expect.stringContaining('no route to the kubelet'),
  });
});

test('a pod that runs and prints nothing until the end is reported so', async () => {
  const cluster = new FalseCluster();
  cluster.log = '';
  expect(outcomesOf(await prove(cluster, { waitMs: 100 }))[0]).toMatchObject({ is: 'unread', why: 'the pod printed no report in time' });
});

test('a pod that another client deletes is reported so', async () => {
  const cluster = new FalseCluster();
  cluster.answers.set(`GET ${PODS}`, json(200, { items: [] }));
  expect(outcomesOf(await prove(cluster))[0]).toMatchObject({ is: 'unread', why: 'another client deleted the pod' });
});

test('after an interruption the pods are deleted before the reason is thrown', async () => {
  const cluster = new FalseCluster();
  cluster.state = { waiting: { reason: 'ContainerCreating' } };
  const controller = new AbortController();
  const proving = prove(cluster, { signal: controller.signal });
  const ended = expect(proving).rejects.toThrow('interrupted');
  while (cluster.bound.length < 2) await pause(10);
  controller.abort(new Error('interrupted'));
  await ended;
  expectNothingLeft(cluster);
});

test('after an interruption a pod is deleted whose creation was not answered', async () => {
  const cluster = new FalseCluster();
  const controller = new AbortController();
  cluster.answers.set(`POST ${PODS}`, () => controller.abort(new Error('interrupted')));
  await expect(prove(cluster, { signal: controller.signal })).rejects.toThrow('interrupted');
  expect(cluster.deleted).toHaveLength(1);
});

test('an error of the API server while pods run makes the fact missing, and the pods are deleted', async () => {
  const cluster = new FalseCluster();
  cluster.answers.set(`GET ${PODS}/*/log`, (response) => response.destroy());
  const { proofs } = await gather(cluster, {});
  expect(proofs).toEqual({ missing: expect.stringContaining('cannot be reached') });
  expectNothingLeft(cluster);
});

test('a pod that cannot be deleted is reported with its name', async () => {
  const cluster = new FalseCluster();
  cluster.answers.set(`DELETE ${PODS}/*`, forbidden);
  const [first] = await prove(cluster);
  expect(first?.leftBehind).toMatch(/^pod team-a\/cloister-doctor-\S+ is left behind: this identity needs delete on pods$/);
});

test('a deletion is repeated when it fails', async () => {
  const cluster = new FalseCluster();
  let requests = 0;
  cluster.answers.set(`DELETE ${PODS}/*`, (response, request) => {
    requests += 1;
    return json(requests <= 2 ? 500 : 200, {})(response, request);
  });
  expect((await prove(cluster)).map(({ leftBehind }) => leftBehind)).toEqual([undefined, undefined]);
  expect(requests).toBe(4);
});

test('the ended pods of an earlier run are deleted, and no others', async () => {
  const cluster = new FalseCluster();
  cluster.answers.set(`GET ${PODS}`, (response, request) => {
    const of = (name: string, phase: string) => ({ metadata: { name }, spec: { containers: [] }, status: { phase } });
    const earlier = [of('ended', 'Failed'), of('done', 'Succeeded'), of('runs', 'Running')];
    const status = { phase: 'Running', containerStatuses: [{ state: { running: {} } }] };
    const isOfRun = request.url?.includes('instance');
    return json(200, { items: isOfRun ? [...cluster.pods.values()].map((pod) => ({ ...pod, status })) : earlier })(response, request);
  });
  await prove(cluster);
  expect(cluster.deleted.filter((name) => !cluster.pods.has(name)).toSorted()).toEqual(['done', 'ended']);
});
