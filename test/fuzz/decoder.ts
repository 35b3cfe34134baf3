import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type Found, MAX_BYTES, searchBytes } from './bytes.ts';
import { startCoverage } from './coverage.ts';

const CORPUS = new URL('./corpus/', import.meta.url);

/** Bodies that lead to different places in the decoder, the oddest that were found. */
export const corpus = (): { readonly name: string; readonly bytes: Buffer }[] =>
  readdirSync(CORPUS)
    .toSorted()
    .map((name) => ({ name, bytes: readFileSync(new URL(name, CORPUS)) }));

/** Adds inputs to the corpus; they are called after what they hold. */
export function keep(inputs: readonly Buffer[]): void {
  for (const input of inputs) {
    writeFileSync(new URL(`found-${createHash('sha256').update(input).digest('hex').slice(0, 12)}.json`, CORPUS), input);
  }
}

/** What means something to the decoder or to a rule. */
const TOKENS = [
  ...['null', '{}', '[]', '""', '{', '}', '[', ']', ':', ',', '"', '\\', '\\u0000', '\\ud800', '1e400', '-0', 'true', '\ufeff'],
  ...[
    '"kind":',
    '"apiVersion":',
    '"request":{',
    '"uid":"x",',
    '"operation":"UPDATE",',
    '"subResource":"ephemeralcontainers",',
    '"oldObject":',
  ],
  ...[',"managedFields":[{"manager":"', ']},"spec":{', '"metadata":{', '"annotations":{', '"labels":{', '"__proto__":', '"constructor":'],
  ...['"hostNetwork":true,', '"hostUsers":false,', '"securityContext":{', '"privileged":true,', '"capabilities":{"add":["ALL"]},'],
  ...['"volumes":[{"hostPath":{}}],', '"initContainers":[{}],', '"cloister.dev/grant":"none",', '"tolerations":[{}],', '"nodeName":"a",'],
  ...[
    '"dryRun":true,',
    '"userInfo":{"groups":["system:nodes"]},',
    '"resources":{"limits":{"a/b":"1"}},',
    '"env":[{}],',
    '"ports":[{"hostPort":1}],',
  ],
].map((text) => Buffer.from(text));

export interface Task {
  /** The decoder and everything behind it; or a maze, to see whether the search finds its way. */
  readonly target: 'decoder' | 'maze';
  readonly runs: number;
  readonly seed: number;
  /** Whether it looks where its inputs lead. */
  readonly isGuided: boolean;
}

export interface Progress {
  readonly tried: number;
  readonly reached: number;
}

/** What the thread is given, and what it sends. */
export interface Work extends Task {
  /** The input that is being tried: its length, and its bytes. */
  readonly trying: SharedArrayBuffer;
}
export type Message = { readonly progress: Progress } | { readonly found: Found };

/** A batch takes a second or two. */
const STUCK_MS = 120_000;

/** Searches in a thread of its own, which is watched from outside: an input that ends or stops the thread is a failure like any other. */
export function search(task: Task, onProgress?: (progress: Progress) => void): Promise<Found> {
  const trying = new SharedArrayBuffer(4 + MAX_BYTES);
  const worker = new Worker(new URL('./decoder-worker.ts', import.meta.url), { workerData: { ...task, trying }, execArgv: [] });
  return new Promise((resolve) => {
    let reached = 0;
    const lost = (why: string): void => {
      clearTimeout(stuck);
      resolve({ kept: [], reached, failures: [{ input: read(trying), faults: [`R1: ${why}`] }] });
      void worker.terminate();
    };
    const stuck = setTimeout(lost, STUCK_MS, `a hang: no word in ${STUCK_MS} ms`);
    worker.on('message', (message: Message) => {
      stuck.refresh();
      if ('found' in message) {
        clearTimeout(stuck);
        resolve(withBuffers(message.found));
        return;
      }
      reached = message.progress.reached;
      onProgress?.(message.progress);
    });
    worker.on('error', (error) => lost(`a crash: ${error instanceof Error ? error.stack : error}`));
    worker.on('exit', (code) => lost(`the thread ended with ${code}`));
  });
}

/** Between threads, buffers become plain bytes. */
function withBuffers({ kept, failures, reached }: Found): Found {
  return {
    reached,
    kept: kept.map((input) => Buffer.from(input)),
    failures: failures.map(({ input, faults }) => ({ input: Buffer.from(input), faults })),
  };
}

/** What the thread of `search` does. */
export async function work({ target, runs, seed, isGuided, trying }: Work, send: (message: Message) => void): Promise<void> {
  const coverage = isGuided ? startCoverage(/\/src\/(webhook|core)\/|\/maze\.ts$/) : undefined;
  // Only now: blocks are counted in what is compiled from here on.
  const faultsOf = target === 'maze' ? (await import('./maze.ts')).maze : (await import('./check.ts')).faultsOfBytes;
  const found = searchBytes({
    corpus: target === 'maze' ? [Buffer.from('a')] : corpus().map(({ bytes }) => bytes),
    runs,
    seed,
    coverage,
    tokens: target === 'maze' ? [] : TOKENS,
    attempt(input) {
      write(trying, input);
      return faultsOf(input);
    },
    onProgress: (tried, reached) => send({ progress: { tried, reached } }),
  });
  coverage?.stop();
  send({ found });
}

function write(trying: SharedArrayBuffer, input: Buffer): void {
  new Uint32Array(trying, 0, 1)[0] = input.length;
  new Uint8Array(trying, 4).set(input);
}

function read(trying: SharedArrayBuffer): Buffer {
  const [length = 0] = new Uint32Array(trying, 0, 1);
  return Buffer.from(new Uint8Array(trying, 4, length));
}
