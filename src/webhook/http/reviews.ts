import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CloseReason, RequestRecord, ShedReason } from '../../core/request-record.ts';
import type { Respond, ReviewResponse } from '../review/respond.ts';
import { isWatching, type Route } from '../review/route.ts';
import { type BodyErrorCode, readBody } from './body.ts';
import { makeLoopTurns } from './caller-turns.ts';
import type { Connections } from './connections.ts';
import { errorBody, HTTP_ERRORS, type HttpError, type HttpErrorCode, JSON_TYPE, jsonHeaders, sendError } from './errors.ts';
import type { Limits } from './limits.ts';
import type { Admission, LoadShedder } from './load-shedding.ts';
import { estimateValues } from './value-count.ts';
import { type ReviewWorker, WorkerLostError } from './worker.ts';

/** Records what happens. Its methods must be quick, because callers wait for them. */
export interface Recorder {
  startRequest(): void;
  endRequest(): void;
  recordAnswer(record: RequestRecord, seconds: number): void;
  /** Passes on the records that still wait for a batch. */
  flush(): void;
  /** A request that is rejected before it is judged. */
  recordRejection(error: { readonly status: number; readonly code: string }): void;
  recordShed(reason: ShedReason): void;
  /** A connection that is closed early. */
  recordClose(reason: CloseReason): void;
  /** A bug in Cloister. */
  recordFailure(error: unknown): void;
}

export interface ReviewHandlerOptions {
  /** Judges small bodies. */
  readonly respond: Respond;
  /** Judges large bodies. */
  readonly worker: ReviewWorker;
  readonly shedder: LoadShedder;
  readonly recorder: Recorder;
  readonly connections: Pick<Connections, 'isLast' | 'isDraining' | 'startReview' | 'endReview'>;
  readonly limits: Limits;
}

export interface RoutedRequest {
  /** Of the URL, without its query. */
  readonly path: string;
  readonly route: Route;
}

export type HandleReview = (routed: RoutedRequest, request: IncomingMessage, response: ServerResponse) => void;

interface AdmittedReview {
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly startedAt: number;
  readonly admission: Admission;
}

