import { type CallResults, SLOW_MS } from '../load/api-server-calls.ts';
import { callAsApiServers, sendLoad } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { fileOf, PROFILES, type Recording, SMALL } from '../reviews/recordings.ts';
import { peakMb } from '../servers/process-stats.ts';
import { type Machine, POD_MB, type RunningServer, type ServerSpec, type Servers, startServer } from '../servers/servers.ts';
import type { Environment, Section } from './section.ts';

/** The load that one replica withstands: one process on one processor. */
export const load: Section = {
  name: 'load',
  title: 'Load',
  introduction:
    () => `One replica: one process on one processor. Steady load uses 25 kept connections, as many as an API server keeps; a review that finds all of
them busy waits, and its latency includes the wait. A missing or wrong answer ends the measurement. The burst and the overload are sent
as API servers send calls: over a new connection when none is idle, retried a second after a 429, at most ${MAX_CONCURRENT} at a time; a call fails after
5 seconds. Half of the reviews of the overload enforce, the other half only warn.

Under three times the capacity nearly every call opens a connection. Then the processor of the callers is busy too, and each of their handshakes takes long. The server has
few handshakes in progress at a time, so that no caller holds up the others, and answers less than floor-parse does. An operator should plan one replica for each 500 reviews a
second, which it answers within milliseconds, and should not expect more of a replica that is overloaded for minutes.`,
  measure,
};

/** Seconds, and numbers of rounds; the rounds of Cloister and floor-parse alternate. */
const AMOUNTS = {
  quick: { rounds: 1, steady: 0.5, medium: 0.5, warmUp: 0.5, bursts: 1, starts: 1, capacity: 0.5, overload: 1, after: 1 },
  usual: { rounds: 3, steady: 20, medium: 10, warmUp: 8, bursts: 3, starts: 5, capacity: 3, overload: 120, after: 10 },
  full: { rounds: 10, steady: 60, medium: 30, warmUp: 8, bursts: 5, starts: 7, capacity: 3, overload: 120, after: 10 },
} as const;
type Amounts = (typeof AMOUNTS)['quick' | 'usual' | 'full'];

const MEDIUM: Recording = { size: 'medium', path: `/mutate/${PROFILES.sudo}` };
/** Three API servers, each with 600 seats for concurrent requests. */
const MAX_CONCURRENT = 1_800;
const BURST = 600;

interface Options {
  readonly machine: Machine;
  readonly amounts: Amounts;
}

async function measure({ servers, machine, extent }: Environment): Promise<Figure[]> {
  const options = { machine, amounts: AMOUNTS[extent] };
  const figures = [await measureStarts(servers, options)];
  const cloister = await startWarm(servers.cloister, options);
  const floor = await startWarm(servers.floor, options);
  figures.push(...(await measureSteady(cloister, floor, options)));
  figures.push(...(await measureBurst(cloister, floor, options)));
  figures.push(...(await measureOverload(cloister, floor, options)));
  floor.kill();
  cloister.kill();
  return figures;
}

async function startWarm(spec: ServerSpec, { machine, amounts }: Options): Promise<RunningServer> {
  const server = await startServer(spec, machine);
  for (const recording of [SMALL, MEDIUM]) await sendLoad(recording, server, { pace: 'full', seconds: amounts.warmUp }, machine);
  return server;
}

async function measureStarts({ cloister, floor }: Servers, { machine, amounts }: Options): Promise<Figure> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < amounts.starts; round += 1) {
    for (const [spec, times] of [
      [floor, theirs],
      [cloister, ours],
    ] as const) {
      const server = await startServer(spec, machine);
      times.push(server.startMs);
      server.kill();
    }
  }
  return { label: 'start to first correct answer', values: ours, unit: 'ms', goal: { most: 1_000 }, others: { [floor.name]: theirs } };
}

/** Seconds. The results of floor-parse do not change with more. */
const FLOOR_SECONDS = 10;

/** Rates, and the most milliseconds for each quantile of the latencies. */
const STEADY = [
  { label: '11 KiB, 500 a second', recording: SMALL, pace: 500, length: 'steady', quantiles: { p50: 3, p99: 25, 'p99.9': 100 } },
  { label: '64 KiB, 150 a second', recording: MEDIUM, pace: 150, length: 'medium', quantiles: { p99: 60 } },
] as const;

