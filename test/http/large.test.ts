import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { loadConfig, parseConfig } from '../../src/config.ts';
import { makeRespond } from '../../src/webhook/respond.ts';
import { LIMITS, type Limits } from '../../src/webhook/server.ts';
import { makeThread, THREAD_LIMITS, THREAD_LOSSES, type Thread, type ThreadLimits } from '../../src/webhook/thread.ts';
import { imageSettings } from '../support/image.ts';
import { exampleReview, startServer, until } from '../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

const MUTATE = '/mutate/userns';
const VALIDATE = '/validate/enforce/userns';
const MEDIUM = new URL('../../bench/reviews/medium-mutate-userns.jsonl', import.meta.url);
const JUDGING_THREAD = new URL('../../src/commands/judging-thread.ts', import.meta.url);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-thread-'));
});
afterAll(() => rm(folder, { recursive: true }));

const started: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((stop) => stop()));
});

/** A server whose large reviews are judged by a script. */
async function start({ script = JUDGING_THREAD, data = { config: undefined } as unknown, limits = {} as Partial<Limits>, ...rest } = {}) {
  const losses: string[] = [];
  const thread = makeThread({ script, data, onLost: (loss) => losses.push(loss), ...(rest as { limits?: Partial<ThreadLimits> }) });
  const asked: string[] = [];
  const listened: Thread = {
    ...thread,
    judge(path, body, signal) {
      asked.push(path);
      return thread.judge(path, body, signal);
    },
  };
  const server = await startServer(respond, limits, { thread: listened });
  started.push(server.stop);
  return { ...server, thread, losses, asked };
}

/** A thread that does as it is told by the first words of a body. */
async function scripted(threadLimits: Partial<ThreadLimits> = {}) {
  const file = join(folder, `${Math.random()}.mjs`);
  const record = { phase: 'mutate', mode: 'enforce', profile: 'userns', outcome: 'allowed', counts: [], exempted: [] };
  await writeFile(
    file,
    `import { parentPort, threadId } from 'node:worker_threads';
    parentPort.on('message', ({ body }) => {
      const [told] = Buffer.from(body).toString().split(' ', 1);
      if (told === 'throw') throw new Error('canary');
      if (told === 'exit') process.exit(3);
      if (told === 'loop') for (;;);
      if (told === 'fill') for (const all = []; ; ) all.push(new Array(1000).fill({}));
      const answer = JSON.stringify({ thread: threadId });
      parentPort.postMessage({ status: 200, body: answer, bytes: answer.length, record: ${JSON.stringify(record)} });
    });
    parentPort.postMessage('ready');`,
  );
  const losses: string[] = [];
  const limits = { heap: 16, ...threadLimits };
  const thread = makeThread({ script: pathToFileURL(file), data: undefined, limits, onLost: (loss) => losses.push(loss) });
  const server = await startServer(respond, {}, { thread });
  started.push(server.stop);
  const tell = (told: string, path = MUTATE) => server.send(path, { body: `${told} `.padEnd(LIMITS.large + 1) });
  return { ...server, losses, tell };
}

/** Real, but for an annotation that makes it large. */
function largeReview(bytes = LIMITS.large + 1): string {
  const review = JSON.parse(exampleReview);
  review.request.object.metadata.annotations = { padding: 'x'.repeat(bytes) };
  return JSON.stringify(review);
}

/** As many commas, braces and brackets as are asked for, in a body of this size. */
const dense = (tokens: number, bytes = LIMITS.large + 1): string => `[${'[],'.repeat((tokens - 1) / 2)}0]`.padEnd(bytes);

