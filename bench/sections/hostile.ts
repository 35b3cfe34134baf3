import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { open, post } from '../load/connection.ts';
import { begin, pester, put, SMALL } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { type Hostile, hostiles } from '../reviews/hostile-bodies.ts';
import { PROFILES } from '../reviews/recordings.ts';
import { peakMb } from '../servers/process-stats.ts';
import { type Contestant, POD_MB, type Running, type Stage } from '../servers/servers.ts';
import type { Ground, Section } from './section.ts';

/** What one caller can do to all others by what he sends. */
export const hostile: Section = {
  name: 'hostile',
  title: 'Hostile bodies',
  about:
    () => `One caller sends a body of at most 8 MiB every second, which costs more than its size suggests, while other callers send 300 small
reviews a second over 25 connections. A flood is ${'2.8 million'} empty objects. For each kind of body, the table shows the longest time that it blocked
the event loop of the server, for which all small reviews wait. Each server has one processor for all its threads.`,
  measure,
};

const AMOUNTS = {
  quick: { rounds: 1, warmUp: 0.3, seconds: 1.2, each: 1 },
  usual: { rounds: 3, warmUp: 5, seconds: 6, each: 7 },
  full: { rounds: 5, warmUp: 10, seconds: 30, each: 21 },
} as const;
type Amounts = (typeof AMOUNTS)['usual' | 'quick' | 'full'];

const RATE = { pace: 300 } as const;

async function measure({ field, stage, extent }: Ground): Promise<Figure[]> {
  const amounts = AMOUNTS[extent];
  const bodies = await hostiles();
  const files = await Promise.all(bodies.map(({ body }, index) => keep(body, join(stage.daemons.folder, `hostile-${index}`))));
  const [flood, ...others] = files as [string, ...string[]];
  return [
    ...(await measureFlood(field, flood, { stage, amounts })),
    ...(await measureMedley(field.cloister, others, { stage, amounts })),
    ...(await measureStalls(field, bodies, { stage, amounts })),
  ];
}

interface Scene {
  readonly stage: Stage;
  readonly amounts: Amounts;
}

/** One contestant, and what was seen of it in each round, in milliseconds. */
interface Run {
  readonly name: string;
  readonly server: Running;
  /** The p99 of small reviews alone, and beside a flood. */
  readonly calm: number[];
  readonly beside: number[];
  /** How long the flood had to wait. */
  readonly answers: number[];
}

async function keep(body: Buffer, file: string): Promise<string> {
  await writeFile(file, body);
  return file;
}

async function measureFlood({ cloister, floor, goFloor }: Ground['field'], flood: string, { stage, amounts }: Scene): Promise<Figure[]> {
  const contestants = [cloister, floor, ...(goFloor === undefined ? [] : [goFloor])];
  const runs: Run[] = [];
  for (const contestant of contestants) {
    const server = await warm(contestant, { stage, amounts });
    runs.push({ server, name: contestant.name, calm: [], beside: [], answers: [] });
  }
  for (let round = 0; round < amounts.rounds; round += 1) {
    for (const { server, calm, beside, answers } of runs) {
      const { latencies } = await put(SMALL, server, { ...RATE, seconds: amounts.seconds }, stage);
      calm.push(quantile(latencies, 0.99));
      const [others, own] = await both(server, [flood], amounts.seconds, stage);
      beside.push(quantile(others, 0.99));
      answers.push(quantile(own, 0.5));
    }
  }
  const peaks = new Map(runs.map((run) => [run, [peakMb(run.server.pid)]]));
  for (const { server } of runs) server.kill();

  const [ours, ...theirs] = runs;
  const go = runs.find(({ name }) => name === goFloor?.name);
  if (ours === undefined) return [];
  const line = (what: string, of: (run: Run) => readonly number[], rest: Pick<Figure, 'unit' | 'must'>): Figure => ({
    what,
    values: of(ours),
    beside: Object.fromEntries(theirs.map((run) => [run.name, of(run)])),
    ...rest,
  });
  return [
    line('300 reviews a second: p99', ({ calm }) => calm, { unit: 'ms' }),
    line('300 reviews a second, with a flood a second: p99', ({ beside }) => beside, { unit: 'ms', must: { most: 20 } }),
    ...(go === undefined
      ? []
      : [
          {
            what: 'the same, compared with go-floor',
            values: ours.beside.map((value, round) => value / (go.beside[round] as number)),
            unit: 'x' as const,
            must: { most: 1 },
          },
        ]),
    line('time until the flood is answered', ({ answers }) => answers, { unit: 'ms' }),
    line('peak memory', (run) => peaks.get(run) ?? [], { unit: 'MB', must: { most: 256 } }),
  ];
}

