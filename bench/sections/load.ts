import { type Crowd, SLOW } from '../load/api-server-calls.ts';
import { begin, call, put, SMALL } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { fileOf, PROFILES, type Recording } from '../reviews/recordings.ts';
import { peakMb } from '../servers/process-stats.ts';
import { POD_MB, type Running, type Stage } from '../servers/servers.ts';
import type { Ground, Section } from './section.ts';

/** What one replica holds: one process on one processor. */
export const load: Section = {
  name: 'load',
  title: 'Load',
  about:
    () => `One replica runs as one process, on one processor. Steady load uses 25 kept connections, as many as an API server keeps; if all are busy, a
review waits, and its time includes the wait. The measurement fails if a call gets no answer or a wrong one. In the burst and the overload, calls are
made as by API servers: over a new connection if none is free, and again a second after a 429. At most ${MOST} calls run at a time, and a call without an
answer after 5 seconds has failed. Half of the reviews of the overload enforce, and half only warn.`,
  measure,
};

/** Seconds, and how often; load beside the floor's is put in turns. */
const AMOUNTS = {
  quick: { rounds: 1, steady: 0.5, medium: 0.5, warmUp: 0.5, bursts: 1, starts: 1, capacity: 0.5, overload: 1, after: 1 },
  usual: { rounds: 3, steady: 20, medium: 10, warmUp: 8, bursts: 3, starts: 5, capacity: 3, overload: 120, after: 10 },
  full: { rounds: 10, steady: 60, medium: 30, warmUp: 8, bursts: 5, starts: 7, capacity: 3, overload: 120, after: 10 },
} as const;
type Amounts = (typeof AMOUNTS)['quick' | 'usual' | 'full'];

const MEDIUM: Recording = { size: 'medium', path: `/mutate/${PROFILES.sudo}` };
/** Three API servers, each with 600 seats for what it does at a time. */
const MOST = 1_800;
const BURST = 600;

interface Scene {
  readonly stage: Stage;
  readonly amounts: Amounts;
}

async function measure({ field, stage, extent }: Ground): Promise<Figure[]> {
  const scene = { stage, amounts: AMOUNTS[extent] };
  const figures = [await measureStarts(field, scene)];
  const cloister = await warm(field.cloister, scene);
  const floor = await warm(field.floor, scene);
  figures.push(...(await measureSteady(cloister, floor, scene)));
  figures.push(...(await measureBurst(cloister, floor, scene)));
  figures.push(...(await measureOverload(cloister, floor, scene)));
  floor.kill();
  cloister.kill();
  return figures;
}

async function warm(contestant: Ground['field']['cloister'], { stage, amounts }: Scene): Promise<Running> {
  const server = await begin(contestant, stage);
  for (const recording of [SMALL, MEDIUM]) await put(recording, server, { pace: 'full', seconds: amounts.warmUp }, stage);
  return server;
}

async function measureStarts({ cloister, floor }: Ground['field'], { stage, amounts }: Scene): Promise<Figure> {
  const values: number[] = [];
  const beside: number[] = [];
  for (let round = 0; round < amounts.starts; round += 1) {
    for (const [contestant, times] of [
      [floor, beside],
      [cloister, values],
    ] as const) {
      const server = await begin(contestant, stage);
      times.push(server.startMs);
      server.kill();
    }
  }
  return { what: 'time from start to first correct answer', values, unit: 'ms', must: { most: 1_000 }, beside: { [floor.name]: beside } };
}

/** Seconds. What the floor does in them, it does all day. */
const FLOOR_TURN = 10;

/** Rates, and the shares of reviews that must be answered within so many milliseconds. */
const STEADY = [
  { what: '11 KiB, 500 a second', recording: SMALL, pace: 500, length: 'steady', shares: { p50: 3, p99: 25, 'p99.9': 100 } },
  { what: '64 KiB, 150 a second', recording: MEDIUM, pace: 150, length: 'medium', shares: { p99: 60 } },
] as const;

