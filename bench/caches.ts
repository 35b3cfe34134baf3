import { apply } from '../src/apply-patch.ts';
import { loadConfig } from '../src/config/load.ts';
import { pointerOf } from '../src/core/pointer.ts';
import { makeRespond } from '../src/webhook/review/respond.ts';
import { makeRouteLookup } from '../src/webhook/review/route.ts';
import { CONFIG_FILE, PROFILES, readRecording } from './reviews/recordings.ts';

/**
 * `node bench/caches.ts`: prints the CPU time of one call with and without each cache of the webhook, for a review with the grant `containers`, which
 * has the longest patch.
 */

const RUNS = 10;
const CALLS = 5_000;

const config = await loadConfig(CONFIG_FILE);
if (!config.ok) throw new Error(config.error.join('\n'));
const path = `/mutate/${PROFILES.containers}`;
const body = await readRecording({ size: 'small', path });
const options = { apply, now: () => new Date() };
const cached = makeRespond(config.value, options);
const uncached = makeRespond(config.value, { ...options, cache: (_bucket, _data, make) => make() });
const withoutPointers = makeRespond(config.value, { ...options, pointerOf });
const routeOf = makeRouteLookup();
let calls = 0;

const measurements: Readonly<Record<string, () => unknown>> = {
  'a small review, mutate': () => cached(path, body),
  'the same, without the answer cache': () => uncached(path, body),
  'the same, without cached pointers': () => withoutPointers(path, body),
  'a route': () => routeOf(path),
  // A different profile each time, so that the cache never hits.
  'a route, without the cache': () => routeOf(`/mutate/p${calls++}`),
};

// The calls take turns, and the least time of each counts: other processes only ever add to it.
const least = new Map<string, number>();
for (let run = 0; run < RUNS; run += 1) {
  for (const [label, call] of Object.entries(measurements)) {
    least.set(label, Math.min(least.get(label) ?? Number.POSITIVE_INFINITY, microsecondsOf(call)));
  }
}
for (const [label, microseconds] of least) process.stdout.write(`${label}: ${microseconds.toFixed(2)} us CPU\n`);

function microsecondsOf(call: () => unknown): number {
  const before = process.cpuUsage();
  for (let made = 0; made < CALLS; made += 1) call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}