/** Makes the function that handles the request of a review, from its headers to its answer. */
export function makeReviewHandler({ respond, worker, shedder, recorder, connections, limits }: ReviewHandlerOptions): HandleReview {
  const turns = makeLoopTurns(limits.turnMs);
  return ({ path, route }, request, response) => {
    const startedAt = performance.now();
    recorder.startRequest();
    let admission: Admission | undefined;
    response.once('close', () => {
      recorder.endRequest();
      admission?.leave();
      connections.endReview(request, response.writableFinished && response.statusCode === 200);
    });
    if (!isJson(request)) {
      reject(request, response, { code: 'CLOISTER_UNSUPPORTED_MEDIA_TYPE' });
      return;
    }
    const admitted = shedder.admit(isWatching(route) ? 'watched' : 'enforced', (reason) => {
      stopReading();
      shed(request, response, reason);
    });
    if (typeof admitted === 'string') {
      shed(request, response, admitted);
      return;
    }
    admission = admitted;
    connections.startReview(request);
    const review = { path, startedAt, request, response, admission: admitted };
    const stopReading = readBody(request, limits, { onBytes: admitted.addBytes, onEnd: (body) => judge(review, body) });
  };

  function judge(review: AdmittedReview, body: Uint8Array<ArrayBuffer> | BodyErrorCode): void {
    const { request, response, admission } = review;
    if (typeof body === 'string') {
      admission.releaseBody();
      reject(request, response, { code: body });
      return;
    }
    const isLarge = body.length > limits.largeBodyBytes;
    const hasManyValues = !isLarge && body.length > limits.manyValues && estimateValues(body) > limits.manyValues;
    const waits = hasManyValues || body.length > limits.smallBodyBytes;
    const overload = admission.finishUpload(waits ? 'later' : 'now', callerOf(request));
    if (overload !== undefined) {
      if (isLarge) body.buffer.transfer(0);
      shed(request, response, overload);
    } else if (isLarge) void judgeInWorker(review, body);
    // A small body may share its memory with other buffers, which must not be transferred: the worker gets a copy.
    else if (hasManyValues) void judgeInWorker(review, new Uint8Array(body));
    else if (waits) judgeInTurn(review, body);
    else judgeHere(review, body);
  }

  function judgeInTurn(review: AdmittedReview, body: Uint8Array): void {
    const { request, response, admission } = review;
    const cancel = turns.add(callerOf(request), () => {
      admission.releaseBody();
      judgeHere(review, body);
    });
    response.once('close', cancel);
  }

  function judgeHere(review: AdmittedReview, body: Uint8Array): void {
    try {
      answer(review, respond(review.path, body));
    } catch (error) {
      recorder.recordFailure(error);
      fail(review, 'CLOISTER_INTERNAL_ERROR');
    }
  }

  async function judgeInWorker(review: AdmittedReview, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const { path, request, response, admission } = review;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const timeout = AbortSignal.timeout(timeoutMsOf(request, limits));
    try {
      answer(review, await worker.judge(path, body, AbortSignal.any([gone.signal, timeout]), callerOf(request)));
    } catch (error) {
      if (gone.signal.aborted) return;
      const code = timeout.aborted ? 'CLOISTER_REVIEW_TIMEOUT' : workerErrorOf(error);
      if (code === 'CLOISTER_INTERNAL_ERROR') recorder.recordFailure(error);
      else recorder.recordRejection({ status: HTTP_ERRORS[code].status, code });
      fail(review, code);
    } finally {
      admission.releaseBody();
    }
  }

  function answer(review: AdmittedReview, reply: ReviewResponse): void {
    send(review, reply);
    recorder.recordAnswer(reply.record, (performance.now() - review.startedAt) / 1_000);
  }

  function fail(review: AdmittedReview, code: HttpErrorCode): void {
    const body = errorBody(code);
    send(review, { status: HTTP_ERRORS[code].status, body, bytes: Buffer.byteLength(body) });
  }

  /** A connection is kept only after an answered review. */
  function send(
    { request, response, admission }: AdmittedReview,
    { status, body, bytes }: Pick<ReviewResponse, 'status' | 'body' | 'bytes'>,
  ): void {
    if (status !== 200 || connections.isLast(request)) response.setHeader('connection', 'close');
    response.writeHead(status, jsonHeaders(bytes));
    response.end(body);
    admission.startAnswer(bytes, () => {
      recorder.recordClose('unread');
      request.socket.destroy();
    });
  }

  /** An API server retries up to ten times, each time on a new connection, which may lead to another replica. */
  function shed(request: IncomingMessage, response: ServerResponse, reason: ShedReason): void {
    recorder.recordShed(reason);
    const code = connections.isDraining() ? 'CLOISTER_DRAINING' : 'CLOISTER_OVERLOADED';
    reject(request, response, { code, headers: { 'retry-after': '1' } });
  }

  function reject(request: IncomingMessage, response: ServerResponse, error: HttpError): void {
    connections.endReview(request, false);
    recorder.recordRejection({ status: HTTP_ERRORS[error.code].status, code: error.code });
    sendError(request, response, error);
  }
}

function workerErrorOf(error: unknown): HttpErrorCode {
  switch (error instanceof WorkerLostError ? error.loss : 'ended') {
    case 'memory':
      return 'CLOISTER_TOO_MUCH_MEMORY';
    case 'overdue':
      return 'CLOISTER_REVIEW_TIMEOUT';
    default:
      return 'CLOISTER_INTERNAL_ERROR';
  }
}

function callerOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? '';
}

const JSON_CONTENT = /^application\/json[\t ]*(?:;[\t ]*charset=(?:utf-8|"utf-8")[\t ]*)?$/i;

function isJson({ headers }: IncomingMessage): boolean {
  const { 'content-type': type = '', 'content-encoding': coding } = headers;
  return (type === JSON_TYPE || JSON_CONTENT.test(type)) && coding === undefined;
}

/** The API server states its timeout in the query. A review that it no longer waits for is not judged. */
function timeoutMsOf({ url = '' }: IncomingMessage, { largeReviewTimeoutMs }: Limits): number {
  const seconds = Number(/[?&]timeout=(\d{1,2})s(?:&|$)/.exec(url)?.[1] ?? Number.POSITIVE_INFINITY);
  return Math.min(largeReviewTimeoutMs, Math.max(seconds * 1_000 - 500, 500));
}