describe('a body with too many values', () => {
  test('T22, T24: 2 million empty objects are refused while they arrive; nothing parses them, and nobody tries again', async () => {
    const { send, asked, metrics } = await start();
    const body = `{"request":{"object":{"spec":{"tolerations":[${'{},'.repeat(2_000_000)}{}]}}}}`;
    const { status, headers, body: answer } = await send(MUTATE, { body });
    expect([status, headers.connection, headers['retry-after']]).toEqual([413, 'close', undefined]);
    expect(JSON.parse(answer).error).toMatch(/too many values/);
    expect(asked).toEqual([]);
    expect(await metrics.expose()).toContain('cloister_refused_requests_total{status="413"} 1');
    expect(await metrics.expose()).toContain('cloister_body_bytes 0');
  });

  // About as many: not each byte is looked at.
  test.each(['at once', 'in chunks'])('T22: is a tenth over the budget, and not one a tenth under it, sent %s', async (how) => {
    const { send, asked } = await start({ limits: { tokens: 100_001 } });
    const cut = (body: string) => (how === 'at once' ? body : [Buffer.from(body.slice(0, 200_000)), Buffer.from(body.slice(200_000))]);
    expect((await send(MUTATE, { body: cut(dense(90_001)) })).status).toBe(400);
    expect((await send(MUTATE, { body: cut(dense(110_001)) })).status).toBe(413);
    expect(asked).toEqual([MUTATE]);
  });

  test('is not looked for where the whole of it is small', async () => {
    const { send, asked } = await start({ limits: { tokens: 10 } });
    expect((await send(MUTATE, { body: dense(1_001, LIMITS.large) })).status).toBe(400);
    expect(asked).toEqual([]);
  });

  test.each(['tolerations', 'volumes', 'containers'])('T22: is judged by a thread however small it is: %s', async (field) => {
    const { send, asked, losses } = await start();
    const review = JSON.parse(exampleReview);
    review.request.object.spec[field] = Array.from({ length: LIMITS.dense }, () => ({}));
    const body = JSON.stringify(review);
    expect(body.length).toBeLessThan(LIMITS.large);
    const { status, body: answer } = await send(VALIDATE, { body });
    expect([status, asked, losses]).toEqual([200, [VALIDATE], []]);
    expect(answer).toBe(respond(VALIDATE, Buffer.from(body)).body);
  });

  test('is not what an ordinary one of 64 KiB has', async () => {
    const { send, asked } = await start();
    const { status } = await send(MUTATE, { body: await readFile(MEDIUM) });
    expect([status, asked]).toEqual([200, []]);
  });
});

describe('a large body', () => {
  test.each([MUTATE, '/validate/enforce/userns', '/validate/warn/userns', '/validate/audit/userns'])(
    'at %s is answered by a thread, in the words of a small one',
    async (path) => {
      const { send, asked, losses } = await start();
      const body = largeReview();
      const { status, body: answer } = await send(path, { body });
      expect(status).toBe(200);
      expect(answer).toBe(respond(path, Buffer.from(body)).body);
      expect([asked, losses]).toEqual([[path], []]);
    },
  );

  test('is judged by the configuration that the server was started with', async () => {
    const text = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {gvisor: {}}\n';
    const other = parseConfig(text, 'test');
    if (!other.ok) throw new Error(other.error.join('\n'));
    const { send } = await start({ data: { config: other.value.text } });
    const { response } = JSON.parse((await send('/mutate/gvisor', { body: largeReview() })).body);
    expect(Buffer.from(response.patch, 'base64').toString()).toContain('"/spec/runtimeClassName"');
  });

  test('T21: of the largest size there is, is answered like any other', async () => {
    const { send } = await start();
    const room = LIMITS.body - largeReview(0).length;
    const { status, body } = await send(MUTATE, { body: largeReview(room) });
    expect([status, JSON.parse(body).response.patchType]).toEqual([200, 'JSONPatch']);
  });

  test('that comes in chunks, of no announced length, is answered likewise', async () => {
    const { send, asked } = await start();
    const body = Buffer.from(largeReview());
    const chunks = Array.from({ length: 10 }, (_, index) => body.subarray(index * 30_000, index === 9 ? undefined : (index + 1) * 30_000));
    expect((await send(MUTATE, { body: chunks })).body).toBe(respond(MUTATE, body).body);
    expect(asked).toEqual([MUTATE]);
  });

  test('is recorded with what was found', async () => {
    const { send, lines } = await start();
    await send('/validate/enforce/userns', { body: largeReview() });
    await until(() => lines.some((line) => line.includes('"msg":"denied"')));
    const line = JSON.parse(lines.find((each) => each.includes('"msg":"denied"')) ?? '');
    expect(line).toMatchObject({ outcome: 'denied', rules: expect.arrayContaining(['user-namespace', 'privileged']) });
  });

  test('keeps nobody waiting whose own is small', async () => {
    const { send, tell, losses } = await scripted({ workTimeout: 1_000 });
    const large = tell('loop');
    while (losses.length === 0) expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
    expect((await large).status).toBe(500);
  });

  test('whose caller is gone already is judged for nobody', async () => {
    const thread = makeThread({ script: pathToFileURL(join(folder, 'nowhere.mjs')), data: undefined, onLost: () => {} });
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(thread.judge(MUTATE, new Uint8Array(1), gone)).rejects.toThrow('gone');
    await thread.stop();
  });

  test('T27: whose caller waits no longer is answered before that, and the next is judged', async () => {
    const { tell, losses } = await scripted({ workTimeout: 1_500 });
    const since = performance.now();
    const [first, second] = await Promise.all([tell('loop', `${MUTATE}?timeout=1s`), tell('wait', `${MUTATE}?timeout=1s`)]);
    expect([first.status, second.status, first.headers['retry-after']]).toEqual([503, 503, undefined]);
    expect(performance.now() - since).toBeLessThan(1_500);
    expect(losses).toEqual([]);
    await until(() => losses.length > 0);
    expect((await tell('answer')).status).toBe(200);
  });
});