async function measureSteady(cloister: RunningServer, floor: RunningServer, { machine, amounts }: Options): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { label, recording, pace, length, quantiles } of STEADY) {
    const rounds: { readonly ours: readonly number[]; readonly theirs: readonly number[] }[] = [];
    for (let round = 0; round < amounts.rounds; round += 1) {
      const seconds = amounts[length];
      const { latencyMs: theirs } = await sendLoad(recording, floor, { pace, seconds: Math.min(seconds, FLOOR_SECONDS) }, machine);
      const { latencyMs: ours } = await sendLoad(recording, cloister, { pace, seconds }, machine);
      rounds.push({ ours, theirs });
    }
    for (const [name, most] of Object.entries(quantiles)) {
      const share = Number(name.slice(1)) / 100;
      figures.push({
        label: `mutate, ${label}: ${name}`,
        values: rounds.map(({ ours }) => quantile(ours, share)),
        unit: 'ms',
        goal: { most },
        others: { [floor.spec.name]: rounds.map(({ theirs }) => quantile(theirs, share)) },
      });
    }
  }
  return figures;
}

async function measureBurst(cloister: RunningServer, floor: RunningServer, { machine, amounts }: Options): Promise<Figure[]> {
  const ours: CallResults[] = [];
  const theirs: CallResults[] = [];
  for (let round = 0; round < amounts.bursts; round += 1) {
    for (const [server, results] of [
      [floor, theirs],
      [cloister, ours],
    ] as const) {
      const routes = [{ path: SMALL.path, expectsPatch: true }];
      const job = { file: fileOf(SMALL), routes, phases: [{ calls: BURST }], maxConcurrent: MAX_CONCURRENT };
      results.push(...(await callAsApiServers(server, job, machine)));
    }
  }
  const figureOf = (label: string, readValue: (results: CallResults) => number, rest: Pick<Figure, 'unit' | 'goal'>): Figure => ({
    label: `${BURST} reviews at once, each over a new connection: ${label}`,
    values: ours.map(readValue),
    others: { [floor.spec.name]: theirs.map(readValue) },
    ...rest,
  });
  return [
    figureOf('the last is answered', ({ callMs }) => Math.max(...callMs), { unit: 'ms', goal: { most: 2_500 } }),
    figureOf('failed', ({ failed }) => failed, { unit: '', goal: { most: 0 } }),
  ];
}

/** Three times the load that the server can answer, followed by a rate that it can. */
async function measureOverload(cloister: RunningServer, floor: RunningServer, { machine, amounts }: Options): Promise<Figure[]> {
  const ours = await runOverload(cloister, { machine, amounts });
  const theirs = await runOverload(floor, { machine, amounts });
  const figureOf = (label: string, readValue: (overload: Overload) => number, rest: Pick<Figure, 'unit' | 'goal'>): Figure => ({
    label,
    values: [readValue(ours)],
    others: { [floor.spec.name]: [readValue(theirs)] },
    ...rest,
  });
  const label = 'three times the capacity';
  return [
    figureOf(`${label}: reviews a second`, ({ perSecond }) => perSecond, { unit: '/s' }),
    figureOf(`${label}: answered a second`, ({ during }) => during.callMs.length / amounts.overload, { unit: '/s' }),
    figureOf(`${label}: p99 of the answered attempts`, ({ during }) => quantile(during.attemptMs, 0.99), {
      unit: 'ms',
      goal: { most: 2_000 },
    }),
    figureOf(`${label}: shed a second`, ({ during }) => during.shed / amounts.overload, { unit: '/s' }),
    figureOf(`${label}: peak memory`, ({ peak }) => peak, { unit: 'MB', goal: { most: POD_MB } }),
    figureOf(`afterwards: time until no call takes ${SLOW_MS} ms`, ({ after }) => after.lastSlowMs / 1_000, {
      unit: 's',
      goal: { most: 5 },
    }),
    figureOf('afterwards: failed', ({ after }) => after.failed, { unit: '', goal: { most: 0 } }),
  ];
}

interface Overload {
  readonly perSecond: number;
  readonly during: CallResults;
  readonly after: CallResults;
  /** Memory in MB. */
  readonly peak: number;
}

async function runOverload(server: RunningServer, { machine, amounts }: Options): Promise<Overload> {
  const { reviews } = await sendLoad(SMALL, server, { pace: 'full', seconds: amounts.capacity }, machine);
  const perSecond = (3 * reviews) / amounts.capacity;
  const phases = [
    { calls: Math.round(perSecond * amounts.overload), perSecond },
    { calls: 300 * amounts.after, perSecond: 300 },
  ];
  const { patches } = server.spec;
  const routes = [SMALL.path, `/validate/warn/${PROFILES.sudo}`].map((path) => ({ path, expectsPatch: patches(path) }));
  const job = { file: fileOf(SMALL), routes, phases, maxConcurrent: MAX_CONCURRENT };
  const [during, after] = await callAsApiServers(server, job, machine);
  if (during === undefined || after === undefined) throw new Error('the results of a phase are missing');
  return { perSecond, during, after, peak: peakMb(server.pid) };
}
