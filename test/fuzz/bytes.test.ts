import { describe, expect, test, vi } from 'vitest';
import { SEED } from '../support/seed.ts';
import { faultsOfBytes } from './check.ts';
import { corpus, search } from './decoder.ts';

/** `./dev fuzz bytes --runs 1000000` tries more. */
const RUNS = Number(process.env.CLOISTER_FUZZ_BYTES_RUNS ?? 10_000);

vi.setConfig({ testTimeout: Math.max(120_000, RUNS * 50) });

describe('bodies that found a fault or a new path before are answered correctly', () => {
  test.each(corpus())('R1, R2, R3: $name', ({ bytes }) => {
    expect(faultsOfBytes(bytes)).toEqual([]);
  });
});

test(`R1, R2, R3: ${RUNS} bodies mutated from these, guided by code coverage, are answered correctly`, async () => {
  process.stdout.write(`fuzzed bodies: ${RUNS}, CLOISTER_PROPERTY_SEED=${SEED}\n`);
  const { failures, reached } = await search({ target: 'decoder', runs: RUNS, seed: SEED, isGuided: true });
  expect(failures.map(({ input, faults }) => `${faults.join('\n')}\n${input.toString('base64')}`)).toEqual([]);
  expect(reached).toBeGreaterThan(30_000);
});

test('the guided search finds a path that random search does not', async () => {
  const maze = { target: 'maze', runs: 60_000, seed: 1 } as const;
  const led = await search({ ...maze, isGuided: true });
  const blind = await search({ ...maze, isGuided: false });
  expect(led.failures[0]?.faults).toEqual(['through the wall']);
  expect(blind.failures).toEqual([]);
});
