import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { LOG_LEVELS, type LogLevel } from '../../../src/telemetry/logger.ts';
import { LIMITS } from '../../../src/webhook/http/limits.ts';
import type { Doc } from '../../support/hostile-pods.ts';
import { mark, markedMetadata, markedSpec, markersIn } from '../../support/markers.ts';
import { createAuthority, expire, issueClientCertificate, type KeyPair } from '../../support/openssl.ts';
import { list, map } from '../../support/oracle.ts';
import { type Serving, type ServingOptions, startServing } from '../../support/serving.ts';
import { type Answered, connectTo, insist, type SendOptions, send } from '../../support/webhook-server.ts';

/** What the log states of a request: it identifies the request in the API server's audit log, and the pod in the cluster. */
const IDENTITY = ['profile', 'request-kind', 'request-name', 'request-namespace', 'request-subresource', 'request-uid'];
const LOGGED: Readonly<Record<LogLevel, readonly string[]>> = {
  // A request with an unknown operation is allowed, so it is logged at debug.
  debug: [...IDENTITY, 'request-operation'],
  info: IDENTITY,
  warn: [],
  error: [],
};

/**
 * What an answer states to the author of the pod: names and values to change, and their paths. It never contains a secret, a variable, the value
 * of an annotation or an argument.
 */
const CONTAINER = '(?:init|ephemeral)?containers';
const SETTING = '(?:apparmorprofile-type|capabilities-add|procmount|seccompprofile-type|selinuxoptions-[a-z]+|sysctls-name)';
const ANSWERED = [
  `spec-${CONTAINER}-(?:name|volumedevices-name|volumemounts-mountpropagation|.*-(?:httpget|tcpsocket)-host)`,
  `spec-(?:${CONTAINER}-)?securitycontext-${SETTING}`,
  'spec-(?:nodename|os-name|resourceclaims-(?:name|resourceclaimname|resourceclaimtemplatename)|runtimeclassname|volumes-name|volumes-hostpath-path|volumes-csi-driver)',
  'spec-affinity-podantiaffinity-requiredduringschedulingignoredduringexecution-namespaces',
  // Keys in the path of a value of the wrong type.
  '(?:annotation|label|node-selector|old-annotation)-key',
  'request-kind',
  'request-uid',
];
const isAnswered = (place: string): boolean => new RegExp(`^(?:${ANSWERED.join('|')})$`).test(place);

/** Injected bugs: one in every review whose uid begins with `crash`, one outside of any review. Their messages quote their input. */
const BUGS = `
const { stringify } = JSON;
JSON.stringify = (value, ...more) => {
  if (String(value).startsWith('crash')) throw new Error(value + ' marker-thrown\\n    at marker-frame (marker-file)');
  return stringify(value, ...more);
};
process.on('SIGUSR2', () => Promise.reject(Object.assign(new Error('marker-rejected\\n    at marker-frame'), { token: 'marker-property' })));
`;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-secrets-'));
  await writeFile(join(folder, 'bugs.mjs'), BUGS);
});
afterAll(() => rm(folder, { recursive: true }));

const running: Serving[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
});

async function start(options: ServingOptions): Promise<Serving> {
  const serving = await startServing({ ...options, env: { NODE_OPTIONS: `--import=${join(folder, 'bugs.mjs')}` } });
  running.push(serving);
  return serving;
}

const REQUEST = {
  uid: mark('request uid'),
  kind: { group: '', version: 'v1', kind: 'Pod' },
  resource: { group: mark('request resource group'), version: mark('request resource version'), resource: mark('request resource') },
  requestKind: { group: mark('request kind asked'), version: 'v1', kind: mark('request kind asked kind') },
  requestSubResource: mark('request subresource asked'),
  name: mark('request name'),
  namespace: mark('request namespace'),
  operation: 'CREATE',
  userInfo: {
    username: mark('user name'),
    uid: mark('user uid'),
    groups: [mark('user group')],
    extra: { [mark('user extra key')]: [mark('user extra')], 'authentication.kubernetes.io/credential-id': [mark('user token')] },
  },
  options: { kind: 'CreateOptions', fieldManager: mark('field manager') },
};

/** A review of a pod with a marker in every text field. */
function review(change: (request: Doc) => Doc = (request) => request): string {
  const request = change({ ...REQUEST, object: markedPod('spec'), oldObject: null });
  return JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request });
}

