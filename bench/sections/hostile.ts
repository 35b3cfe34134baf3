import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { open, post } from '../load/connection.ts';
import { sendHostileBodies, sendLoad } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { type HostileBody, makeHostileBodies } from '../reviews/hostile-bodies.ts';
import { PROFILES, SMALL } from '../reviews/recordings.ts';
import { monitored, readLongestStall } from '../servers/event-loop-stalls.ts';
import { peakMb } from '../servers/process-stats.ts';
import { type Machine, POD_MB, type RunningServer, type ServerSpec, type Servers, startServer } from '../servers/servers.ts';
import type { Environment, Section } from './section.ts';

/** The harm that the bodies of one caller do to the calls of all others. */
export const hostile: Section = {
  name: 'hostile',
  title: 'Hostile bodies',
  introduction:
    () => `Each second one caller sends a body of at most 8 MiB whose cost is out of proportion to its size, while others send 300 small reviews a second
over 25 connections. A flood is 2.8 million empty objects. For each kind of body the table gives the longest stall of the server's event
loop; all small reviews wait during a stall. Each server has one processor for all its threads.`,
  measure,
};

const AMOUNTS = {
  quick: { rounds: 1, warmUp: 0.3, seconds: 1.2, each: 1 },
  usual: { rounds: 3, warmUp: 5, seconds: 6, each: 7 },
  full: { rounds: 5, warmUp: 10, seconds: 30, each: 21 },
} as const;
type Amounts = (typeof AMOUNTS)['usual' | 'quick' | 'full'];

const RATE = { pace: 300 } as const;

async function measure({ servers, machine, extent }: Environment): Promise<Figure[]> {
  const amounts = AMOUNTS[extent];
  const bodies = await makeHostileBodies();
  const files = await Promise.all(bodies.map(({ body }, index) => store(body, join(machine.daemons.folder, `hostile-${index}`))));
  const [flood, ...others] = files as [string, ...string[]];
  return [
    ...(await measureFlood(servers, flood, { machine, amounts })),
    ...(await measureOtherKinds(servers.cloister, others, { machine, amounts })),
    ...(await measureStalls(servers, bodies, { machine, amounts })),
  ];
}

interface Options {
  readonly machine: Machine;
  readonly amounts: Amounts;
}

/** One server and its measurements of each round, in milliseconds. */
interface Run {
  readonly name: string;
  readonly server: RunningServer;
  /** The p99 of the small reviews without a flood. */
  readonly calm: number[];
  /** The p99 of the small reviews during the floods. */
  readonly flooded: number[];
  /** The median time until a flood is answered. */
  readonly floods: number[];
}

async function store(body: Buffer, file: string): Promise<string> {
  await writeFile(file, body);
  return file;
}

async function measureFlood({ cloister, floor, goFloor }: Servers, flood: string, { machine, amounts }: Options): Promise<Figure[]> {
  const specs = [cloister, floor, ...(goFloor === undefined ? [] : [goFloor])];
  const runs: Run[] = [];
  for (const spec of specs) {
    const server = await startWarm(spec, { machine, amounts });
    runs.push({ server, name: spec.name, calm: [], flooded: [], floods: [] });
  }
  for (let round = 0; round < amounts.rounds; round += 1) {
    for (const { server, calm, flooded, floods } of runs) {
      const { latencyMs } = await sendLoad(SMALL, server, { ...RATE, seconds: amounts.seconds }, machine);
      calm.push(quantile(latencyMs, 0.99));
      const latencies = await sendBoth(server, [flood], amounts.seconds, machine);
      flooded.push(quantile(latencies.small, 0.99));
      floods.push(quantile(latencies.hostile, 0.5));
    }
  }
  const peaks = new Map(runs.map((run) => [run, [peakMb(run.server.pid)]]));
  for (const { server } of runs) server.kill();

  const [ours, ...theirs] = runs;
  const go = runs.find(({ name }) => name === goFloor?.name);
  if (ours === undefined) return [];
  const figureOf = (label: string, valuesOf: (run: Run) => readonly number[], rest: Pick<Figure, 'unit' | 'goal'>): Figure => ({
    label,
    values: valuesOf(ours),
    others: Object.fromEntries(theirs.map((run) => [run.name, valuesOf(run)])),
    ...rest,
  });
  return [
    figureOf('300 reviews a second: p99', ({ calm }) => calm, { unit: 'ms' }),
    figureOf('the same during a flood a second: p99', ({ flooded }) => flooded, { unit: 'ms', goal: { most: 20 } }),
    ...(go === undefined
      ? []
      : [
          {
            label: 'the same, to go-floor',
            values: ours.flooded.map((value, round) => value / (go.flooded[round] as number)),
            unit: 'x' as const,
            goal: { most: 1 },
          },
        ]),
    figureOf('time until the flood is answered', ({ floods }) => floods, { unit: 'ms' }),
    figureOf('peak memory during the floods', (run) => peaks.get(run) ?? [], { unit: 'MB', goal: { most: 256 } }),
  ];
}

