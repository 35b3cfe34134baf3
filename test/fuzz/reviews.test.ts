import { expect, test, vi } from 'vitest';
import { SEED } from '../support/seed.ts';
import { fuzzReviews } from './reviews.ts';

/** `./dev fuzz --runs 1000000` tries more. */
const RUNS = Number(process.env.CLOISTER_FUZZ_RUNS ?? 100_000);

// On a machine that does other things, too.
vi.setConfig({ testTimeout: Math.max(120_000, RUNS * 10) });

test(`R1, R2, R3: ${RUNS} generated reviews: no crash, no hang, no patch that does not fit, nobody let through, nothing the API server would not understand`, async () => {
  process.stdout.write(`fuzzed reviews: ${RUNS}, CLOISTER_PROPERTY_SEED=${SEED}\n`);
  const { cases, failures } = await fuzzReviews({ runs: RUNS, seed: SEED });
  expect(failures.map(({ seed, path, message }) => `./dev fuzz --seed ${seed} --path ${path}\n${message}`)).toEqual([]);
  expect(cases).toBe(RUNS);
});
