import fc from 'fast-check';
import { vi } from 'vitest';
import { SEED } from './seed.ts';

/**
 * How many generated cases all properties have together. CLOISTER_PROPERTY_RUNS sets another number, CLOISTER_PROPERTY_SEED repeats a run.
 */
export const RUNS = Number(process.env.CLOISTER_PROPERTY_RUNS ?? 20_000);

// A property takes as long as its runs do; on a busy machine some ten times as long.
vi.setConfig({ testTimeout: Math.max(30_000, RUNS * 10) });
process.stdout.write(`properties: ${RUNS} runs together, CLOISTER_PROPERTY_SEED=${SEED}\n`);

/**
 * Checks a property on its share of the runs. A failure names the seed, the path to the case, and the case itself.
 * @param kept cases that once failed; they come first
 */
export function check<T>(share: number, arbitrary: fc.Arbitrary<T>, holds: (value: T) => void, kept: readonly T[] = []): void {
  const parameters = { seed: SEED, numRuns: Math.max(10, Math.round(RUNS * share)), examples: kept.map((each): [T] => [each]) };
  fc.assert(
    fc.property(arbitrary, (value) => void holds(value)),
    parameters,
  );
}
