import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, Load } from '../load/load-generator.ts';
import { begin, put, SMALL } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { PROFILES, type Recording } from '../reviews/recordings.ts';
import { residentMb } from '../servers/process-stats.ts';
import type { Running, Stage } from '../servers/servers.ts';
import type { Ground, Section } from './section.ts';

/** What Cloister costs beside the least that a webhook can cost, in turns: the machine decides what a review costs, so only ratios are told. */
export const costs: Section = {
  name: 'costs',
  title: 'What a review costs',
  about: ({
    goFloor,
    controllerRuntime,
  }) => `Cloister is compared with **floor-parse**, the least that a webhook in Node can do: \`node:https\`, \`JSON.parse\`, and
always the same patch. A ratio of 1.00 means that both are equal. For reviews per CPU second a higher ratio is better, for times a lower one.${
    goFloor === undefined
      ? ' Go is not installed here, so nothing is compared with a Go server.'
      : '\n**go-floor** is the same in Go, and decodes only the envelope.'
  }${controllerRuntime === undefined ? '' : ' **controller-runtime** is a usual Go webhook, which does what this profile does and nothing else.'}
The reviews come from a real API server, for pods with 3, 15 and 252 containers. Mutating repairs the pod and judges the result;
validating judges the repaired pod. Each ratio is measured in one round, in which the servers take turns.`,
  measure,
};

/** Seconds, and how often. */
const QUICK = {
  rounds: 1,
  warmUp: 0.2,
  capacity: 0.3,
  rates: { rounds: 1, seconds: 0.5 },
  fresh: { rounds: 1, seconds: 0.3 },
  starts: 1,
  reviews: 0,
};
const USUAL = {
  // Many, and short: on machines that share their processors with others, what a second costs changes from one to the next.
  rounds: 15,
  // V8 goes on making the code faster for some ten seconds of load.
  warmUp: 8,
  capacity: 1,
  rates: { rounds: 3, seconds: 2.5 },
  fresh: { rounds: 3, seconds: 4 },
  starts: 7,
  reviews: 200_000,
};
/** The million of the goals. */
const FULL = { ...USUAL, reviews: 1_000_000 };

interface Case extends Recording {
  readonly what: string;
  /** Beside whom it is put, by name, and how many times as good it must be. */
  readonly least: Readonly<Record<string, number | undefined>>;
}

const CASES: readonly Case[] = [
  { what: 'mutate, 11 KiB', ...SMALL, least: { 'floor-parse': 0.65, 'go-floor': 0.65, 'controller-runtime': 6.5 } },
  { what: 'mutate, 64 KiB', size: 'medium', path: `/mutate/${PROFILES.sudo}`, least: { 'floor-parse': 0.82, 'go-floor': 1 } },
  { what: 'mutate, 1 MiB', size: 'large', path: `/mutate/${PROFILES.sudo}`, least: { 'floor-parse': 0.75 } },
  {
    what: 'validate, 11 KiB',
    size: 'small',
    path: `/validate/enforce/${PROFILES.sudo}`,
    least: { 'floor-parse': 0.75, 'controller-runtime': 3 },
  },
  { what: 'validate, 64 KiB', size: 'medium', path: `/validate/enforce/${PROFILES.sudo}`, least: { 'floor-parse': 0.85 } },
  {
    what: 'mutate with grant containers, 11 KiB',
    size: 'small',
    path: `/mutate/${PROFILES.containers}`,
    least: { 'floor-parse': undefined },
  },
  {
    what: 'validate with grant containers, 11 KiB',
    size: 'small',
    path: `/validate/enforce/${PROFILES.containers}`,
    least: { 'floor-parse': undefined },
  },
];

/** Who takes part, and how long it goes on. */
interface Scene {
  readonly cloister: Running;
  /** All but Cloister, the floor first. */
  readonly others: readonly [floor: Running, ...Running[]];
  readonly stage: Stage;
  readonly amounts: typeof USUAL;
  /** Reviews answered by Cloister. */
  answered: number;
}

async function measure(ground: Ground): Promise<Figure[]> {
  const { field, stage, extent } = ground;
  const amounts = { quick: QUICK, usual: USUAL, full: FULL }[extent];
  const starts = await measureStarts(ground, amounts.starts);
  const floor = await begin(field.floor, stage);
  const cloister = await begin(field.cloister, stage);
  const inGo = [field.goFloor, field.controllerRuntime].filter((contestant) => contestant !== undefined);
  const others = await Promise.all(inGo.map((contestant) => begin(contestant, stage)));
  const scene: Scene = { cloister, others: [floor, ...others], stage, amounts, answered: 0 };
  await sleep(1_000);
  const idle: Figure = { what: 'memory, idle', values: [residentMb(cloister.pid)], unit: 'MB', must: { most: 95 } };
  return [
    ...(await measureCapacity(scene)),
    ...(await measureRates(scene)),
    await measureFresh(scene),
    starts,
    idle,
    await measureMemory(scene),
  ];
}