const markedPod = (prefix: string): Doc => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    ...markedMetadata('metadata'),
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': mark('last applied'), [mark('annotation key')]: mark('annotation') },
  },
  spec: markedSpec(prefix),
});

/** The marked pod, one field at a time, so that no limit on the length of an answer hides a field. */
function partsOf(): Doc[] {
  const { metadata, spec } = markedPod('spec');
  const whole = map(spec);
  const [container] = list(whole.containers).map(map);
  const named = { name: mark('spec containers name') };
  return [
    ...Object.entries(whole).map(([field, value]) => ({ containers: [named], [field]: value })),
    ...Object.entries(container ?? {}).map(([field, value]) => ({ containers: [{ ...named, [field]: value }] })),
  ].map((each) => ({ metadata, spec: each }));
}

const REVIEW_PATHS = ['/mutate/userns', '/validate/enforce/userns', '/validate/warn/userns', '/validate/audit/userns', '/unknown/enforce'];
const ADVISE = '/advise/warn/userns';
const HEADERS = {
  authorization: `Bearer ${mark('bearer token')}`,
  cookie: `session=${mark('cookie')}`,
  'user-agent': mark('user agent'),
  'x-forwarded-for': mark('forwarded'),
  [mark('header name')]: mark('header'),
};

interface Caller {
  readonly askOnce: (path: string, options?: SendOptions) => Promise<Answered>;
  /** Retries with Retry-After, as an API server does. */
  readonly ask: (path: string, options?: SendOptions) => Promise<Answered>;
  /** Answers with another status than 200. */
  readonly errors: string[];
  /** Answered reviews, with their patches decoded. */
  readonly reviews: string[];
}

function makeCaller({ port, ca }: Serving): Caller & { readonly end: () => void } {
  const agent = new Agent({ keepAlive: true, ca, servername: 'localhost' });
  const errors: string[] = [];
  const reviews: string[] = [];
  const askBy =
    (means: (options: SendOptions) => Promise<Answered>): Caller['ask'] =>
    async (path, { headers = {}, ...options } = {}) => {
      const query = `?timeout=10s&token=${mark('query')}`;
      const answered = await means({ port, path: path + query, agent, ...options, headers: { ...HEADERS, ...headers } });
      if (answered.status === 200) reviews.push(decoded(answered.body));
      else errors.push(`${JSON.stringify(answered.headers)}\n${answered.body}`);
      return answered;
    };
  return { errors, reviews, end: () => agent.destroy(), ask: askBy(insist), askOnce: askBy(send) };
}

function decoded(body: string): string {
  const { patch } = map(map(JSON.parse(body)).response);
  return body + Buffer.from(String(patch ?? ''), 'base64').toString();
}

async function judge({ ask }: Caller): Promise<void> {
  const workload = { ...REQUEST, kind: { group: 'apps', version: 'v1', kind: 'Deployment' } };
  for (const path of REVIEW_PATHS) {
    for (const object of partsOf()) expect((await ask(path, { body: review((request) => ({ ...request, object })) })).status).toBe(200);
    await ask(path, { body: review() });
    await ask(path, { body: review((request) => ({ ...request, operation: 'UPDATE', oldObject: markedPod('old spec') })) });
    await ask(path, { body: review((request) => ({ ...request, operation: mark('request operation') })) });
    await ask(path, { body: review((request) => ({ ...request, subResource: mark('request subresource') })) });
    await ask(path, { body: review((request) => ({ ...request, kind: { group: '', version: 'v1', kind: mark('request kind') } })) });
  }
  await ask(ADVISE, { body: review(({ object }) => ({ ...workload, object: { spec: { template: object } } })) });
  await ask(`/mutate/${mark('profile')}`, { body: review() });
  const allowed = await ask('/validate/enforce/userns', { body: review((request) => ({ ...request, operation: 'DELETE' })) });
  expect(map(map(JSON.parse(allowed.body)).response)).toMatchObject({ allowed: true });
}

