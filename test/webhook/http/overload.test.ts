import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply-patch.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { SHED_REASONS } from '../../../src/core/request-record.ts';
import { LIMITS, type Limits } from '../../../src/webhook/http/limits.ts';
import type { ConcurrencyLimits } from '../../../src/webhook/http/load-shedding.ts';
import type { ReviewWorker } from '../../../src/webhook/http/worker.ts';
import { makeRespond, type Respond } from '../../../src/webhook/review/respond.ts';
import { authority, type Connection, exampleReview, insist, PATIENT_LIMITS, startServer, until } from '../../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

const ENFORCED = ['/mutate/userns', '/validate/enforce/userns', '/unknown/enforce'];
const WATCHED = ['/validate/warn/userns', '/validate/audit/userns', '/advise/warn/userns', '/advise/enforce/userns', '/unknown/audit'];
const [MUTATE = '', WARN = ''] = [ENFORCED[0], WATCHED[0]];
const RETRY_LATER = /^HTTP\/1\.1 429 .*\r\nretry-after: 1\r\n.*connection: close\r\n/is;

/** Opens a connection for each request. */
const TRUST = { ca: authority.certificate, servername: 'localhost', agent: false } as const;

const started: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((stop) => stop()));
});

interface Setting {
  readonly toRespond?: Respond;
  readonly limits?: Partial<Limits>;
  readonly enforced?: Partial<ConcurrencyLimits>;
  readonly watched?: Partial<ConcurrencyLimits>;
  readonly worker?: ReviewWorker;
}

async function start({ toRespond = respond, limits = {}, enforced = {}, watched = {}, worker }: Setting = {}) {
  const concurrency = { enforced: { ...PATIENT_LIMITS.enforced, ...enforced }, watched: { ...PATIENT_LIMITS.watched, ...watched } };
  const server = await startServer(toRespond, { ...limits, ...concurrency }, worker === undefined ? {} : { worker });
  started.push(server.stop);
  return {
    ...server,
    /** How many reviews were shed, by reason. */
    async shed() {
      const text = await server.metrics.expose();
      const count = (reason: string) =>
        Number(new RegExp(`^cloister_shed_requests_total{reason="${reason}"} (\\d+)$`, 'm').exec(text)?.[1]);
      return Object.fromEntries(SHED_REASONS.map((reason) => [reason, count(reason)] as const).filter(([, found]) => found !== 0));
    },
    /** Sends all of a review but its last byte, and waits until the server has read that. */
    async begin(path: string, body: string | Buffer = exampleReview): Promise<Connection & { readonly finish: () => void }> {
      const text = await server.metrics.expose();
      const [, before] = /^cloister_requests_in_flight (\d+)$/m.exec(text) ?? [];
      const connection = await server.raw();
      const bytes = Buffer.from(body);
      connection.socket.on('error', () => {});
      started.unshift(async () => void connection.socket.destroy());
      connection.socket.write(headOf(path, bytes.length));
      connection.socket.write(bytes.subarray(0, -1));
      await until(async () => (await server.metrics.expose()).includes(`cloister_requests_in_flight ${Number(before) + 1}`));
      await until(() => server.server.bodyBytes() >= bytes.length - 1 || connection.received() !== '');
      return { ...connection, finish: () => connection.socket.write(bytes.subarray(-1)) };
    },
  };
}

const headOf = (path: string, length: number): string =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

