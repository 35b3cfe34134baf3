import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { Daemons } from '../test/support/daemons.ts';
import { type Contestant, type Field, prepare, type Running, type Stage, start } from './contestants.ts';
import { type Figure, quantile, tableOf } from './figures.ts';
import type { Job, Load } from './load.ts';
import { LOAD, pinning } from './pin.ts';
import { residentMb } from './proc.ts';
import { fileOf, PROFILES, type Recording, readRecording } from './reviews.ts';

/**
 * What Cloister costs, beside the least that a webhook can cost: `./dev bench`.
 *
 * The machine decides what a review costs, so only ratios are told: all servers take turns within each round, on one processor, and load
 * comes from another. `--quick` proves in seconds that everything runs and tells nothing; `--write` also writes docs/performance.md.
 */

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
});

/** Seconds, and how often. */
const EXTENT = flags.quick
  ? { rounds: 1, warmUp: 0.2, capacity: 0.3, rates: { rounds: 1, seconds: 0.5 }, fresh: { rounds: 1, seconds: 0.3 }, starts: 1, reviews: 0 }
  : {
      rounds: 5,
      // V8 goes on making the code faster for some ten seconds of load.
      warmUp: 8,
      // Long enough that what V8 undid while the others had their turns is made good.
      capacity: 3,
      rates: { rounds: 3, seconds: 2.5 },
      fresh: { rounds: 3, seconds: 4 },
      starts: 7,
      reviews: 200_000,
    };

interface Case extends Recording {
  readonly what: string;
  readonly least?: number;
  /** Of the Go floor. */
  readonly leastOfGo?: number;
}

const MUTATE_SMALL = { what: 'mutate, 11 KiB', size: 'small', path: `/mutate/${PROFILES.sudo}`, least: 0.65, leastOfGo: 0.65 } as const;

const CASES: readonly Case[] = [
  MUTATE_SMALL,
  { what: 'mutate, 64 KiB', size: 'medium', path: `/mutate/${PROFILES.sudo}`, least: 0.82, leastOfGo: 1 },
  { what: 'validate, 11 KiB', size: 'small', path: `/validate/enforce/${PROFILES.sudo}`, least: 0.75 },
  { what: 'validate, 64 KiB', size: 'medium', path: `/validate/enforce/${PROFILES.sudo}`, least: 0.85 },
  { what: 'mutate with grant containers, 11 KiB', size: 'small', path: `/mutate/${PROFILES.containers}` },
  { what: 'validate with grant containers, 11 KiB', size: 'small', path: `/validate/enforce/${PROFILES.containers}` },
];

/** By Cloister, so far. */
let answered = 0;

const { pin, isPinned } = pinning();
const daemons = await Daemons.create('bench');
try {
  const field = await prepare(daemons);
  const figures = await measure(field, { daemons, ca: field.ca, pin });
  const report = reportOf(figures, field);
  process.stdout.write(report);
  if (flags.write) await writeFile(join(import.meta.dirname, '..', 'docs', 'performance.md'), report);
} finally {
  await daemons.stop();
}

async function measure(field: Field, stage: Stage): Promise<Figure[]> {
  const starts = await measureStarts(field, stage);
  const floor = await begin(field.floor, stage);
  const cloister = await begin(field.cloister, stage);
  const goFloor = field.goFloor === undefined ? undefined : await begin(field.goFloor, stage);
  const servers = { floor, cloister, goFloor };
  await sleep(1_000);
  const idle: Figure = { what: 'memory, idle', values: [residentMb(cloister.pid)], unit: 'MB', must: { most: 95 } };
  return [
    ...(await measureCapacity(servers)),
    ...(await measureRates(servers)),
    await measureFresh(servers),
    starts,
    idle,
    await measureMemory(cloister),
  ];
}

interface Servers {
  readonly floor: Running;
  readonly cloister: Running;
  readonly goFloor: Running | undefined;
}

async function measureCapacity({ floor, cloister, goFloor }: Servers): Promise<Figure[]> {
  for (const each of CASES) {
    for (const server of [floor, cloister, goFloor]) if (server) await put(each, server, { pace: 'full', seconds: EXTENT.warmUp });
  }
  const ratios = new Map<Case, { readonly toFloor: number[]; readonly toGo: number[] }>(
    CASES.map((each) => [each, { toFloor: [], toGo: [] }]),
  );
  for (let round = 0; round < EXTENT.rounds; round += 1) {
    for (const [each, { toFloor, toGo }] of ratios) {
      const ofFloor = await perCpuSecond(each, floor);
      const ofCloister = await perCpuSecond(each, cloister);
      toFloor.push(ofCloister / ofFloor);
      if (goFloor && each.leastOfGo !== undefined) toGo.push(ofCloister / (await perCpuSecond(each, goFloor)));
    }
  }
  return [...ratios].flatMap(([{ what, least, leastOfGo }, { toFloor, toGo }]) => [
    { what: `${what}: reviews per CPU second`, values: toFloor, unit: 'x', ...(least === undefined ? {} : { must: { least } }) },
    ...(toGo.length === 0 || leastOfGo === undefined
      ? []
      : [{ what: `${what}: likewise, to go-floor`, values: toGo, unit: 'x' as const, must: { least: leastOfGo } }]),
  ]);
}

