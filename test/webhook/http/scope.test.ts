import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { apply } from '../../../src/apply-patch.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { makeRespond } from '../../../src/webhook/review/respond.ts';
import { exampleReview, startServer } from '../../support/webhook-server.ts';

/** Unforeseen requests are not admitted. They are sent over the wire, as an API server, or a caller that poses as one, would send them. */

const EXPIRES = new Date('2027-06-30T00:00:00Z');
const config = parseConfig(
  stringify({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'Config',
    profiles: { userns: {} },
    exemptions: [
      { reason: 'test', expires: EXPIRES.toISOString(), namespaces: ['team-a'], serviceAccounts: ['*'], allow: { capabilities: ['BPF'] } },
    ],
  }),
  'config.yaml',
);
if (!config.ok) throw new Error(config.error.join('\n'));

let now = new Date('2026-11-21T10:00:00Z');
const respond = makeRespond(config.value, { apply, now: () => now });
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer(respond);
});
afterAll(() => server.stop());

const ENFORCE = '/validate/enforce/userns';
const UID = JSON.parse(exampleReview).request.uid;
const bad = { metadata: { name: 'bad' }, spec: { hostNetwork: true, containers: [{ name: 'a', image: 'b' }] } };
const good = {
  metadata: { name: 'good' },
  spec: {
    hostUsers: false,
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'a', image: 'b', securityContext: { allowPrivilegeEscalation: true } }],
  },
};

interface Answered {
  readonly status: number;
  readonly allowed?: boolean;
  readonly uid?: string;
  readonly patch?: string;
  readonly warnings?: readonly string[];
  readonly code?: number;
  readonly message?: string;
}

const reviewOf = (change: object): string => {
  const review = JSON.parse(exampleReview);
  return JSON.stringify({ ...review, request: { ...review.request, object: bad, ...change } });
};

async function ask(path: string, body: string | Buffer): Promise<Answered> {
  const { status, body: text } = await server.send(path, { body });
  const { response = {}, error } = JSON.parse(text);
  const { allowed, uid, patch, warnings, status: denial } = response;
  return { status, allowed, uid, patch, warnings, code: denial?.code, message: denial?.message ?? error };
}

const POD = { group: '', version: 'v1', kind: 'Pod' };

describe('T05, T19: an update of a pod whose profile is unknown', () => {
  const stored = {
    metadata: { name: 'workspace', labels: { 'cloister.dev/profile': 'userns' }, finalizers: ['a/b'] },
    spec: {
      containers: [{ name: 'main', image: 'a' }],
      schedulingGates: [{ name: 'a/wait' }, { name: 'b/wait' }],
      tolerations: [{ key: 'a', operator: 'Exists' }],
      nodeSelector: null,
    },
  };
  const changed = (change: object): object => ({ ...stored, spec: { ...stored.spec, ...change } });
  const answer = (object: unknown, mode = 'enforce', oldObject: unknown = stored): Promise<Answered> =>
    ask(`/unknown/${mode}`, reviewOf({ kind: POD, operation: 'UPDATE', object, oldObject }));
  const deep = (levels: number): object => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);

  test.each<[string, object]>([
    ['gives container "main" another image', { containers: [{ name: 'main', image: 'b' }] }],
    ['adds container "debug"', { ephemeralContainers: [{ name: 'debug', image: 'a' }] }],
    ['removes a scheduling gate', { schedulingGates: [{ name: 'b/wait' }] }],
    ['removes a scheduling gate', { schedulingGates: null }],
    ['changes nodeSelector', { nodeSelector: { 'node-role.kubernetes.io/control-plane': '' } }],
    ['changes affinity', { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{}] } } } }],
    ['changes tolerations', { tolerations: [{ key: 'a', operator: 'Exists' }, { operator: 'Exists' }] }],
    ['changes affinity', { affinity: deep(1_000) }],
  ])('the update that %s is denied, and only reported where nothing is enforced', async (change, spec) => {
    const message = `the label of this namespace names a profile that is not configured, and the update ${change}; the configured profiles are: `;
    expect((await answer(changed(spec))).message).toContain(message);
    expect(await answer(changed(spec), 'warn')).toMatchObject({ allowed: true, warnings: [expect.stringContaining(message)] });
    expect(await answer(changed(spec), 'audit')).toMatchObject({ allowed: true, warnings: undefined });
  });

  test.each<[string, object]>([
    ['nothing', stored],
    ['labels, annotations and finalizers', { ...stored, metadata: { name: 'workspace', annotations: { a: 'b' } } }],
    ['a deadline', changed({ activeDeadlineSeconds: 1 })],
    ['an empty node selector', changed({ nodeSelector: {} })],
    [
      'the tolerations that the API server adds',
      changed({
        tolerations: [
          { key: 'a', operator: 'Exists' },
          ...['not-ready', 'unreachable'].map((name) => ({
            key: `node.kubernetes.io/${name}`,
            operator: 'Exists',
            effect: 'NoExecute',
            tolerationSeconds: 300,
          })),
        ],
      }),
    ],
  ])('the update of %s is admitted', async (_, object) => {
    for (const mode of ['enforce', 'warn', 'audit']) expect(await answer(object, mode)).toEqual({ status: 200, uid: UID, allowed: true });
  });

  test('an update of what cannot be read is denied', async () => {
    for (const [object, old] of [
      [{ spec: 1 }, stored],
      [stored, { spec: { containers: 1 } }],
      [stored, null],
    ])
      expect(await answer(object, 'enforce', old)).toMatchObject({ allowed: false, code: 403 });
  });
});