describe('F10: more uploads than the limit', () => {
  test('the oldest upload is shed, and later ones are answered', async () => {
    const { begin, shed } = await start({ enforced: { uploads: 2 } });
    const first = await begin(MUTATE);
    const second = await begin(MUTATE);
    const third = await begin(MUTATE);
    await until(() => RETRY_LATER.test(first.received()));
    for (const each of [second, third]) {
      each.finish();
      await until(() => each.received().startsWith('HTTP/1.1 200'));
    }
    expect(await shed()).toEqual({ arriving: 1 });
  });

  test('a caller that is shed in the middle of its body can read the answer: the connection is not reset', async () => {
    const { begin, server } = await start({ enforced: { uploads: 1 } });
    const first = await begin(MUTATE);
    const errors: Error[] = [];
    first.socket.on('error', (error) => errors.push(error));
    await begin(MUTATE);
    await until(() => RETRY_LATER.test(first.received()));
    first.finish();
    await first.closed;
    expect(errors).toEqual([]);
    expect(server.bodyBytes()).toBe(exampleReview.length);
  });

  test.each(WATCHED)('T24: a review at %s is shed first, and those that enforce are answered', async (path) => {
    const { begin, send, shed } = await start({ watched: { uploads: 1 } });
    const first = await begin(WARN);
    const { status, headers } = await send(path, { body: exampleReview });
    expect([status, headers['retry-after'], headers.connection]).toEqual([429, '1', 'close']);
    for (const each of ENFORCED) expect((await send(each, { body: exampleReview })).status).toBe(200);
    expect(await shed()).toEqual({ arriving: 1 });
    first.finish();
    await until(() => first.received().startsWith('HTTP/1.1 200'));
    expect((await send(path, { body: exampleReview })).status).toBe(200);
  });

  test('the bytes of all bodies count together', async () => {
    const { begin, send, shed } = await start({ enforced: { bodyBytes: 100_000 }, watched: { bodyBytes: 50_000 } });
    const slow = await begin(MUTATE, Buffer.alloc(60_000, ' '));
    expect((await send(WARN, { body: exampleReview })).status).toBe(429);
    expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
    expect((await send(MUTATE, { body: Buffer.alloc(60_000, ' ') })).status).toBe(400);
    await until(() => RETRY_LATER.test(slow.received()));
    expect((await send(WARN, { body: exampleReview })).status).toBe(200);
    expect(await shed()).toEqual({ bytes: 2 });
  });

  test('a large body counts by the memory that it holds, which grows with the bytes that arrive', async () => {
    const { server, raw, begin } = await start();
    const { socket } = await raw();
    socket.on('error', () => {});
    socket.write(headOf(MUTATE, LIMITS.maxBodyBytes));
    socket.write(' '.repeat(LIMITS.largeBodyBytes));
    await until(() => server.bodyBytes() === LIMITS.largeBodyBytes);
    socket.write(' ');
    await until(() => server.bodyBytes() === 2 * LIMITS.largeBodyBytes);
    socket.destroy();
    await until(() => server.bodyBytes() === 0);
    await begin(MUTATE);
  });

  test('a body larger than the limit on all bodies is shed itself', async () => {
    const { begin, send } = await start({ enforced: { bodyBytes: 100_000 } });
    const other = await begin(MUTATE);
    expect((await send(MUTATE, { body: Buffer.alloc(200_000, ' ') })).status).toBe(429);
    await until(() => RETRY_LATER.test(other.received()));
  });
});

describe('more waiting for the worker than the limit', () => {
  /** A worker that judges each review only when the test releases it. */
  function makeHeldWorker() {
    const release: (() => void)[] = [];
    const worker: ReviewWorker = {
      judge: async (path, body) => {
        await new Promise<void>((resolve) => release.push(resolve));
        return respond(path, body);
      },
      stop: async () => {},
    };
    return { worker, release };
  }
  const large = exampleReview.padEnd(LIMITS.largeBodyBytes + 1);

  test('T22: a large body is shed, and one that is only watched is shed sooner', async () => {
    const { worker, release } = makeHeldWorker();
    const { send, shed } = await start({
      worker,
      enforced: { queuedBytes: 2.5 * large.length },
      watched: { queuedBytes: 1.5 * large.length },
    });
    const first = send(MUTATE, { body: large });
    await until(() => release.length === 1);
    expect((await send(WARN, { body: large })).status).toBe(429);
    const second = send(MUTATE, { body: large, localAddress: '127.0.0.2' });
    await until(() => release.length === 2);
    const { status, headers } = await send(MUTATE, { body: large, localAddress: '127.0.0.3' });
    expect([status, headers['retry-after'], headers.connection]).toEqual([429, '1', 'close']);
    expect((await send(WARN, { body: exampleReview })).status).toBe(200);
    expect(await shed()).toEqual({ waiting: 2 });
    for (const each of release) each();
    expect((await Promise.all([first, second])).map((answer) => answer.status)).toEqual([200, 200]);
    const next = send(MUTATE, { body: large });
    await until(() => release.length === 3);
    release[2]?.();
    expect((await next).status).toBe(200);
  });

  test('T24: a caller whose bodies have half of the bytes is shed, and another one is answered', async () => {
    const { worker, release } = makeHeldWorker();
    const { send, shed } = await start({ worker, enforced: { queuedBytes: 4 * large.length } });
    const waiting = [1, 2].map(() => send(MUTATE, { body: large }));
    await until(() => release.length === 2);
    expect((await send(MUTATE, { body: large })).status).toBe(429);
    const other = send(MUTATE, { body: large, localAddress: '127.0.0.2' });
    await until(() => release.length === 3);
    for (const each of release) each();
    expect((await Promise.all([...waiting, other])).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await shed()).toEqual({ waiting: 1 });
    const next = send(MUTATE, { body: large });
    await until(() => release.length === 4);
    release[3]?.();
    expect((await next).status).toBe(200);
  });

  test('a caller that goes away frees its place', async () => {
    const { worker, release } = makeHeldWorker();
    const { raw, server } = await start({ worker });
    const { socket } = await raw();
    socket.write(headOf(MUTATE, large.length) + large);
    await until(() => release.length === 1);
    expect(server.bodyBytes()).toBe(large.length);
    socket.destroy();
    await until(() => server.bodyBytes() === 0);
  });
});

