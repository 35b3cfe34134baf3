import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** A share of the runs, with a seed of its own, so that how many processors share the work does not change what is tried. */
export interface Block {
  readonly seed: number;
  readonly runs: number;
  /** Fast-check's path to one case of the block, to try nothing else. */
  readonly path?: string | undefined;
}

export interface Failure {
  readonly seed: number;
  /** Fast-check's path to the smallest case that was found. */
  readonly path: string;
  readonly message: string;
}

export interface Outcome {
  /** Reviews that were generated; most are asked about more than once. */
  readonly cases: number;
  /** Blocks end at their first failure. */
  readonly failures: readonly Failure[];
}

export interface Fuzzing {
  readonly runs: number;
  readonly seed: number;
  readonly workers?: number;
  readonly onProgress?: (cases: number) => void;
}

const BLOCK = 5_000;
/** A judge that needs a second is found by the check itself; this is for one that never comes back. */
const STUCK_MS = 120_000;

/** Generates reviews and holds every answer against what must be true of it: R1 to R3. In threads, so that one that hangs is found out. */
export async function fuzzReviews({ runs, seed, workers = availableParallelism(), onProgress }: Fuzzing): Promise<Outcome> {
  const blocks = Array.from({ length: Math.ceil(runs / BLOCK) }, (_, index) => ({
    seed: seed + index,
    runs: Math.min(BLOCK, runs - index * BLOCK),
  }));
  const failures: Failure[] = [];
  let cases = 0;
  const work = async (): Promise<void> => {
    let thread: Thread | undefined;
    for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
      thread ??= startThread();
      const failure = await tryBlock(block, thread);
      if (failure !== undefined) {
        failures.push(failure);
        // It may have hung or died.
        await thread.worker.terminate();
        thread = undefined;
      }
      cases += block.runs;
      onProgress?.(cases);
    }
    await thread?.worker.terminate();
  };
  await Promise.all(Array.from({ length: workers }, work));
  return { cases, failures };
}

interface Thread {
  readonly worker: Worker;
  /** How many cases the thread has begun. */
  readonly beats: Int32Array;
}

function startThread(): Thread {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  return { beats, worker: new Worker(new URL('./worker.ts', import.meta.url), { workerData: beats, execArgv: [] }) };
}

/** One block in a thread of its own, watched from outside. */
function tryBlock(block: Block, { worker, beats }: Thread): Promise<Failure | undefined> {
  beats[0] = 0;
  worker.postMessage(block);
  return new Promise((resolve) => {
    let seen = 0;
    const failureOf = (message: string): Failure => ({ seed: block.seed, path: String((beats[0] ?? 1) - 1), message });
    const died = (error: unknown): void => end(failureOf(`R1: a crash: ${error instanceof Error ? error.stack : error}`));
    const watch = setInterval(() => {
      const beat = beats[0] ?? 0;
      if (beat === seen) end(failureOf(`R1: a hang: no answer in ${STUCK_MS} ms`));
      seen = beat;
    }, STUCK_MS);
    worker.on('message', end).on('error', died).on('exit', died);

    function end(failure: Failure | undefined): void {
      clearInterval(watch);
      worker.off('message', end).off('error', died).off('exit', died);
      resolve(failure);
    }
  });
}

/** One case, or one block, and nothing else. */
export async function repeatBlock(block: Block): Promise<Failure | undefined> {
  const thread = startThread();
  const failure = await tryBlock(block, thread);
  await thread.worker.terminate();
  return failure;
}