describe('T05: nothing is admitted because it is unknown', () => {
  test.each(['gone', 'constructor', 'kata-qemu'])('an unknown profile is denied: %s', async (profile) => {
    const { status, uid, allowed, message } = await ask(`/validate/enforce/${profile}`, reviewOf({}));
    expect({ status, uid, allowed, message }).toEqual({
      status: 200,
      uid: UID,
      allowed: false,
      message: expect.stringContaining(`profile "${profile}" is not configured; the configured profiles are: userns`),
    });
  });

  test.each([
    '/validate/permit/userns',
    '/validate/userns',
    '/validate/enforce/',
    '/validate/enforce/userns/x',
    '/validate/enforce/Userns',
  ])('an unknown path is rejected: %s', async (path) => {
    expect(await ask(path, reviewOf({}))).toMatchObject({ status: 404 });
  });

  test.each([
    ['no JSON', '{'],
    ['no review', '{"kind":"Pod"}'],
    ['a review of another version', exampleReview.replace('admission.k8s.io/v1', 'admission.k8s.io/v1beta1')],
    ['a review without a uid', reviewOf({ uid: '' })],
  ])('a body that is no review is rejected: %s', async (_, body) => expect(await ask(ENFORCE, body)).toMatchObject({ status: 400 }));
});

describe('T12: subresources', () => {
  test.each(['attach', 'binding', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'status'])(
    'the subresource %s carries no pod, so it is admitted',
    async (subResource) => {
      expect(await ask(ENFORCE, reviewOf({ subResource, object: { kind: 'PodExecOptions' } }))).toMatchObject({ allowed: true });
    },
  );

  test.each(['resize', 'ephemeralcontainers', 'checkpoint', 'Status', 'exec/status', 'constructor'])(
    'the subresource %s may carry a pod, so it is judged',
    async (subResource) => {
      for (const object of [bad, { kind: 'Other' }, null]) {
        expect(await ask(ENFORCE, reviewOf({ subResource, object }))).toMatchObject({ uid: UID, allowed: false });
      }
    },
  );
});

describe('T15: operations', () => {
  test.each(['DELETE', 'CONNECT', 'FUTURE', ''])('the operation "%s" is admitted without a patch', async (operation) => {
    for (const path of ['/mutate/userns', ENFORCE, '/unknown/enforce']) {
      const answer = await ask(path, reviewOf({ operation, object: null, oldObject: bad }));
      expect(answer).toMatchObject({ uid: UID, allowed: true });
      expect(answer.patch).toBeUndefined();
    }
  });

  test.each(['CREATE', 'UPDATE'])('%s without an object is denied', async (operation) => {
    expect(await ask(ENFORCE, reviewOf({ operation, object: null }))).toMatchObject({ uid: UID, allowed: false });
  });

  test.each(['/unknown/enforce', ENFORCE])('T14: a mirror pod of the kubelet is admitted at %s, whatever it contains', async (path) => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: UID }];
    const metadata = { name: 'static', annotations: { 'kubernetes.io/config.mirror': 'a1b2' }, ownerReferences };
    const object = { ...bad, metadata, spec: { ...bad.spec, nodeName: 'worker-1' } };
    const userInfo = { username: 'system:node:worker-1', groups: ['system:nodes'] };
    expect(await ask(path, reviewOf({ object, userInfo }))).toMatchObject({ allowed: true });
    expect(await ask(path, reviewOf({ object, userInfo: { ...userInfo, username: 'system:node:worker-2' } }))).toMatchObject({
      allowed: false,
    });
  });

  test('T09: an update may not change what settles the profile of a governed pod, also without the policies in the API server', async () => {
    const stored = { ...bad, metadata: { name: 'workspace', labels: { 'cloister.dev/profile': 'userns', 'cloister.dev/grant': 'none' } } };
    const object = { ...stored, metadata: { name: 'workspace', labels: { 'cloister.dev/profile': 'userns' } } };
    const answer = (mode: string) => ask(`/validate/${mode}/userns`, reviewOf({ operation: 'UPDATE', object, oldObject: stored }));
    const message = 'metadata.labels["cloister.dev/grant"]: "none" was removed after the pod was created';
    expect(await answer('enforce')).toMatchObject({ allowed: false, message: expect.stringContaining(message) });
    expect(await answer('warn')).toMatchObject({ allowed: true, warnings: [expect.stringContaining('"none" was removed after')] });
    expect(await answer('audit')).toMatchObject({ allowed: true });
    const same = reviewOf({
      operation: 'UPDATE',
      object: { ...stored, metadata: { ...stored.metadata, annotations: { a: 'b' } } },
      oldObject: stored,
    });
    expect(await ask('/validate/enforce/userns', same)).toMatchObject({ allowed: true });
  });

  test('T31: the UPDATE of a bad pod is not patched', async () => {
    const answer = await ask('/mutate/userns', reviewOf({ operation: 'UPDATE', oldObject: bad }));
    expect(answer).toMatchObject({ allowed: true });
    expect(answer.patch).toBeUndefined();
  });
});