/** Sends requests that cannot be judged, each for another reason. */
async function misuse({ ask }: Caller): Promise<void> {
  const broken = review();
  const [path = ''] = REVIEW_PATHS;
  const mistyped: readonly ((request: Doc) => Doc)[] = [
    (request) => ({ ...request, object: mark('object') }),
    (request) => ({ ...request, object: { metadata: { labels: { [mark('label key')]: 1 } }, spec: {} } }),
    (request) => ({ ...request, object: { metadata: { annotations: { [mark('annotation key')]: {} } }, spec: {} } }),
    (request) => ({ ...request, object: { spec: { nodeSelector: { [mark('node selector key')]: [mark('node selector')] } } } }),
    (request) => ({ ...request, object: { spec: { containers: mark('containers') } } }),
    (request) => ({ ...request, object: { spec: { containers: [{ env: [{ name: mark('variable'), value: { [mark('value')]: 1 } }] }] } } }),
    (request) => ({
      ...request,
      operation: 'UPDATE',
      oldObject: { metadata: { annotations: { [mark('old annotation key')]: 1 } }, spec: {} },
    }),
    (request) => ({ ...request, userInfo: { username: { [mark('user name')]: 1 }, groups: [mark('user group')] } }),
    (request) => ({ ...request, userInfo: mark('user') }),
    (request) => ({ ...request, uid: [mark('request uid list')] }),
  ];
  for (const change of mistyped) for (const each of [...REVIEW_PATHS, ADVISE]) await ask(each, { body: review(change) });
  const bodies = [
    broken.slice(0, -10),
    `${mark('body')}${broken}`,
    `"${mark('body')}"`,
    Buffer.from(broken, 'utf16le'),
    `{"${mark('body key')}":1}`,
  ];
  for (const body of bodies) expect((await ask(path, { body })).status).toBe(400);
  expect((await ask(`/${mark('path')}`, { body: broken })).status).toBe(404);
  expect((await ask(path, { method: 'PUT', body: broken })).status).toBe(405);
  expect((await ask(path, { body: Buffer.alloc(LIMITS.maxBodyBytes + 1, mark('body')) })).status).toBe(413);
  expect((await ask(path, { body: `[${`"${mark('body')}",`.repeat(200_000)}`.repeat(2) })).status).toBe(400);
  expect((await ask(path, { body: broken, headers: { 'content-type': `text/${mark('content type')}` } })).status).toBe(415);
  expect((await ask(path, { headers: { 'x-long': mark('header').repeat(1_000) } })).status).toBe(431);
}