async function measureMedley(contestant: Contestant, files: readonly string[], { stage, amounts }: Scene): Promise<Figure[]> {
  const server = await warm(contestant, { stage, amounts });
  const p99: number[] = [];
  for (let round = 0; round < amounts.rounds; round += 1) {
    const [others] = await both(server, files, Math.max(amounts.seconds, files.length), stage);
    p99.push(quantile(others, 0.99));
  }
  const peak = peakMb(server.pid);
  server.kill();
  return [
    { what: '300 reviews a second, with the other kinds in turn: p99', values: p99, unit: 'ms', must: { most: 20 } },
    { what: 'peak memory', values: [peak], unit: 'MB', must: { most: POD_MB } },
  ];
}

/** Of what all others waited for, and of what the sender of hostile bodies did. */
async function both(
  server: Running,
  files: readonly string[],
  seconds: number,
  stage: Stage,
): Promise<readonly [readonly number[], readonly number[]]> {
  const [others, own] = await Promise.all([put(SMALL, server, { ...RATE, seconds }, stage), pester(files, server, seconds, stage)]);
  return [others.latencies, own.latencies];
}

async function warm(contestant: Contestant, { stage, amounts }: Scene): Promise<Running> {
  const server = await begin(contestant, stage);
  await put(SMALL, server, { pace: 'full', seconds: amounts.warmUp }, stage);
  return server;
}

/** Two paths, because mutating and validating do different work. */
const PATHS = [SMALL.path, `/validate/enforce/${PROFILES.containers}`] as const;

async function measureStalls(
  { cloister, floor }: Ground['field'],
  bodies: readonly Hostile[],
  { stage, amounts }: Scene,
): Promise<Figure[]> {
  const scene = { stage, amounts };
  const ours = await warm(watched(cloister), scene);
  const theirs = await warm(watched(floor), scene);
  await stallOf(ours);
  await sleep(1_000);
  const idle = await stallOf(ours);
  const figures: Figure[] = [{ what: 'longest stall of the event loop: a second without requests', values: [idle], unit: 'ms' }];
  for (const { what, body } of bodies) {
    const values: number[] = [];
    for (let sent = 0; sent < amounts.each; sent += 1) values.push(await stallBy(body, PATHS[sent % PATHS.length] as string, ours));
    const beside = { [floor.name]: [await stallBy(body, SMALL.path, theirs)] };
    figures.push({ what: `longest stall of the event loop: ${what}`, values, unit: 'ms', must: { never: 20 }, beside });
  }
  ours.kill();
  theirs.kill();
  return figures;
}

const STALL = join(import.meta.dirname, '..', 'servers', 'event-loop-monitor.ts');
const watched = (contestant: Contestant): Contestant => ({ ...contestant, args: ['--import', STALL, ...contestant.args] });

async function stallBy(body: Buffer, path: string, server: Running): Promise<number> {
  const connection = await open(server.target);
  await stallOf(server);
  await connection.send(post(path, body));
  connection.close();
  // What it left behind may have to be cleared away.
  await sleep(50);
  return stallOf(server);
}

/** The longest since this was asked before, in milliseconds. */
async function stallOf({ pid, said }: Running): Promise<number> {
  const before = stallsIn(await said()).length;
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    await sleep(5);
    const stalls = stallsIn(await said());
    if (stalls.length > before) return Number(stalls.at(-1));
  }
}

const stallsIn = (text: string): readonly string[] => Array.from(text.matchAll(/^longest stall: (\S+) ms$/gm), ([, ms]) => ms as string);