test.each([
  ['another kind', { kind: { ...POD, kind: 'Secret' } }],
  ['a kind in other letters', { kind: { ...POD, kind: 'pod' } }],
  ['a group that has no pods', { kind: { ...POD, group: 'metrics.k8s.io' } }],
  ['a workload', { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }],
  ['no kind', { kind: null }],
  ['another version of it', { kind: { ...POD, version: 'v2' } }],
  ['another resource', { resource: { group: '', version: 'v1', resource: 'secrets' } }],
])('T16: a bad pod that arrives as %s is denied', async (_, change) => {
  expect(await ask(ENFORCE, reviewOf(change))).toMatchObject({ uid: UID, allowed: false });
});

describe('T21, T43: bytes that an API server would not write', () => {
  const around = (bytes: readonly number[]): Buffer => {
    const [head = '', tail = ''] = reviewOf({ name: '@here@' }).split('@here@');
    return Buffer.concat([Buffer.from(head), Buffer.from(bytes), Buffer.from(tail)]);
  };
  test.each([
    ['no bytes', Buffer.alloc(0)],
    ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(exampleReview)])],
    ['UTF-16', Buffer.from(exampleReview, 'utf16le')],
    ['an overlong slash', around([0xc0, 0xaf])],
    ['half a character', around([0xe2, 0x82])],
    ['a surrogate in UTF-8', around([0xed, 0xa0, 0x80])],
    ['a raw NUL', around([0])],
  ])('a body with %s is no review', async (_, body) => expect(await ask(ENFORCE, body)).toMatchObject({ status: 400 }));
});

test('T41: a field spelled in other letters is another field: it neither breaks a rule nor satisfies one', async () => {
  const respelled = { ...good, Spec: bad.spec, spec: { ...good.spec, hostnetwork: true, HOSTPID: true, 'hostIPC\u200b': true } };
  expect(await ask(ENFORCE, reviewOf({ object: respelled }))).toMatchObject({ allowed: true });
  const { hostUsers: _, ...spec } = good.spec;
  const isolated = { ...good, spec: { ...spec, hostusers: false, HostUsers: false } };
  expect(await ask(ENFORCE, reviewOf({ object: isolated }))).toMatchObject({ allowed: false });
  // In a security context every unknown field is denied.
  const container = { ...good.spec.containers[0], securityContext: { allowPrivilegeEscalation: true, Privileged: true } };
  expect(await ask(ENFORCE, reviewOf({ object: { ...good, spec: { ...good.spec, containers: [container] } } }))).toMatchObject({
    allowed: false,
  });
});

test('T45: a patch contains no number that JavaScript cannot represent', async () => {
  const body = reviewOf({ object: { ...bad, spec: { ...bad.spec, activeDeadlineSeconds: '@', terminationGracePeriodSeconds: '@' } } });
  const { patch } = await ask('/mutate/userns', body.replace('"@"', '9007199254740993').replace('"@"', '1e400'));
  const operations: readonly { readonly path: string }[] = JSON.parse(Buffer.from(patch ?? '', 'base64').toString());
  expect(operations.length).toBeGreaterThan(0);
  expect(JSON.stringify(operations)).not.toMatch(/900719925474099|1e400|null/);
});

test('T61: a repeated review has the same answer each time', async () => {
  const bodies = new Set<string>();
  for (const path of ['/mutate/userns', ENFORCE]) {
    for (let sent = 0; sent < 500; sent += 1) bodies.add(path + (await server.send(path, { body: exampleReview })).body);
  }
  expect(bodies.size).toBe(2);
});

test('F15: a jump of the clock changes only which exemptions are in force', async () => {
  const answers = new Set<string>();
  const capability = { ...good, spec: { ...good.spec, containers: [{ ...good.spec.containers[0], ...adding('BPF') }] } };
  const exempted: (boolean | undefined)[] = [];
  for (const instant of ['2026-11-21T10:00:00Z', '2028-11-21T10:00:00Z', '1970-01-01T00:00:00Z', '2026-10-25T00:59:59Z']) {
    now = new Date(instant);
    answers.add((await server.send('/mutate/userns', { body: exampleReview })).body);
    exempted.push((await ask(ENFORCE, reviewOf({ object: capability }))).allowed);
  }
  expect(answers.size).toBe(1);
  expect(exempted).toEqual([true, false, true, true]);
});

const adding = (name: string) => ({ securityContext: { allowPrivilegeEscalation: true, capabilities: { add: [name] } } });