describe('F17: a thread', () => {
  test.each([
    ['throws', 'throw', 'ended'],
    ['exits', 'exit', 'ended'],
    ['never comes to an end', 'loop', 'overdue'],
    ['fills its memory', 'fill', 'ended'],
  ])('that %s fails the review at hand, and the next has another', async (_, told, loss) => {
    const { tell, losses, lines, metrics } = await scripted({ workTimeout: told === 'loop' ? 300 : 60_000 });
    const before = JSON.parse((await tell('answer')).body).thread;
    const [failed, next] = await Promise.all([tell(told), tell('answer')]);
    expect([failed.status, failed.headers['retry-after'], next.status]).toEqual([500, undefined, 200]);
    expect(JSON.parse(next.body).thread).not.toBe(before);
    expect(losses).toEqual([loss]);
    expect(lines.join('')).toContain('a bug');
    expect(lines.join('') + failed.body).not.toContain('canary');
    expect(await metrics.expose()).toContain('cloister_failed_requests_total 1');
  });

  test('that cannot even start fails each review that it is started for', async () => {
    const { send, losses } = await start({ script: pathToFileURL(join(folder, 'nowhere.mjs')) });
    expect((await send(MUTATE, { body: largeReview() })).status).toBe(500);
    expect((await send(MUTATE, { body: largeReview() })).status).toBe(500);
    expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
    expect(losses).toEqual(['ended', 'ended']);
  });

  test('with nothing to do ends, and gives its memory back', async () => {
    const { tell, losses } = await scripted({ idleTimeout: 20 });
    const first = JSON.parse((await tell('answer')).body).thread;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(JSON.parse((await tell('answer')).body).thread).not.toBe(first);
    expect(losses).toEqual([]);
  });

  // V8's own --max-old-space-size, by whatever name, holds for every thread in place of what the thread is given.
  test('T24: has no more memory than it is given under the flags that the image starts Node with', async () => {
    const { heap, youngHeap } = THREAD_LIMITS;
    const limits = { maxOldGenerationSizeMb: heap, maxYoungGenerationSizeMb: youngHeap };
    const script = `new (require('worker_threads').Worker)(
      "require('worker_threads').parentPort.postMessage(require('v8').getHeapStatistics().heap_size_limit)",
      { eval: true, resourceLimits: ${JSON.stringify(limits)} },
    ).on('message', console.log)`;
    const flags = imageSettings().entrypoint.slice(1, -1);
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, '-e', script]);
    // The young part is at least what the flags say, three times over.
    expect(Number(stdout) / 1024 ** 2).toBeLessThanOrEqual(heap + 24);
  });

  test('that is stopped fails what it has', async () => {
    const { thread } = await start();
    const body = Buffer.from(largeReview());
    const [first, second] = [1, 2].map(() => thread.judge(MUTATE, new Uint8Array(body), new AbortController().signal));
    await Promise.all([thread.stop(), expect(first).rejects.toThrow('stopping'), expect(second).rejects.toThrow('stopping')]);
  });
});

test('every way to lose a thread is a series from the start', async () => {
  const { metrics } = await start();
  const text = await metrics.expose();
  for (const reason of THREAD_LOSSES) expect(text).toContain(`cloister_judging_threads_lost_total{reason="${reason}"} 0`);
});
