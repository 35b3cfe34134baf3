import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadJob, LoadResults } from '../load/load-generator.ts';
import { sendLoad } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { PROFILES, type Recording, SMALL } from '../reviews/recordings.ts';
import { residentMb } from '../servers/process-stats.ts';
import { type Machine, type RunningServer, startServer } from '../servers/servers.ts';
import type { Environment, Section } from './section.ts';

/** Costs of Cloister relative to a baseline. The machine decides the absolute costs, so the section reports ratios only. */
export const costs: Section = {
  name: 'costs',
  title: 'What a review costs',
  introduction: ({
    goFloor,
    controllerRuntime,
  }) => `The values are relative to **floor-parse**, the smallest possible webhook in Node: \`node:https\`, \`JSON.parse\`, and a constant patch.
1.00 is the same as floor-parse; for reviews per CPU second more is better, for times less.${
    goFloor === undefined
      ? ' Go is not installed here, so nothing is compared with a Go server.'
      : ' **go-floor** is the same in Go, and decodes only the envelope.'
  }${controllerRuntime === undefined ? '' : ' **controller-runtime** is an ordinary Go webhook that does what this profile does and nothing else.'}
The reviews come from a real API server, for pods with 3, 15 and 252 containers. A mutating review repairs the pod and judges the result;
a validating review receives the repaired pod. Each ratio compares two values of the same round. In a round, the servers take turns.`,
  measure,
};

/** Seconds, and numbers of rounds. */
const QUICK = {
  rounds: 1,
  warmUp: 0.2,
  capacity: 0.3,
  rates: { rounds: 1, seconds: 0.5 },
  reconnects: { rounds: 1, seconds: 0.3 },
  starts: 1,
  reviews: 0,
};
const USUAL = {
  // Many short rounds: on machines that share processors with others, the cost of a review changes from second to second.
  rounds: 15,
  // V8 optimizes the code further during the first ten seconds of load.
  warmUp: 8,
  capacity: 1,
  rates: { rounds: 3, seconds: 2.5 },
  reconnects: { rounds: 3, seconds: 4 },
  starts: 7,
  reviews: 200_000,
};
/** The goals require a million reviews. */
const FULL = { ...USUAL, reviews: 1_000_000 };

interface Case extends Recording {
  readonly label: string;
  /** The servers to compare with, and the least ratio to each; undefined: no goal. */
  readonly least: Readonly<Record<string, number | undefined>>;
}

const CASES: readonly Case[] = [
  { label: 'mutate, 11 KiB', ...SMALL, least: { 'floor-parse': 0.65, 'go-floor': 0.65, 'controller-runtime': 6.5 } },
  { label: 'mutate, 64 KiB', size: 'medium', path: `/mutate/${PROFILES.sudo}`, least: { 'floor-parse': 0.82, 'go-floor': 1 } },
  { label: 'mutate, 1 MiB', size: 'large', path: `/mutate/${PROFILES.sudo}`, least: { 'floor-parse': 0.75 } },
  {
    label: 'validate, 11 KiB',
    size: 'small',
    path: `/validate/enforce/${PROFILES.sudo}`,
    least: { 'floor-parse': 0.75, 'controller-runtime': 3 },
  },
  { label: 'validate, 64 KiB', size: 'medium', path: `/validate/enforce/${PROFILES.sudo}`, least: { 'floor-parse': 0.85 } },
  {
    label: 'mutate with grant containers, 11 KiB',
    size: 'small',
    path: `/mutate/${PROFILES.containers}`,
    least: { 'floor-parse': undefined },
  },
  {
    label: 'validate with grant containers, 11 KiB',
    size: 'small',
    path: `/validate/enforce/${PROFILES.containers}`,
    least: { 'floor-parse': undefined },
  },
];

interface Run {
  readonly cloister: RunningServer;
  /** All servers but Cloister, floor-parse first. */
  readonly others: readonly [floor: RunningServer, ...RunningServer[]];
  readonly machine: Machine;
  readonly amounts: typeof USUAL;
  /** The number of reviews that Cloister has answered. */
  answered: number;
}

async function measure(environment: Environment): Promise<Figure[]> {
  const { servers, machine, extent } = environment;
  const amounts = { quick: QUICK, usual: USUAL, full: FULL }[extent];
  const starts = await measureStarts(environment, amounts.starts);
  const floor = await startServer(servers.floor, machine);
  const cloister = await startServer(servers.cloister, machine);
  const goServers = [servers.goFloor, servers.controllerRuntime].filter((spec) => spec !== undefined);
  const others = await Promise.all(goServers.map((spec) => startServer(spec, machine)));
  const run: Run = { cloister, others: [floor, ...others], machine, amounts, answered: 0 };
  await sleep(1_000);
  const idle: Figure = { label: 'memory, idle', values: [residentMb(cloister.pid)], unit: 'MB', goal: { most: 95 } };
  return [
    ...(await measureCapacity(run)),
    ...(await measureRates(run)),
    await measureReconnects(run),
    starts,
    idle,
    await measureMemory(run),
  ];
}

