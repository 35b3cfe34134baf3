import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply-patch.ts';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { WORKER_LOSSES } from '../../../src/core/request-record.ts';
import { LIMITS, type Limits } from '../../../src/webhook/http/limits.ts';
import { makeReviewWorker, type ReviewWorker, WORKER_LIMITS, type WorkerLimits } from '../../../src/webhook/http/worker.ts';
import { makeRespond } from '../../../src/webhook/review/respond.ts';
import { imageSettings } from '../../support/image.ts';
import { exampleReview, startServer, until } from '../../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

const MUTATE = '/mutate/userns';
const VALIDATE = '/validate/enforce/userns';
const MEDIUM = new URL('../../../bench/reviews/recorded/medium-mutate-userns.jsonl', import.meta.url);
const WEBHOOK_WORKER = new URL('../../../src/webhook-worker.ts', import.meta.url);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-worker-'));
});
afterAll(() => rm(folder, { recursive: true }));

const started: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((stop) => stop()));
});

/** Worker limits without those on time, for tests whose subject is not time: on a busy machine a slow worker is no fault. */
const PATIENT_WORKER: Partial<WorkerLimits> = { startTimeoutMs: 60_000, reviewTimeoutMs: 60_000 };

/** Starts a server whose large reviews are judged by a script. */
async function start({ script = WEBHOOK_WORKER, data = { config: undefined } as unknown, limits = {} as Partial<Limits> } = {}) {
  const losses: string[] = [];
  const worker = makeReviewWorker({ script, data, limits: PATIENT_WORKER, onLost: (loss) => losses.push(loss) });
  const asked: string[] = [];
  const observed: ReviewWorker = {
    ...worker,
    judge(path, ...rest) {
      asked.push(path);
      return worker.judge(path, ...rest);
    },
  };
  const server = await startServer(respond, limits, { worker: observed });
  started.push(server.stop);
  return { ...server, worker, losses, asked };
}

/** Starts a server with a worker that executes the first word of a body. */
async function startScripted(workerLimits: Partial<WorkerLimits> = {}) {
  const file = join(folder, `${Math.random()}.mjs`);
  const record = { phase: 'mutate', mode: 'enforce', profile: 'userns', outcome: 'allowed', counts: [], exempted: [] };
  await writeFile(
    file,
    `import { parentPort, threadId } from 'node:worker_threads';
    parentPort.on('message', ({ body }) => {
      const [order] = Buffer.from(body).toString().split(' ', 1);
      if (order === 'throw') throw new Error('canary');
      if (order === 'exit') process.exit(3);
      if (order === 'loop') for (;;);
      if (order === 'fill') for (const all = []; ; ) all.push(new Array(1000).fill({}));
      const answer = JSON.stringify({ thread: threadId });
      parentPort.postMessage({ status: 200, body: answer, bytes: answer.length, record: ${JSON.stringify(record)} });
    });
    parentPort.postMessage('ready');`,
  );
  const losses: string[] = [];
  const limits = { heapMiB: 16, ...PATIENT_WORKER, ...workerLimits };
  const worker = makeReviewWorker({ script: pathToFileURL(file), data: undefined, limits, onLost: (loss) => losses.push(loss) });
  const server = await startServer(respond, {}, { worker });
  started.push(server.stop);
  const command = (order: string, path = MUTATE) => server.send(path, { body: `${order} `.padEnd(LIMITS.largeBodyBytes + 1) });
  return { ...server, losses, command };
}

/** The example review with an annotation that makes it large. */
function largeReview(bytes = LIMITS.largeBodyBytes + 1): string {
  const review = JSON.parse(exampleReview);
  review.request.object.metadata.annotations = { padding: 'x'.repeat(bytes) };
  return JSON.stringify(review);
}

/** A body of this size with so many commas, braces and brackets. */
const dense = (values: number, bytes = LIMITS.largeBodyBytes + 1): string => `[${'[],'.repeat((values - 1) / 2)}0]`.padEnd(bytes);

