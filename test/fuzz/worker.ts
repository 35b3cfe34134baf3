import { parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { type Case, fuzzed } from './cases.ts';
import { faultsOfCase } from './check.ts';
import type { Block, Failure } from './reviews.ts';

const beats = workerData as Int32Array;

/** Tries one block after another, and says of each whether something was found. */
parentPort?.on('message', ({ seed, runs, path }: Block) => {
  const isWell = fc.property(fuzzed, (given) => {
    Atomics.add(beats, 0, 1);
    const faults = faultsOfCase(given);
    if (faults.length > 0) throw new Error(faults.join('\n'));
  });
  const result = fc.check(isWell, { seed, numRuns: runs, ...(path === undefined ? {} : { path }) });
  parentPort?.postMessage(result.failed ? failureOf(result) : undefined);
});

function failureOf({ seed, counterexample, counterexamplePath, errorInstance }: fc.RunDetails<[Case]>): Failure {
  const found = (errorInstance as Error | null)?.message ?? '';
  return { seed, path: counterexamplePath ?? '', message: `${found}\n${printed(counterexample?.[0])}` };
}

/** A recorded review is known by its uid. */
function printed(given: Case | undefined): string {
  if (given === undefined) return '';
  const { recorded, edits, ...rest } = given;
  const shown = {
    ...rest,
    recorded: (recorded?.request as { uid?: unknown } | undefined)?.uid,
    edits: edits.map((each) => ({ ...each, put: `${Buffer.from(each.put)}` })),
  };
  return JSON.stringify(shown);
}
