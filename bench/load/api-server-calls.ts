import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Connection, open, post, type Target } from './connection.ts';
import { checkOf } from './load-generator.ts';

/**
 * Calls as API servers make them: as many at a time as there are, over a connection that is free, else over a new one; what is to come
 * again later comes again. It is this program's one argument; the program prints a Crowd for each phase.
 */
export interface CrowdJob {
  readonly target: Target;
  /** The file of the review. */
  readonly file: string;
  /** The paths it goes to in turn, and whether a right answer from there holds a patch. */
  readonly ways: readonly { readonly path: string; readonly patched: boolean }[];
  /** One follows the other, whatever is still under way. */
  readonly phases: readonly Phase[];
  /** More are not under way at a time: API servers have a limit too, and what comes beyond it never reaches a webhook. */
  readonly most: number;
}

export interface Phase {
  readonly calls: number;
  /** Absent: all at once. */
  readonly perSecond?: number;
}

/** Times are milliseconds. */
export interface Crowd {
  /** Of each call that was answered, from its beginning. */
  readonly calls: readonly number[];
  /** Of the try that was. */
  readonly tries: readonly number[];
  /** How many tries were to come again later. */
  readonly shed: number;
  /** How many calls had no answer in time, or none at all. */
  readonly failed: number;
  readonly failures: readonly string[];
  /** How many were not made. */
  readonly heldBack: number;
  /** When the last call ended that was not answered within SLOW, from the beginning of the phase; 0: there was none. */
  readonly slowUntil: number;
}

/** As long as an API server waits by default for those that validate. */
const PATIENCE = 5_000;
/** Client-go tries so often. Source: k8s.io/client-go/rest, request.go */
const MOST_TRIES = 11;
/** The transport of three API servers keeps so many connections. Source: k8s.io/client-go/transport, cache.go */
const MOST_IDLE = 75;
export const SLOW = 100;

async function crowd({ target, file, ways, phases, most }: CrowdJob): Promise<Crowd[]> {
  const body = readFileSync(file);
  const requests = ways.map(({ path, patched }) => ({ bytes: post(path, body), check: checkOf(body, patched) }));
  const pool = makePool(target);
  let underWay = 0;
  const crowds: Crowd[] = [];
  const all: Promise<void>[] = [];
  for (const phase of phases) await arrive(phase);
  await Promise.all(all);
  pool.close();
  return crowds;

  async function arrive({ calls, perSecond }: Phase): Promise<void> {
    const counts = {
      calls: [] as number[],
      tries: [] as number[],
      shed: 0,
      failed: 0,
      failures: [] as string[],
      heldBack: 0,
      slowUntil: 0,
    };
    crowds.push(counts);
    const start = performance.now();
    for (let index = 0; index < calls; index += 1) {
      if (perSecond !== undefined) {
        const early = start + (index / perSecond) * 1_000 - performance.now();
        // Timers are not finer than this.
        if (early > 1) await sleep(early);
      }
      if (underWay >= most) counts.heldBack += 1;
      else all.push(call(index));
    }

    async function call(index: number): Promise<void> {
      underWay += 1;
      const since = performance.now();
      try {
        const triedAt = await insist(index, since);
        counts.tries.push(performance.now() - triedAt);
        counts.calls.push(performance.now() - since);
      } catch (error) {
        counts.failed += 1;
        const { message } = error as Error;
        if (counts.failures.length < 3) counts.failures.push(message);
      }
      underWay -= 1;
      const now = performance.now();
      if (now - since > SLOW) counts.slowUntil = now - start;
    }

    /** @returns when the try began that was answered */
    async function insist(index: number, since: number): Promise<number> {
      const { bytes, check } = requests[index % requests.length] as (typeof requests)[number];
      for (let tries = 1; ; tries += 1) {
        const triedAt = performance.now();
        const answer = await send(bytes);
        const isLate = performance.now() - since > PATIENCE;
        if (answer.retryAfter === undefined && !isLate) {
          check(answer, index);
          return triedAt;
        }
        if (isLate || tries === MOST_TRIES) throw new Error(`no answer after ${tries} tries`);
        counts.shed += 1;
        await sleep((answer.retryAfter ?? 0) * 1_000);
      }
    }
  }

  async function send(request: Uint8Array): Promise<Answer> {
    const connection = await pool.take();
    try {
      return await connection.send(request);
    } finally {
      pool.give(connection);
    }
  }
}

interface Pool {
  take(): Promise<Connection>;
  give(connection: Connection): void;
  close(): void;
}

/** As Go's transport does: whoever finds none free has a new one made, and takes whichever is free first. Source: net/http, transport.go */
function makePool(target: Target): Pool {
  const idle: Connection[] = [];
  const waiting: PromiseWithResolvers<Connection>[] = [];
  return {
    take() {
      const connection = idle.pop();
      if (connection !== undefined) return Promise.resolve(connection);
      const place = Promise.withResolvers<Connection>();
      waiting.push(place);
      open(target).then(give, (error) => {
        const index = waiting.indexOf(place);
        if (index >= 0) waiting.splice(index, 1);
        place.reject(error);
      });
      return place.promise;
    },
    give,
    close() {
      for (const connection of idle) connection.close();
    },
  };

  function give(connection: Connection): void {
    const first = waiting.shift();
    if (first !== undefined) first.resolve(connection);
    else if (idle.length < MOST_IDLE) idle.push(connection);
    else connection.close();
  }
}

if (import.meta.main) process.stdout.write(JSON.stringify(await crowd(JSON.parse(process.argv[2] ?? ''))));
