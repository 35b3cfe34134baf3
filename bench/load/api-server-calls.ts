import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Connection, open, post, type Target } from './connection.ts';
import { makeAnswerCheck } from './load-generator.ts';

/**
 * Calls a webhook as API servers do: each call uses an idle connection or opens one, and is retried after a 429. The program takes a job as its
 * only argument, in JSON, and prints the results of each phase.
 */
export interface CallJob {
  readonly target: Target;
  /** The file of the review. */
  readonly file: string;
  /** Calls take these paths in turn. */
  readonly routes: readonly Route[];
  /** A phase starts when all calls of the phase before it have started. */
  readonly phases: readonly Phase[];
  /** An API server limits its concurrent requests: a call beyond this number is not sent. */
  readonly maxConcurrent: number;
}

export interface Route {
  readonly path: string;
  /** Whether a correct answer at this path holds a patch. */
  readonly expectsPatch: boolean;
}

export interface Phase {
  readonly calls: number;
  /** Absent: all at once. */
  readonly perSecond?: number;
}

export interface CallResults {
  /** The duration of each answered call, retries included. */
  readonly callMs: readonly number[];
  /** The duration of the last attempt of each answered call. */
  readonly attemptMs: readonly number[];
  /** Attempts answered with a status that asks for a retry. */
  readonly shed: number;
  /** Calls without an answer, or without one in time. */
  readonly failed: number;
  /** The first few error messages. */
  readonly failures: readonly string[];
  readonly notSent: number;
  /** The end of the last call that took longer than `SLOW_MS`, counted from the start of the phase; 0: there was none. */
  readonly lastSlowMs: number;
}

/** The timeout of an enforcing entry. Source: `timeoutSeconds` in src/manifests/entries.ts */
const TIMEOUT_MS = 5_000;
/** Source: k8s.io/client-go/rest, request.go */
const MAX_ATTEMPTS = 11;
/** The idle connections that the transports of three API servers keep. Source: k8s.io/client-go/transport, cache.go */
const MAX_IDLE = 75;
export const SLOW_MS = 100;

async function makeCalls({ target, file, routes, phases, maxConcurrent }: CallJob): Promise<CallResults[]> {
  const body = readFileSync(file);
  const requests = routes.map(({ path, expectsPatch }) => ({ bytes: post(path, body), check: makeAnswerCheck(body, expectsPatch) }));
  const pool = makePool(target);
  let inFlight = 0;
  const results: CallResults[] = [];
  const calls: Promise<void>[] = [];
  for (const phase of phases) await startPhase(phase);
  await Promise.all(calls);
  pool.close();
  return results;

  async function startPhase(phase: Phase): Promise<void> {
    const counts = {
      callMs: [] as number[],
      attemptMs: [] as number[],
      shed: 0,
      failed: 0,
      failures: [] as string[],
      notSent: 0,
      lastSlowMs: 0,
    };
    results.push(counts);
    const start = performance.now();
    for (let index = 0; index < phase.calls; index += 1) {
      if (phase.perSecond !== undefined) {
        const earlyMs = start + (index / phase.perSecond) * 1_000 - performance.now();
        // Timers have a resolution of one millisecond.
        if (earlyMs > 1) await sleep(earlyMs);
      }
      if (inFlight >= maxConcurrent) counts.notSent += 1;
      else calls.push(call(index));
    }

    async function call(index: number): Promise<void> {
      inFlight += 1;
      const since = performance.now();
      try {
        const lastAttempt = await retryUntilAnswered(index, since);
        counts.attemptMs.push(performance.now() - lastAttempt);
        counts.callMs.push(performance.now() - since);
      } catch (error) {
        counts.failed += 1;
        const { message } = error as Error;
        if (counts.failures.length < 3) counts.failures.push(message);
      }
      inFlight -= 1;
      const now = performance.now();
      if (now - since > SLOW_MS) counts.lastSlowMs = now - start;
    }

    /** @returns the start of the attempt that was answered */
    async function retryUntilAnswered(index: number, since: number): Promise<number> {
      const { bytes, check } = requests[index % requests.length] as (typeof requests)[number];
      for (let attempts = 1; ; attempts += 1) {
        const attemptedAt = performance.now();
        const answer = await send(bytes);
        const isLate = performance.now() - since > TIMEOUT_MS;
        if (answer.retryAfterSeconds === undefined && !isLate) {
          check(answer, index);
          return attemptedAt;
        }
        if (isLate || attempts === MAX_ATTEMPTS) throw new Error(`no answer after ${attempts} attempts`);
        counts.shed += 1;
        await sleep((answer.retryAfterSeconds ?? 0) * 1_000);
      }
    }
  }

  async function send(request: Uint8Array): Promise<Answer> {
    const connection = await pool.take();
    try {
      return await connection.send(request);
    } finally {
      pool.release(connection);
    }
  }
}

interface Pool {
  take(): Promise<Connection>;
  release(connection: Connection): void;
  close(): void;
}

/** A caller that finds no idle connection opens one, and takes the first that becomes free. Source: net/http, transport.go */
function makePool(target: Target): Pool {
  const idle: Connection[] = [];
  const waiting: PromiseWithResolvers<Connection>[] = [];
  return {
    take() {
      const connection = idle.pop();
      if (connection !== undefined) return Promise.resolve(connection);
      const place = Promise.withResolvers<Connection>();
      waiting.push(place);
      open(target).then(release, (error) => {
        const index = waiting.indexOf(place);
        if (index >= 0) waiting.splice(index, 1);
        place.reject(error);
      });
      return place.promise;
    },
    release,
    close() {
      for (const connection of idle) connection.close();
    },
  };

  function release(connection: Connection): void {
    const first = waiting.shift();
    if (first !== undefined) first.resolve(connection);
    else if (idle.length < MAX_IDLE) idle.push(connection);
    else connection.close();
  }
}

if (import.meta.main) process.stdout.write(JSON.stringify(await makeCalls(JSON.parse(process.argv[2] ?? ''))));