async function perCpuSecond(recording: Recording, server: Running): Promise<number> {
  const { reviews, cpuSeconds } = await put(recording, server, { pace: 'full', seconds: EXTENT.capacity });
  return reviews / cpuSeconds;
}

async function measureRates({ floor, cloister }: Servers): Promise<Figure[]> {
  const { rounds, seconds } = EXTENT.rates;
  const figures: Figure[] = [];
  for (const { pace, most } of [{ pace: 300 }, { pace: 500, most: 1.5 }]) {
    const p50: number[] = [];
    const p99: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { latencies: ofFloor } = await put(MUTATE_SMALL, floor, { pace, seconds });
      const { latencies: ofCloister } = await put(MUTATE_SMALL, cloister, { pace, seconds });
      p50.push(quantile(ofCloister, 0.5) / quantile(ofFloor, 0.5));
      p99.push(quantile(ofCloister, 0.99) / quantile(ofFloor, 0.99));
    }
    const what = `mutate, 11 KiB, ${pace} a second over 25 connections`;
    figures.push({ what: `${what}: median time`, values: p50, unit: 'x' });
    figures.push({ what: `${what}: p99`, values: p99, unit: 'x', ...(most === undefined ? {} : { must: { most } }) });
  }
  return figures;
}

async function measureFresh({ floor, cloister }: Servers): Promise<Figure> {
  const values: number[] = [];
  const { rounds, seconds } = EXTENT.fresh;
  for (let round = 0; round < rounds; round += 1) {
    const ofFloor = await put(MUTATE_SMALL, floor, { pace: 'fresh', seconds });
    const ofCloister = await put(MUTATE_SMALL, cloister, { pace: 'fresh', seconds });
    values.push(ofCloister.reviews / ofCloister.cpuSeconds / (ofFloor.reviews / ofFloor.cpuSeconds));
  }
  return { what: 'a new connection for each review: reviews per CPU second', values, unit: 'x', must: { least: 0.8 } };
}

async function measureStarts(field: Field, stage: Stage): Promise<Figure> {
  const values: number[] = [];
  for (let round = 0; round < EXTENT.starts; round += 1) {
    const floor = await begin(field.floor, stage);
    floor.kill();
    const cloister = await begin(field.cloister, stage);
    cloister.kill();
    values.push(cloister.startMs / floor.startMs);
  }
  return { what: 'start to first right answer', values, unit: 'x', must: { most: 3 } };
}

async function measureMemory(cloister: Running): Promise<Figure> {
  while (answered < EXTENT.reviews) await put(MUTATE_SMALL, cloister, { pace: 'full', seconds: 3 });
  const what = `memory after ${Math.round(answered / 1_000)},000 reviews of all kinds`;
  return { what, values: [residentMb(cloister.pid)], unit: 'MB', must: { most: 180 } };
}

async function begin(contestant: Contestant, stage: Stage): Promise<Running> {
  return start(contestant, { path: MUTATE_SMALL.path, body: await readRecording(MUTATE_SMALL) }, stage);
}

/** Puts load on one server, from a process of its own. */
async function put(recording: Recording, server: Running, how: Pick<Job, 'pace' | 'seconds'>): Promise<Load> {
  const { contestant, pid, target } = server;
  const { path } = recording;
  const job: Job = { target, pid, file: fileOf(recording), path, patched: contestant.patches(path), ...how };
  const [program, args] = pin(LOAD, process.execPath, [join(import.meta.dirname, 'load.ts'), JSON.stringify(job)]);
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 64 * 1024 * 1024 }).catch(({ stderr }) => {
    throw new Error(`the load on ${contestant.name} at ${path} failed: ${stderr}`);
  });
  const load: Load = JSON.parse(stdout);
  if (contestant.name === 'cloister') answered += load.reviews;
  return load;
}

function reportOf(figures: readonly Figure[], { goFloor }: Field): string {
  const where = isPinned ? 'servers on one, load on another' : 'nothing is pinned to one, so the figures scatter';
  return `# Performance

What Cloister costs beside **floor-parse**, the least that a webhook in Node can do: \`node:https\`, \`JSON.parse\`, and always the same
patch. 1.00 is as much as that; for reviews per CPU second more is better, for times less.${
    goFloor === undefined
      ? ' Go is not installed here, so nothing is compared with a Go server.'
      : ' **go-floor** is the same in Go, and decodes only the envelope.'
  }
The reviews are a real API server's: of a pod with 3 containers and of one with 15. Mutating repairs the pod and judges the outcome;
validating sees the repaired pod. Every ratio is of one round, in which the servers take turns.

Measured by \`./dev bench --write\` on ${cpus().length} processors (${cpus()[0]?.model.trim()}), ${where}; Node ${process.versions.node}.

${tableOf(figures)}
`;
}
