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
    for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
      const failure = await tryBlock(block);
      if (failure !== undefined) failures.push(failure);
      cases += block.runs;
      onProgress?.(cases);
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return { cases, failures };
}

/** One block in a thread of its own, watched from outside. */
export function tryBlock(block: Block): Promise<Failure | undefined> {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { block, beats }, execArgv: [] });
  return new Promise((resolve) => {
    let seen = 0;
    const end = (failure: Failure | undefined): void => {
      clearInterval(watch);
      resolve(failure);
    };
    const told = (message: string): Failure => ({ seed: block.seed, path: String((beats[0] ?? 1) - 1), message });
    const watch = setInterval(() => {
      const beat = beats[0] ?? 0;
      if (beat === seen) {
        void worker.terminate();
        end(told(`R1: a hang: no answer in ${STUCK_MS} ms`));
      }
      seen = beat;
    }, STUCK_MS);
    worker.once('message', end);
    worker.once('error', (error) => end(told(`R1: a crash: ${error.stack}`)));
    worker.once('exit', (code) => end(told(`R1: the thread ended with ${code}`)));
  });
}