describe('a body with too many values', () => {
  test('T22, T24: 2 million empty objects are rejected while they arrive, without parsing and without Retry-After', async () => {
    const { send, asked, metrics } = await start();
    const body = `{"request":{"object":{"spec":{"tolerations":[${'{},'.repeat(2_000_000)}{}]}}}}`;
    const { status, headers, body: answer } = await send(MUTATE, { body });
    expect([status, headers.connection, headers['retry-after']]).toEqual([413, 'close', undefined]);
    expect(JSON.parse(answer).code).toBe('CLOISTER_TOO_MANY_VALUES');
    expect(asked).toEqual([]);
    expect(await metrics.expose()).toContain('cloister_refused_requests_total{status="413"} 1');
    expect(await metrics.expose()).toContain('cloister_body_bytes 0');
  });

  // The number is an estimate, because not every byte is checked.
  test.each(['at once', 'in chunks'])(
    'T22: a body a tenth over the limit is rejected and one a tenth under it is judged, sent %s',
    async (how) => {
      const { send, asked } = await start({ limits: { maxValues: 100_001 } });
      const cut = (body: string) => (how === 'at once' ? body : [Buffer.from(body.slice(0, 200_000)), Buffer.from(body.slice(200_000))]);
      expect((await send(MUTATE, { body: cut(dense(90_001)) })).status).toBe(400);
      expect((await send(MUTATE, { body: cut(dense(110_001)) })).status).toBe(413);
      expect(asked).toEqual([MUTATE]);
    },
  );

  test('the values of a small body are not limited', async () => {
    const { send, asked } = await start({ limits: { maxValues: 10 } });
    expect((await send(MUTATE, { body: dense(1_001, LIMITS.largeBodyBytes) })).status).toBe(400);
    expect(asked).toEqual([]);
  });

  test.each(['tolerations', 'volumes', 'containers'])('T22: a small body with many values is judged by the worker: %s', async (field) => {
    const { send, asked, losses } = await start();
    const review = JSON.parse(exampleReview);
    review.request.object.spec[field] = Array.from({ length: LIMITS.manyValues }, () => ({}));
    const body = JSON.stringify(review);
    expect(body.length).toBeLessThan(LIMITS.largeBodyBytes);
    const { status, body: answer } = await send(VALIDATE, { body });
    expect([status, asked, losses]).toEqual([200, [VALIDATE], []]);
    expect(answer).toBe(respond(VALIDATE, Buffer.from(body)).body);
  });

  test('an ordinary body of 64 KiB does not have many values', async () => {
    const { send, asked } = await start();
    const { status } = await send(MUTATE, { body: await readFile(MEDIUM) });
    expect([status, asked]).toEqual([200, []]);
  });
});

describe('a large body', () => {
  test.each([MUTATE, '/validate/enforce/userns', '/validate/warn/userns', '/validate/audit/userns'])(
    'a large body at %s is answered by the worker with the bytes of a small one',
    async (path) => {
      const { send, asked, losses } = await start();
      const body = largeReview();
      const { status, body: answer } = await send(path, { body });
      expect(status).toBe(200);
      expect(answer).toBe(respond(path, Buffer.from(body)).body);
      expect([asked, losses]).toEqual([[path], []]);
    },
  );

  test('a large body is judged by the configuration that the server was started with', async () => {
    const text = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {gvisor: {}}\n';
    const other = parseConfig(text, 'test');
    if (!other.ok) throw new Error(other.error.join('\n'));
    const { send } = await start({ data: { config: other.value.text } });
    const { response } = JSON.parse((await send('/mutate/gvisor', { body: largeReview() })).body);
    expect(Buffer.from(response.patch, 'base64').toString()).toContain('"/spec/runtimeClassName"');
  });

  test('T21: a body of the largest size is answered like any other', async () => {
    const { send } = await start();
    const room = LIMITS.maxBodyBytes - largeReview(0).length;
    const { status, body } = await send(MUTATE, { body: largeReview(room) });
    expect([status, JSON.parse(body).response.patchType]).toEqual([200, 'JSONPatch']);
  });

  test('a large body that arrives in chunks, without an announced length, is answered like any other', async () => {
    const { send, asked } = await start();
    const body = Buffer.from(largeReview());
    const chunks = Array.from({ length: 10 }, (_, index) => body.subarray(index * 30_000, index === 9 ? undefined : (index + 1) * 30_000));
    expect((await send(MUTATE, { body: chunks })).body).toBe(respond(MUTATE, body).body);
    expect(asked).toEqual([MUTATE]);
  });

  test('the record of a large review lists its findings', async () => {
    const { send, lines } = await start();
    await send('/validate/enforce/userns', { body: largeReview() });
    await until(() => lines.some((line) => line.includes('"msg":"denied"')));
    const line = JSON.parse(lines.find((each) => each.includes('"msg":"denied"')) ?? '');
    expect(line).toMatchObject({ outcome: 'denied', rules: expect.arrayContaining(['user-namespace', 'privileged']) });
  });

  test('small reviews do not wait for a large one', async () => {
    const { send, command, losses } = await startScripted({ reviewTimeoutMs: 1_000 });
    const large = command('loop');
    while (losses.length === 0) expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
    expect((await large).status).toBe(503);
  });

  test('a review whose caller is already gone is not judged', async () => {
    const worker = makeReviewWorker({ script: pathToFileURL(join(folder, 'nowhere.mjs')), data: undefined, onLost: () => {} });
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(worker.judge(MUTATE, new Uint8Array(1), gone, '')).rejects.toThrow('gone');
    await worker.stop();
  });

  test('T27: a large review is answered before its caller gives up, and the next is judged', async () => {
    const { command, losses } = await startScripted({ reviewTimeoutMs: 5_000 });
    const [first, second] = await Promise.all([command('loop', `${MUTATE}?timeout=1s`), command('wait', `${MUTATE}?timeout=1s`)]);
    expect([first.status, second.status, first.headers['retry-after']]).toEqual([503, 503, undefined]);
    // The worker is still busy with the first one.
    expect(losses).toEqual([]);
    await until(() => losses.length > 0);
    expect((await command('answer')).status).toBe(200);
  });
});