/** One case after the other, each warmed up for itself: V8 takes back what it made of code that rests while the others have their turns. */
async function measureCapacity(scene: Scene): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const each of CASES) figures.push(...(await measureCase(each, scene)));
  return figures;
}

async function measureCase(each: Case, scene: Scene): Promise<Figure[]> {
  const { cloister, others, amounts } = scene;
  const beside = others.filter(({ contestant }) => contestant.name in each.least);
  const ratios = beside.map((server) => ({ server, values: [] as number[] }));
  for (const server of [cloister, ...beside]) await load(each, server, { pace: 'full', seconds: amounts.warmUp }, scene);
  for (let round = 0; round < amounts.rounds; round += 1) {
    const ours = await perCpuSecond(each, cloister, scene);
    for (const { server, values } of ratios) values.push(ours / (await perCpuSecond(each, server, scene)));
  }
  return ratios.map(({ server, values }): Figure => {
    const { name } = server.contestant;
    const must = each.least[name];
    return {
      what: `${each.what}: ${name === others[0].contestant.name ? 'reviews per CPU second' : `the same, compared with ${name}`}`,
      values,
      unit: 'x',
      ...(must === undefined ? {} : { must: { least: must } }),
    };
  });
}

async function perCpuSecond(recording: Recording, server: Running, scene: Scene): Promise<number> {
  const { reviews, cpuSeconds } = await load(recording, server, { pace: 'full', seconds: scene.amounts.capacity }, scene);
  return reviews / cpuSeconds;
}

async function measureRates(scene: Scene): Promise<Figure[]> {
  const {
    cloister,
    others: [floor],
  } = scene;
  const { rounds, seconds } = scene.amounts.rates;
  const figures: Figure[] = [];
  for (const { pace, most } of [{ pace: 300 }, { pace: 500, most: 1.5 }]) {
    const p50: number[] = [];
    const p99: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { latencies: ofFloor } = await load(SMALL, floor, { pace, seconds }, scene);
      const { latencies: ofCloister } = await load(SMALL, cloister, { pace, seconds }, scene);
      p50.push(quantile(ofCloister, 0.5) / quantile(ofFloor, 0.5));
      p99.push(quantile(ofCloister, 0.99) / quantile(ofFloor, 0.99));
    }
    const what = `mutate, 11 KiB, ${pace} a second over 25 connections`;
    figures.push({ what: `${what}: median time`, values: p50, unit: 'x' });
    figures.push({ what: `${what}: p99`, values: p99, unit: 'x', ...(most === undefined ? {} : { must: { most } }) });
  }
  return figures;
}

async function measureFresh(scene: Scene): Promise<Figure> {
  const {
    cloister,
    others: [floor],
  } = scene;
  const { rounds, seconds } = scene.amounts.fresh;
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const ofFloor = await load(SMALL, floor, { pace: 'fresh', seconds }, scene);
    const ofCloister = await load(SMALL, cloister, { pace: 'fresh', seconds }, scene);
    values.push(ofCloister.reviews / ofCloister.cpuSeconds / (ofFloor.reviews / ofFloor.cpuSeconds));
  }
  return { what: 'a new connection for each review: reviews per CPU second', values, unit: 'x', must: { least: 0.8 } };
}

async function measureStarts({ field, stage }: Ground, rounds: number): Promise<Figure> {
  const values: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const floor = await begin(field.floor, stage);
    floor.kill();
    const cloister = await begin(field.cloister, stage);
    cloister.kill();
    values.push(cloister.startMs / floor.startMs);
  }
  return { what: 'time from start to first correct answer', values, unit: 'x', must: { most: 3 } };
}

async function measureMemory(scene: Scene): Promise<Figure> {
  const { cloister, amounts } = scene;
  while (scene.answered < amounts.reviews) await load(SMALL, cloister, { pace: 'full', seconds: 3 }, scene);
  const what = `memory after ${Math.round(scene.answered / 1_000)},000 reviews of all kinds`;
  return { what, values: [residentMb(cloister.pid)], unit: 'MB', must: { most: 180 } };
}

async function load(recording: Recording, server: Running, how: Pick<Job, 'pace' | 'seconds'>, scene: Scene): Promise<Load> {
  const load = await put(recording, server, how, scene.stage);
  if (server === scene.cloister) scene.answered += load.reviews;
  return load;
}
