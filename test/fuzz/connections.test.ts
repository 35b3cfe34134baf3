import { expect, test, vi } from 'vitest';
import { SEED } from '../support/seed.ts';
import { fuzzConnections } from './connections.ts';

/** `./dev fuzz connections --runs 100000` tries more. */
const RUNS = Number(process.env.CLOISTER_FUZZ_CONNECTIONS ?? 3_000);

// The timeout allows for a busy machine.
vi.setConfig({ testTimeout: Math.max(300_000, RUNS * 50) });

test(`R4: ${RUNS} connections that break HTTP or TLS cause no crash and no leak, no smuggled request is answered, and other clients are answered`, async () => {
  process.stdout.write(`fuzzed connections: ${RUNS}, CLOISTER_PROPERTY_SEED=${SEED}\n`);
  const { faults, beside, statuses, unanswered } = await fuzzConnections({ runs: RUNS, seed: SEED });
  expect(faults).toEqual([]);
  // Each outcome occurred.
  expect(beside).toBeGreaterThan(100);
  expect(unanswered).toBeGreaterThan(RUNS / 10);
  expect(statuses).toMatchObject({ 200: expect.any(Number), 400: expect.any(Number), 404: expect.any(Number), 431: expect.any(Number) });
});

/** Loaded into the serving process before anything else. */
const preload = (script: string) => ({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` });
const onEachRequest = (code: string): string =>
  `import { subscribe } from 'node:diagnostics_channel'; import { openSync } from 'node:fs';
  subscribe('http.server.request.start', ({ request, response }) => { ${code} });`;

test.each([
  ['a lenient HTTP parser', { NODE_OPTIONS: '--insecure-http-parser' }, /no client sent/],
  ['a file that stays open', preload(onEachRequest(`if (request.httpVersion === '1.0') openSync('/dev/null');`)), /open files, and/],
  ['a crash', preload(onEachRequest(`request.on('aborted', () => { throw new Error('a bug'); });`)), /uncaught exception/],
  ['an answer cut off', preload(onEachRequest('if (process.hrtime()[1] % 1000 < 5) request.destroy();')), /neighbour .* is not answered/],
])('the fuzzer detects %s', async (_, env, says) => {
  const { faults } = await fuzzConnections({ runs: 600, seed: 1, env });
  expect(faults).toEqual(expect.arrayContaining([expect.stringMatching(says)]));
});
