import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds } from '../servers/process-stats.ts';
import { type Answer, type Connection, open, post, type Target } from './connection.ts';

/** What one process of load does to one server. It is this program's one argument; the program prints a Load. */
export interface Job {
  readonly target: Target;
  readonly pid: number;
  /** The files of the reviews, which are sent in turn, and the path they go to. */
  readonly files: readonly string[];
  readonly path: string;
  /** Whether a right answer holds a patch; absent: whatever is answered will do. */
  readonly patched?: boolean;
  /**
   * `full`: each of 16 connections sends as soon as it has its answer. `fresh`: likewise, with a connection for each review. A number: so
   * many a second over 25 connections, whatever the server does.
   */
  readonly pace: 'full' | 'fresh' | number;
  /** Other than so many. */
  readonly connections?: number;
  readonly seconds: number;
}

export interface Load {
  readonly reviews: number;
  /** The server's: it stands even where other programs take the processor. */
  readonly cpuSeconds: number;
  /** Milliseconds of each review, where the pace is a number. */
  readonly latencies: readonly number[];
}

/** Of so many answers one is read. */
const SAMPLE = 64;

type Send = (connection: Connection, index: number) => Promise<void>;
type Sent = Pick<Load, 'reviews' | 'latencies'>;

async function load({
  target,
  pid,
  files,
  path,
  patched,
  pace,
  connections: count = typeof pace === 'number' ? 25 : 16,
  seconds,
}: Job): Promise<Load> {
  const reviews = files.map((file) => {
    const body = readFileSync(file);
    return { request: post(path, body), check: patched === undefined ? () => {} : checkOf(body, patched) };
  });
  const send: Send = async (connection, index) => {
    const { request, check } = reviews[index % reviews.length] as (typeof reviews)[number];
    check(await connection.send(request), index);
  };
  const sendAfresh: Send = async (_, index) => {
    const connection = await open(target);
    await send(connection, index);
    connection.close();
  };

  const connections = await Promise.all(Array.from({ length: count }, () => open(target)));
  await Promise.all(connections.map((connection) => send(connection, 0)));
  const before = cpuSeconds(pid);
  const sent = await (typeof pace === 'number'
    ? atRate(pace, seconds, { connections, send })
    : inTurn(seconds, { connections, send: pace === 'fresh' ? sendAfresh : send }));
  const after = cpuSeconds(pid);
  for (const connection of connections) connection.close();
  return { ...sent, cpuSeconds: after - before };
}

interface Senders {
  readonly connections: readonly Connection[];
  readonly send: Send;
}

async function inTurn(seconds: number, { connections, send }: Senders): Promise<Sent> {
  const deadline = performance.now() + seconds * 1_000;
  let reviews = 0;
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < deadline) await send(connection, reviews++);
    }),
  );
  return { reviews, latencies: [] };
}

/** A review that finds all connections busy is sent late, and its time runs from when it was due. */
async function atRate(rate: number, seconds: number, { connections, send }: Senders): Promise<Sent> {
  const reviews = Math.round(rate * seconds);
  const start = performance.now();
  const latencies: number[] = [];
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let index = next++; index < reviews; index = next++) {
        let since = start + (index / rate) * 1_000;
        const early = since - performance.now();
        if (early > 0) {
          await sleep(early);
          since = performance.now(); // a timer's lateness is not the server's
        }
        await send(connection, index);
        latencies.push(performance.now() - since);
      }
    }),
  );
  return { reviews, latencies };
}

/** Every status is looked at, and every so many answers read: a fast wrong answer is no answer. */
export function checkOf(review: Buffer, patched: boolean): (answer: Answer, index?: number) => void {
  const { uid } = JSON.parse(review.toString()).request;
  return ({ status, body }, index = 0) => {
    if (status === 200 && index % SAMPLE !== 0) return;
    const response = status === 200 ? JSON.parse(body).response : undefined;
    const isRight = response?.uid === uid && response.allowed === true && (response.patch !== undefined) === patched;
    if (!isRight) throw new Error(`a wrong answer, of status ${status}, to review ${uid}: ${body.slice(0, 1_000)}`);
  };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await load(JSON.parse(process.argv[2] ?? ''))));
