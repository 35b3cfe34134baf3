import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { LIMITS } from '../../../src/webhook/http/limits.ts';
import { makeLoadShedder } from '../../../src/webhook/http/load-shedding.ts';
import { makeReviewHandler, type ReviewHandlerOptions } from '../../../src/webhook/http/reviews.ts';
import type { Respond } from '../../../src/webhook/review/respond.ts';

/** The handler without a server: a fake request goes in, and what would go on the wire comes out. */

const ROUTE = { path: '/mutate/userns', route: { phase: 'mutate', mode: 'enforce', profile: 'userns' } } as const;

const record = { phase: 'mutate', mode: 'enforce', profile: 'userns', outcome: 'allowed', counts: [], exempted: [] } as const;
const echo: Respond = (_path, body) => ({ status: 200, body: `"${body.length}"`, bytes: 2 + String(body.length).length, record });

const noWorker: ReviewHandlerOptions['worker'] = { judge: () => Promise.reject(new Error('the worker was asked')), stop: async () => {} };

function setUp(options: Partial<ReviewHandlerOptions> = {}) {
  const recorder = {
    startRequest: vi.fn(),
    endRequest: vi.fn(),
    recordAnswer: vi.fn(),
    flush: vi.fn(),
    recordRejection: vi.fn(),
    recordShed: vi.fn(),
    recordClose: vi.fn(),
    recordFailure: vi.fn(),
  };
  const connections = { isLast: () => false, isDraining: () => false, startReview: () => {}, endReview: () => {} };
  const limits = options.limits ?? LIMITS;
  const shedder = makeLoadShedder(limits);
  const handle = makeReviewHandler({ respond: echo, worker: noWorker, shedder, recorder, connections, limits, ...options });
  return { handle, recorder, shedder };
}

function exchange({ url = '/mutate/userns?timeout=10s', headers = {} as Record<string, string> } = {}) {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { url, method: 'POST', headers: { 'content-type': 'application/json', ...headers } });
  const response = new ServerResponse(request);
  const writeHead = vi.spyOn(response, 'writeHead');
  const written: string[] = [];
  response.write = (chunk: unknown) => written.push(String(chunk)) > 0;
  response.end = (chunk?: unknown) => {
    if (chunk !== undefined) written.push(String(chunk));
    response.emit('close');
    return response;
  };
  return { request, response, headers: () => writeHead.mock.calls[0]?.[1], body: () => written.join('') };
}

function send(request: IncomingMessage, ...chunks: readonly Buffer[]): Promise<void> {
  for (const chunk of [...chunks, null]) request.push(chunk);
  return new Promise((resolve) => request.once('end', () => setImmediate(resolve)));
}

test('a small body is judged at once, and its answer is recorded', async () => {
  const { handle, recorder, shedder } = setUp();
  const { request, response, body } = exchange();
  handle(ROUTE, request, response);
  await send(request, Buffer.from('{"a":'), Buffer.from('1}'));
  expect([response.statusCode, body()]).toEqual([200, '"7"']);
  expect(recorder.recordAnswer).toHaveBeenCalledExactlyOnceWith(record, expect.any(Number));
  expect([recorder.startRequest, recorder.endRequest].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
  expect(shedder.bodyBytes()).toBe(0);
});

test('an announced length over the limit is rejected before a byte of the body arrives', () => {
  const { handle, recorder } = setUp();
  const { request, response, body } = exchange({ headers: { 'content-length': String(LIMITS.maxBodyBytes + 1) } });
  handle(ROUTE, request, response);
  expect([response.statusCode, JSON.parse(body()).code]).toEqual([413, 'CLOISTER_BODY_TOO_LARGE']);
  expect(recorder.recordRejection).toHaveBeenCalledExactlyOnceWith({ status: 413, code: 'CLOISTER_BODY_TOO_LARGE' });
});

test('a body of another type is rejected, and is not counted among the uploads', () => {
  const { handle, recorder, shedder } = setUp();
  const admit = vi.spyOn(shedder, 'admit');
  const { request, response, body } = exchange({ headers: { 'content-type': 'text/plain' } });
  handle(ROUTE, request, response);
  expect([response.statusCode, JSON.parse(body()).code]).toEqual([415, 'CLOISTER_UNSUPPORTED_MEDIA_TYPE']);
  expect([recorder.recordRejection.mock.calls.length, admit.mock.calls.length]).toEqual([1, 0]);
});

test('the answer to a shed review states when to retry, and the reason is recorded', async () => {
  const { handle, recorder } = setUp({ limits: { ...LIMITS, enforced: { ...LIMITS.enforced, uploads: 1 } } });
  const [first, second] = [exchange(), exchange()];
  handle(ROUTE, first.request, first.response);
  handle(ROUTE, second.request, second.response);
  expect([first.response.statusCode, JSON.parse(first.body()).code]).toEqual([429, 'CLOISTER_OVERLOADED']);
  expect(first.headers()).toMatchObject({ 'retry-after': '1', connection: 'close' });
  expect(recorder.recordShed).toHaveBeenCalledExactlyOnceWith('arriving');
  await send(second.request, Buffer.from('{}'));
  expect(second.response.statusCode).toBe(200);
});

test('a large body goes to the worker, and a small one with many values goes there as a copy', async () => {
  const judged: (readonly [bytes: number, isCopy: boolean])[] = [];
  const many = Buffer.from(`[${'{},'.repeat(2 * LIMITS.manyValues)}{}]`);
  const worker: ReviewHandlerOptions['worker'] = {
    judge: async (path, body) => {
      judged.push([body.length, body.buffer !== many.buffer]);
      return echo(path, body);
    },
    stop: async () => {},
  };
  const { handle, shedder } = setUp({ worker });
  for (const body of [Buffer.alloc(LIMITS.largeBodyBytes + 1), many]) {
    const { request, response, body: answer } = exchange();
    handle(ROUTE, request, response);
    await send(request, body);
    await vi.waitFor(() => expect(answer()).toBe(`"${body.length}"`));
  }
  expect(judged).toEqual([
    [LIMITS.largeBodyBytes + 1, true],
    [many.length, true],
  ]);
  await vi.waitFor(() => expect(shedder.bodyBytes()).toBe(0));
});

test('a bug in a judgement is answered with 500 on a connection that is kept, and recorded', async () => {
  const bug = new Error('bug');
  const { handle, recorder } = setUp({
    respond: () => {
      throw bug;
    },
  });
  const { request, response, headers, body } = exchange();
  handle(ROUTE, request, response);
  await send(request, Buffer.from('{}'));
  expect([response.statusCode, JSON.parse(body()).code]).toEqual([500, 'CLOISTER_INTERNAL_ERROR']);
  expect(recorder.recordFailure).toHaveBeenCalledExactlyOnceWith(bug);
  expect(headers()).not.toHaveProperty('connection');
  expect(recorder.recordRejection).not.toHaveBeenCalled();
});