/** One case after the other, each with its own warm-up: V8 discards optimized code that is not used while other servers have their turns. */
async function measureCapacity(run: Run): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const each of CASES) figures.push(...(await measureCase(each, run)));
  return figures;
}

async function measureCase(each: Case, run: Run): Promise<Figure[]> {
  const { cloister, others, amounts } = run;
  const compared = others.filter(({ spec }) => spec.name in each.least);
  const ratios = compared.map((server) => ({ server, values: [] as number[] }));
  for (const server of [cloister, ...compared]) await load(each, server, { pace: 'full', seconds: amounts.warmUp }, run);
  for (let round = 0; round < amounts.rounds; round += 1) {
    const ours = await perCpuSecond(each, cloister, run);
    for (const { server, values } of ratios) values.push(ours / (await perCpuSecond(each, server, run)));
  }
  return ratios.map(({ server, values }): Figure => {
    const { name } = server.spec;
    const least = each.least[name];
    return {
      label: `${each.label}: reviews per CPU second${name === others[0].spec.name ? '' : `, to ${name}`}`,
      values,
      unit: 'x',
      ...(least === undefined ? {} : { goal: { least } }),
    };
  });
}

async function perCpuSecond(recording: Recording, server: RunningServer, run: Run): Promise<number> {
  const { reviews, cpuSeconds } = await load(recording, server, { pace: 'full', seconds: run.amounts.capacity }, run);
  return reviews / cpuSeconds;
}

async function measureRates(run: Run): Promise<Figure[]> {
  const {
    cloister,
    others: [floor],
  } = run;
  const { rounds, seconds } = run.amounts.rates;
  const figures: Figure[] = [];
  for (const { pace, most } of [{ pace: 300 }, { pace: 500, most: 1.5 }]) {
    const p50: number[] = [];
    const p99: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { latencyMs: ofFloor } = await load(SMALL, floor, { pace, seconds }, run);
      const { latencyMs: ofCloister } = await load(SMALL, cloister, { pace, seconds }, run);
      p50.push(quantile(ofCloister, 0.5) / quantile(ofFloor, 0.5));
      p99.push(quantile(ofCloister, 0.99) / quantile(ofFloor, 0.99));
    }
    const label = `mutate, 11 KiB, ${pace} a second over 25 connections`;
    figures.push({ label: `${label}: median time`, values: p50, unit: 'x' });
    figures.push({ label: `${label}: p99`, values: p99, unit: 'x', ...(most === undefined ? {} : { goal: { most } }) });
  }
  return figures;
}

async function measureReconnects(run: Run): Promise<Figure> {
  const {
    cloister,
    others: [floor],
  } = run;
  const { rounds, seconds } = run.amounts.reconnects;
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const ofFloor = await load(SMALL, floor, { pace: 'reconnect', seconds }, run);
    const ofCloister = await load(SMALL, cloister, { pace: 'reconnect', seconds }, run);
    values.push(ofCloister.reviews / ofCloister.cpuSeconds / (ofFloor.reviews / ofFloor.cpuSeconds));
  }
  return { label: 'a new connection for each review: reviews per CPU second', values, unit: 'x', goal: { least: 0.8 } };
}

async function measureStarts({ servers, machine }: Environment, rounds: number): Promise<Figure> {
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const floor = await startServer(servers.floor, machine);
    floor.kill();
    const cloister = await startServer(servers.cloister, machine);
    cloister.kill();
    values.push(cloister.startMs / floor.startMs);
  }
  return { label: 'start to first correct answer', values, unit: 'x', goal: { most: 3 } };
}

async function measureMemory(run: Run): Promise<Figure> {
  const { cloister, amounts } = run;
  while (run.answered < amounts.reviews) await load(SMALL, cloister, { pace: 'full', seconds: 3 }, run);
  const label = `memory after ${Math.round(run.answered / 1_000)},000 reviews of all kinds`;
  return { label, values: [residentMb(cloister.pid)], unit: 'MB', goal: { most: 180 } };
}

async function load(
  recording: Recording,
  server: RunningServer,
  options: Pick<LoadJob, 'pace' | 'seconds'>,
  run: Run,
): Promise<LoadResults> {
  const results = await sendLoad(recording, server, options, run.machine);
  if (server === run.cloister) run.answered += results.reviews;
  return results;
}