/** Sends bytes that are not HTTP, and bytes that are not TLS. */
async function babble(serving: Serving, { errors }: Caller): Promise<void> {
  const texts = [
    `${mark('method')} / HTTP/1.1\r\n\r\n`,
    `POST /mutate/userns HTTP/1.1\r\nHost: a\r\nContent-Length: ${mark('length')}\r\n\r\n`,
    `POST /mutate/userns HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${mark('chunk')}\r\n`,
    `POST /mutate/userns HTTP/${mark('version')}\r\n\r\n`,
    `POST /mutate/userns HTTP/1.1\r\nHost: a\r\nExpect: ${mark('expectation')}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  ];
  for (const text of texts) {
    const { socket, closed } = await connectTo(serving.port, { ca: serving.ca });
    socket.write(text);
    errors.push(await closed);
  }
  const stranger = connectTo(serving.port, { ca: serving.ca, servername: `${mark('server name')}.example` });
  await stranger.catch(() => {}).then((connection) => connection?.socket.destroy());
  const plain = connect(serving.port, '127.0.0.1').on('error', () => {});
  plain.end(`GET /${mark('plain path')} HTTP/1.1\r\nAuthorization: ${mark('plain token')}\r\n\r\n`);
  plain.on('data', (chunk) => errors.push(String(chunk)));
  await once(plain, 'close');
}

/** Starts watched reviews that never end, until the next one is shed. */
async function overload(serving: Serving, { askOnce }: Caller): Promise<void> {
  const path = '/validate/warn/userns';
  const body = review();
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${mark('slow token')}\r\nContent-Type: application/json\r\n`;
  const slow: TLSSocket[] = [];
  while ((await askOnce(path, { body })).status !== 429) {
    const more = await Promise.all(Array.from({ length: 64 }, () => connectTo(serving.port, { ca: serving.ca })));
    for (const { socket } of more) {
      socket.on('error', () => {});
      socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 200)}`);
      slow.push(socket);
    }
  }
  for (const socket of slow) socket.destroy();
}

async function crash(serving: Serving, { ask }: Caller): Promise<void> {
  const body = review((request) => ({ ...request, uid: `crash ${mark('request uid')}` }));
  for (const path of [...REVIEW_PATHS, ADVISE]) expect((await ask(path, { body })).status).toBe(500);
  const large = review((request) => ({
    ...request,
    uid: `crash ${mark('request uid')}`,
    options: { padding: mark('options').repeat(30_000) },
  }));
  expect((await ask('/validate/enforce/userns', { body: large })).status).toBe(500);
  expect((await serving.ask('/metrics')).body).toMatch(/^cloister_failed_requests_total [1-9]/m);
}

/** Replaces the certificate files with invalid ones. */
async function spoilFiles(serving: Serving): Promise<void> {
  for (const [file, text] of [
    ['tls.key', mark('key')],
    ['tls.crt', `-----BEGIN CERTIFICATE-----\n${mark('certificate')}\n-----END CERTIFICATE-----`],
  ] as const) {
    const kept = async (): Promise<number> => Number(/reloads_total{outcome="kept"} (\d+)/.exec((await serving.ask('/metrics')).body)?.[1]);
    const before = await kept();
    await writeFile(join(serving.folder, file), text);
    await vi.waitFor(async () => expect(await kept()).toBeGreaterThan(before), { timeout: 30_000 });
  }
}

describe.each(LOG_LEVELS)('at level %s', (level) => {
  test('T69, T74: of everything that is sent, the log contains what identifies a request; metrics, probes and errors contain nothing', async () => {
    const serving = await start({ args: ['--log-level', level] });
    const secrets = await Promise.all(['tls.key', 'tls.crt', 'ca.crt'].map((file) => readFile(join(serving.folder, file), 'utf8')));
    const caller = makeCaller(serving);
    await judge(caller);
    await misuse(caller);
    await babble(serving, caller);
    await overload(serving, caller);
    await crash(serving, caller);
    caller.end();
    await spoilFiles(serving);
    const operations = await Promise.all(
      ['/metrics', '/readyz', '/livez', `/${mark('operations path')}?${mark('operations query')}`].map((path) => serving.ask(path)),
    );
    serving.child.kill('SIGUSR2');
    expect(await serving.stop()).toBe(1);

    const log = serving.stdout();
    expect(log).toContain('uncaught exception: stopping');
    expect(markersIn(log)).toEqual(LOGGED[level].toSorted());
    for (const [where, text] of Object.entries({
      stderr: serving.stderr(),
      errors: caller.errors.join('\n'),
      operations: operations.map(({ body }) => body).join('\n'),
    })) {
      expect(markersIn(text), where).toEqual([]);
    }
    const all = log + caller.errors.join() + caller.reviews.join();
    for (const line of secrets.flatMap((text) => text.split('\n').filter((each) => each !== '' && !each.startsWith('-----')))) {
      expect(all).not.toContain(line);
    }
    expect(markersIn(caller.reviews.join('\n')).filter((place) => !isAnswered(place))).toEqual([]);
  });
});

test('T69, T74: neither the log nor an answer contains anything of a client certificate', async () => {
  const authority = await createAuthority(folder);
  const serving = await start({ args: ['--log-level', 'debug', '--client-ca', authority.certFile, '--client-name', 'apiserver'] });
  const caller = makeCaller(serving);
  const show = async ({ certFile, keyFile }: KeyPair): Promise<number> => {
    const shown = { cert: await readFile(certFile), key: await readFile(keyFile), agent: false, ca: serving.ca, port: serving.port };
    return (await caller.ask('/mutate/userns', { ...shown, servername: 'localhost', body: review() })).status;
  };
  const names = { commonName: mark('common name'), organizations: [mark('organization')], dnsNames: [`${mark('dns name')}.example`] };
  const stranger = await issueClientCertificate(folder, 'stranger', authority, names);
  expect(await show(stranger)).toBe(403);
  expect(await show(await expire(folder, stranger, authority))).toBe(403);
  expect(await show(await issueClientCertificate(folder, 'caller', authority, { ...names, commonName: 'apiserver' }))).toBe(200);
  expect((await caller.ask('/mutate/userns', { body: review() })).status).toBe(403);
  caller.end();
  expect(await serving.stop()).toBe(0);
  expect(markersIn(serving.stdout())).toEqual(['request-name', 'request-namespace', 'request-uid']);
  expect(markersIn(caller.errors.join('\n'))).toEqual([]);
});