async function measureSteady(cloister: Running, floor: Running, { stage, amounts }: Scene): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { what, recording, pace, length, shares } of STEADY) {
    const rounds: { readonly ours: readonly number[]; readonly theirs: readonly number[] }[] = [];
    for (let round = 0; round < amounts.rounds; round += 1) {
      const { latencies: theirs } = await put(recording, floor, { pace, seconds: Math.min(amounts[length], FLOOR_TURN) }, stage);
      const { latencies: ours } = await put(recording, cloister, { pace, seconds: amounts[length] }, stage);
      rounds.push({ ours, theirs });
    }
    for (const [share, most] of Object.entries(shares)) {
      const at = Number(share.slice(1)) / 100;
      figures.push({
        what: `mutate, ${what}: ${share}`,
        values: rounds.map(({ ours }) => quantile(ours, at)),
        unit: 'ms',
        must: { most },
        beside: { [floor.contestant.name]: rounds.map(({ theirs }) => quantile(theirs, at)) },
      });
    }
  }
  return figures;
}

async function measureBurst(cloister: Running, floor: Running, { stage, amounts }: Scene): Promise<Figure[]> {
  const ours: Crowd[] = [];
  const theirs: Crowd[] = [];
  for (let round = 0; round < amounts.bursts; round += 1) {
    for (const [server, crowds] of [
      [floor, theirs],
      [cloister, ours],
    ] as const) {
      const ways = [{ path: SMALL.path, patched: true }];
      crowds.push(...(await call(server, { file: fileOf(SMALL), ways, phases: [{ calls: BURST }], most: MOST }, stage)));
    }
  }
  const line = (what: string, of: (crowd: Crowd) => number, rest: Pick<Figure, 'unit' | 'must'>): Figure => ({
    what: `${BURST} reviews at once, each over a new connection: ${what}`,
    values: ours.map(of),
    beside: { [floor.contestant.name]: theirs.map(of) },
    ...rest,
  });
  return [
    line('the last is answered', ({ calls }) => Math.max(...calls), { unit: 'ms', must: { most: 2_500 } }),
    line('failed', ({ failed }) => failed, { unit: '', must: { most: 0 } }),
  ];
}

/** Three times as much as it can take, and what is left of it afterwards. */
async function measureOverload(cloister: Running, floor: Running, { stage, amounts }: Scene): Promise<Figure[]> {
  const ours = await overload(cloister, { stage, amounts });
  const theirs = await overload(floor, { stage, amounts });
  const line = (what: string, of: (overload: Overload) => number, rest: Pick<Figure, 'unit' | 'must'>): Figure => ({
    what,
    values: [of(ours)],
    beside: { [floor.contestant.name]: [of(theirs)] },
    ...rest,
  });
  const what = 'three times the capacity';
  return [
    line(`${what}: sent`, ({ perSecond }) => perSecond, { unit: '/s' }),
    line(`${what}: answered`, ({ over }) => over.calls.length / amounts.overload, { unit: '/s' }),
    line(`${what}: p99 of the answered reviews`, ({ over }) => quantile(over.tries, 0.99), { unit: 'ms', must: { most: 2_000 } }),
    line(`${what}: shed`, ({ over }) => over.shed / amounts.overload, { unit: '/s' }),
    line(`${what}: peak memory`, ({ peak }) => peak, { unit: 'MB', must: { most: POD_MB } }),
    line(`afterwards: time until every review takes at most ${SLOW} ms`, ({ after }) => after.slowUntil / 1_000, {
      unit: 's',
      must: { most: 5 },
    }),
    line('afterwards: failed', ({ after }) => after.failed, { unit: '', must: { most: 0 } }),
  ];
}

interface Overload {
  readonly perSecond: number;
  readonly over: Crowd;
  readonly after: Crowd;
  /** MB. */
  readonly peak: number;
}

async function overload(server: Running, { stage, amounts }: Scene): Promise<Overload> {
  const { reviews } = await put(SMALL, server, { pace: 'full', seconds: amounts.capacity }, stage);
  const perSecond = (3 * reviews) / amounts.capacity;
  const phases = [
    { calls: Math.round(perSecond * amounts.overload), perSecond },
    { calls: 300 * amounts.after, perSecond: 300 },
  ];
  const { patches } = server.contestant;
  const ways = [SMALL.path, `/validate/warn/${PROFILES.sudo}`].map((path) => ({ path, patched: patches(path) }));
  const [over, after] = await call(server, { file: fileOf(SMALL), ways, phases, most: MOST }, stage);
  if (over === undefined || after === undefined) throw new Error('the crowd told of too few phases');
  return { perSecond, over, after, peak: peakMb(server.pid) };
}