describe('F17: the worker', () => {
  test.each([
    ['throws', 'throw', 'ended', 500],
    ['exits', 'exit', 'ended', 500],
    ['never comes to an end', 'loop', 'overdue', 503],
    ['fills its memory', 'fill', 'memory', 413],
  ])('a worker that %s fails the current review, and a new worker judges the next', async (_, order, loss, status) => {
    const { command, losses, lines, metrics } = await startScripted({ reviewTimeoutMs: order === 'loop' ? 2_000 : 60_000 });
    const before = JSON.parse((await command('answer')).body).thread;
    const [failed, next] = await Promise.all([command(order), command('answer')]);
    expect([failed.status, failed.headers['retry-after'], next.status]).toEqual([status, undefined, 200]);
    expect(JSON.parse(next.body).thread).not.toBe(before);
    expect(losses).toEqual([loss]);
    expect(lines.join('') + failed.body).not.toContain('canary');
    const isBug = status === 500;
    expect(lines.join('').includes('internal error')).toBe(isBug);
    expect(await metrics.expose()).toContain(`cloister_failed_requests_total ${isBug ? 1 : 0}\n`);
  });

  test('a worker that cannot start fails each review that it is started for', async () => {
    const { send, losses } = await start({ script: pathToFileURL(join(folder, 'nowhere.mjs')) });
    expect((await send(MUTATE, { body: largeReview() })).status).toBe(500);
    expect((await send(MUTATE, { body: largeReview() })).status).toBe(500);
    expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
    expect(losses).toEqual(['ended', 'ended']);
  });

  test('an idle worker is terminated, which frees its memory', async () => {
    const { command, losses } = await startScripted({ idleTimeoutMs: 20 });
    const first = JSON.parse((await command('answer')).body).thread;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(JSON.parse((await command('answer')).body).thread).not.toBe(first);
    expect(losses).toEqual([]);
  });

  // V8's own --max-old-space-size, by any of its names, overrides the limits of every worker.
  test('T24: the flags with which the image starts Node do not raise the memory limits of a worker', async () => {
    const { heapMiB, youngHeapMiB } = WORKER_LIMITS;
    const limits = { maxOldGenerationSizeMb: heapMiB, maxYoungGenerationSizeMb: youngHeapMiB };
    const script = `new (require('worker_threads').Worker)(
      "require('worker_threads').parentPort.postMessage(require('v8').getHeapStatistics().heap_size_limit)",
      { eval: true, resourceLimits: ${JSON.stringify(limits)} },
    ).on('message', console.log)`;
    const flags = imageSettings().entrypoint.slice(1, -1);
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, '-e', script]);
    // The young heap is at least three times what the flags state.
    expect(Number(stdout) / 1024 ** 2).toBeLessThanOrEqual(heapMiB + 24);
  });

  test('T24: the callers take turns, however many reviews one of them sends', async () => {
    const { worker } = await start();
    const body = Buffer.from(largeReview());
    const order: string[] = [];
    const judge = (caller: string) =>
      worker.judge(MUTATE, new Uint8Array(body), new AbortController().signal, caller).then(() => order.push(caller));
    await Promise.all(['a', 'a', 'a', 'a', 'b', 'c', 'b'].map(judge));
    expect(order.join('')).toBe('abcabaa');
    await worker.stop();
  });

  test('stopping the worker fails the reviews that it has', async () => {
    const { worker } = await start();
    const body = Buffer.from(largeReview());
    const [first, second] = [1, 2].map(() => worker.judge(MUTATE, new Uint8Array(body), new AbortController().signal, ''));
    await Promise.all([worker.stop(), expect(first).rejects.toThrow('stopping'), expect(second).rejects.toThrow('stopping')]);
  });
});

test('every way to lose a worker is a series from the start', async () => {
  const { metrics } = await start();
  const text = await metrics.expose();
  for (const reason of WORKER_LOSSES) expect(text).toContain(`cloister_judging_threads_lost_total{reason="${reason}"} 0`);
});