describe('F11: a late event loop', () => {
  /** Sends two reviews at once; the first keeps the event loop busy. */
  async function sendBehind(path: string, enforced: Partial<ConcurrencyLimits>) {
    const busy: Respond = (each, body) => {
      const until = performance.now() + 300;
      while (performance.now() < until);
      return respond(each, body);
    };
    const { raw, shed } = await start({ toRespond: busy, watched: { loopDelayMs: 50 }, enforced });
    const [one, other] = await Promise.all([raw(), raw()]);
    one.socket.write(headOf(MUTATE, exampleReview.length) + exampleReview);
    other.socket.write(headOf(path, exampleReview.length) + exampleReview);
    await until(() => one.received() !== '' && other.received() !== '');
    for (const { socket } of [one, other]) socket.destroy();
    return { answers: [one.received().slice(9, 12), other.received().slice(9, 12)], shed: await shed() };
  }

  test('a watched review is shed', async () => {
    expect(await sendBehind(WARN, {})).toEqual({ answers: ['200', '429'], shed: { late: 1 } });
  });

  test('a review that enforces is answered, until its own limit is exceeded', async () => {
    expect(await sendBehind(MUTATE, {})).toEqual({ answers: ['200', '200'], shed: {} });
    expect(await sendBehind(MUTATE, { loopDelayMs: 50 })).toEqual({ answers: ['200', '429'], shed: { late: 1 } });
  });
});

test('F7: a review that is shed while the server drains gets 503, and its connection closes', async () => {
  const { server, begin, send } = await start({ watched: { uploads: 1 } });
  await begin(WARN);
  server.drain();
  const { status, headers } = await send(WARN, { body: exampleReview });
  expect([status, headers['retry-after'], headers.connection]).toEqual([503, '1', 'close']);
});

test('every reason for shedding is a series from the start', async () => {
  const { metrics } = await start();
  const text = await metrics.expose();
  for (const reason of SHED_REASONS) expect(text).toContain(`cloister_shed_requests_total{reason="${reason}"} 0`);
});

test('T24: 300 sockets without a handshake, 300 without headers and 300 without a body delay no other caller', async () => {
  const limits = { handshakeTimeoutMs: 6_000, headersTimeoutMs: 6_000, requestTimeoutMs: 6_000, timeoutCheckIntervalMs: 200 };
  const { port, raw, send, server, metrics } = await start({ limits });
  const idle: Socket[] = Array.from({ length: 300 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  const slow: Connection[] = [];
  for (let made = 0; made < 600; made += 50) slow.push(...(await Promise.all(Array.from({ length: 50 }, () => raw()))));
  slow.forEach(({ socket }, index) => {
    socket.on('error', () => {});
    socket.write(index % 2 === 0 ? `POST ${MUTATE} HTTP/1.1\r\nHost: ` : `${headOf(MUTATE, 200_000)}${' '.repeat(1_000)}`);
  });
  await until(() => server.bodyBytes() >= 300_000);
  for (let sent = 0; sent < 100; sent += 1) expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
  await Promise.all(slow.map(({ closed }) => closed));
  await Promise.all(idle.map((socket) => socket.destroyed || once(socket, 'close')));
  await until(async () => (await metrics.expose()).includes('cloister_requests_in_flight 0'));
  expect(server.bodyBytes()).toBe(0);
});

test('L2: none of 600 simultaneous reviews, each on a new connection, is lost', async () => {
  const { port } = await start();
  const answered = await Promise.all(Array.from({ length: 600 }, () => insist({ ...TRUST, port, path: MUTATE, body: exampleReview })));
  expect(new Set(answered.map(({ status }) => status))).toEqual(new Set([200]));
});
