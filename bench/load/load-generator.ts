import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds } from '../servers/process-stats.ts';
import { type Answer, type Connection, open, post, type Target } from './connection.ts';

/** The load of one process on one server. The program takes a job as its only argument, in JSON, and prints its results. */
export interface LoadJob {
  readonly target: Target;
  /** The server's process. */
  readonly pid: number;
  /** The files of the reviews, which are sent in turn. */
  readonly files: readonly string[];
  readonly path: string;
  /** Whether a correct answer holds a patch; absent: any answer will do. */
  readonly expectsPatch?: boolean;
  /**
   * `full`: each of 16 connections sends as soon as it has its answer. `reconnect`: the same, over a new connection for each review. A number: that
   * many reviews a second over 25 connections, however fast the server answers.
   */
  readonly pace: 'full' | 'reconnect' | number;
  /** Overrides the number of connections. */
  readonly connections?: number;
  readonly seconds: number;
}

export interface LoadResults {
  readonly reviews: number;
  /** CPU time of the server: other programs on the processor do not change it. */
  readonly cpuSeconds: number;
  /** The latency of each review, where the pace is a number. */
  readonly latencyMs: readonly number[];
}

/** One of this many answers is parsed. */
const SAMPLE = 64;

type Send = (connection: Connection, index: number) => Promise<void>;
type Sent = Pick<LoadResults, 'reviews' | 'latencyMs'>;

async function generateLoad({
  target,
  pid,
  files,
  path,
  expectsPatch,
  pace,
  connections: count = typeof pace === 'number' ? 25 : 16,
  seconds,
}: LoadJob): Promise<LoadResults> {
  const reviews = files.map((file) => {
    const body = readFileSync(file);
    return { request: post(path, body), check: expectsPatch === undefined ? () => {} : makeAnswerCheck(body, expectsPatch) };
  });
  const send: Send = async (connection, index) => {
    const { request, check } = reviews[index % reviews.length] as (typeof reviews)[number];
    check(await connection.send(request), index);
  };
  const sendOverNewConnection: Send = async (_, index) => {
    const connection = await open(target);
    await send(connection, index);
    connection.close();
  };

  const connections = await Promise.all(Array.from({ length: count }, () => open(target)));
  await Promise.all(connections.map((connection) => send(connection, 0)));
  const before = cpuSeconds(pid);
  const sent = await (typeof pace === 'number'
    ? sendAtRate(pace, seconds, { connections, send })
    : sendContinuously(seconds, { connections, send: pace === 'reconnect' ? sendOverNewConnection : send }));
  const after = cpuSeconds(pid);
  for (const connection of connections) connection.close();
  return { ...sent, cpuSeconds: after - before };
}

interface Senders {
  readonly connections: readonly Connection[];
  readonly send: Send;
}

async function sendContinuously(seconds: number, { connections, send }: Senders): Promise<Sent> {
  const deadline = performance.now() + seconds * 1_000;
  let reviews = 0;
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < deadline) await send(connection, reviews++);
    }),
  );
  return { reviews, latencyMs: [] };
}

/** A review that finds all connections busy is sent late; its latency counts from the time it was due. */
async function sendAtRate(rate: number, seconds: number, { connections, send }: Senders): Promise<Sent> {
  const reviews = Math.round(rate * seconds);
  const start = performance.now();
  const latencyMs: number[] = [];
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (let index = next++; index < reviews; index = next++) {
        let since = start + (index / rate) * 1_000;
        const earlyMs = since - performance.now();
        if (earlyMs > 0) {
          await sleep(earlyMs);
          since = performance.now(); // the delay of a timer is not the server's
        }
        await send(connection, index);
        latencyMs.push(performance.now() - since);
      }
    }),
  );
  return { reviews, latencyMs };
}

/** A check that throws at a wrong answer. It reads every status, and parses a sample of the answers. */
export function makeAnswerCheck(review: Buffer, expectsPatch: boolean): (answer: Answer, index?: number) => void {
  const { uid } = JSON.parse(review.toString()).request;
  return ({ status, body }, index = 0) => {
    if (status === 200 && index % SAMPLE !== 0) return;
    const response = status === 200 ? JSON.parse(body).response : undefined;
    const isCorrect = response?.uid === uid && response.allowed === true && (response.patch !== undefined) === expectsPatch;
    if (!isCorrect) throw new Error(`a wrong answer, of status ${status}, to review ${uid}: ${body.slice(0, 1_000)}`);
  };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await generateLoad(JSON.parse(process.argv[2] ?? ''))));
