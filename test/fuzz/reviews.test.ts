import { expect, test, vi } from 'vitest';
import { SEED } from '../support/seed.ts';
import { fuzzReviews } from './reviews.ts';

/** `./dev fuzz --runs 1000000` tries more. */
const RUNS = Number(process.env.CLOISTER_FUZZ_RUNS ?? 100_000);

// The timeout allows for a busy machine.
vi.setConfig({ testTimeout: Math.max(120_000, RUNS * 10) });

test(`R1, R2, R3: ${RUNS} generated reviews cause no crash, no hang, no patch that does not apply, no wrong admission and no invalid answer`, async () => {
  process.stdout.write(`fuzzed reviews: ${RUNS}, CLOISTER_PROPERTY_SEED=${SEED}\n`);
  const { cases, failures } = await fuzzReviews({ runs: RUNS, seed: SEED });
  expect(failures.map(({ seed, path, message }) => `./dev fuzz --seed ${seed} --path ${path}\n${message}`)).toEqual([]);
  expect(cases).toBe(RUNS);
});