async function measureOtherKinds(spec: ServerSpec, files: readonly string[], { machine, amounts }: Options): Promise<Figure[]> {
  const server = await startWarm(spec, { machine, amounts });
  const p99: number[] = [];
  for (let round = 0; round < amounts.rounds; round += 1) {
    const latencies = await sendBoth(server, files, Math.max(amounts.seconds, files.length), machine);
    p99.push(quantile(latencies.small, 0.99));
  }
  const peak = peakMb(server.pid);
  server.kill();
  return [
    { label: '300 reviews a second during the other kinds in turn: p99', values: p99, unit: 'ms', goal: { most: 20 } },
    { label: 'peak memory during the other kinds', values: [peak], unit: 'MB', goal: { most: POD_MB } },
  ];
}

interface Latencies {
  /** Of the small reviews. */
  readonly small: readonly number[];
  /** Of the hostile bodies. */
  readonly hostile: readonly number[];
}

async function sendBoth(server: RunningServer, files: readonly string[], seconds: number, machine: Machine): Promise<Latencies> {
  const [small, hostile] = await Promise.all([
    sendLoad(SMALL, server, { ...RATE, seconds }, machine),
    sendHostileBodies(files, server, seconds, machine),
  ]);
  return { small: small.latencyMs, hostile: hostile.latencyMs };
}

async function startWarm(spec: ServerSpec, { machine, amounts }: Options): Promise<RunningServer> {
  const server = await startServer(spec, machine);
  await sendLoad(SMALL, server, { pace: 'full', seconds: amounts.warmUp }, machine);
  return server;
}

/** Two paths, because mutating and validating do different work. */
const PATHS = [SMALL.path, `/validate/enforce/${PROFILES.containers}`] as const;

async function measureStalls({ cloister, floor }: Servers, bodies: readonly HostileBody[], options: Options): Promise<Figure[]> {
  const ours = await startWarm(monitored(cloister), options);
  const theirs = await startWarm(monitored(floor), options);
  await readLongestStall(ours);
  await sleep(1_000);
  const idle = await readLongestStall(ours);
  const figures: Figure[] = [{ label: 'longest stall of the loop: an idle second', values: [idle], unit: 'ms' }];
  for (const { label, body } of bodies) {
    const values: number[] = [];
    for (let sent = 0; sent < options.amounts.each; sent += 1) {
      values.push(await measureStall(body, PATHS[sent % PATHS.length] as string, ours));
    }
    const others = { [floor.name]: [await measureStall(body, SMALL.path, theirs)] };
    figures.push({ label: `longest stall of the loop: ${label}`, values, unit: 'ms', goal: { never: 20 }, others });
  }
  ours.kill();
  theirs.kill();
  return figures;
}

async function measureStall(body: Buffer, path: string, server: RunningServer): Promise<number> {
  const connection = await open(server.target);
  await readLongestStall(server);
  await connection.send(post(path, body));
  connection.close();
  // Include the garbage collection after the answer.
  await sleep(50);
  return readLongestStall(server);
}
