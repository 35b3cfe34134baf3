import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ATTACK_NAMES, type Attack, type AttackJob } from '../load/attack.ts';
import { open, post } from '../load/connection.ts';
import { attack, callAsApiServers } from '../load/run-load.ts';
import { type Figure, quantile } from '../report/figures.ts';
import { makeReviewWithLargeAnswer } from '../reviews/hostile-bodies.ts';
import { fileOf, SMALL } from '../reviews/recordings.ts';
import { monitored, readLongestStall } from '../servers/event-loop-stalls.ts';
import { peakMb } from '../servers/process-stats.ts';
import { type Machine, type RunningServer, startServer } from '../servers/servers.ts';
import type { Environment, Section } from './section.ts';

/** The harm that the connections of one caller do to the calls of all others. */
export const attacks: Section = {
  name: 'attacks',
  title: 'Hostile connections',
  introduction:
    () => `One caller attacks without a pause, from an address of its own, while API servers send ${RATE} small reviews a second and a kubelet probes twice a
second. API servers open a connection when none is idle, and retry a second after a 429. The attacker and the API servers share one processor,
and the server has the other one. The longest stall of the server's event loop bounds the part of a p99 that is the server's; a new connection waits
for it several times.`,
  measure,
};

const SECONDS = { quick: 2, usual: 10, full: 60 } as const;
const RATE = 50;

async function measure({ servers, machine, extent }: Environment): Promise<Figure[]> {
  const seconds = SECONDS[extent];
  const largeAnswer = join(machine.daemons.folder, 'large-answer.json');
  const review = await makeReviewWithLargeAnswer();
  await writeFile(largeAnswer, review);
  const figures: Figure[] = [];
  for (const name of ATTACK_NAMES) {
    const server = await startServer(monitored(servers.cloister), machine);
    await checkAnswer(server, Buffer.from(review));
    const job = { attack: name, path: SMALL.path, files: { ordinary: fileOf(SMALL), largeAnswer }, seconds, ports: await portsOf(server) };
    figures.push(...(await measureAttack(name, server, job, machine)));
    server.kill();
  }
  return figures;
}

async function measureAttack(name: Attack, server: RunningServer, job: AttackJob, machine: Machine): Promise<Figure[]> {
  await readLongestStall(server);
  const attacking = attack(job, server, machine);
  // Until the attack has begun.
  await sleep(500);
  const calls = Math.max(1, Math.floor(RATE * (job.seconds - 1)));
  const [[results], probes] = await Promise.all([
    callAsApiServers(
      server,
      {
        file: fileOf(SMALL),
        routes: [{ path: SMALL.path, expectsPatch: true }],
        phases: [{ calls, perSecond: RATE }],
        maxConcurrent: 600,
      },
      machine,
    ),
    probe(job.ports.operations, job.seconds - 1),
  ]);
  const stallMs = await readLongestStall(server);
  await attacking;
  const { callMs = [], failed = 0 } = results ?? {};
  return [
    { label: `${name}: p99 of the reviews`, values: [quantile(callMs, 0.99)], unit: 'ms', goal: { most: 20 } },
    { label: `${name}: longest stall of the event loop`, values: [stallMs], unit: 'ms' },
    { label: `${name}: reviews failed`, values: [failed], unit: '', goal: { most: 0 } },
    { label: `${name}: probes failed`, values: [probes.failed], unit: '', goal: { most: 0 } },
    { label: `${name}: peak memory`, values: [peakMb(server.pid)], unit: 'MB', goal: { most: 256 } },
    { label: `${name}: connections and requests dropped, by the metrics`, values: [await droppedBy(job.ports.metrics)], unit: '' },
  ];
}

/** @throws if the answer is too small for callers that do not read it */
async function checkAnswer({ target }: RunningServer, review: Buffer): Promise<void> {
  const connection = await open(target);
  const { body } = await connection.send(post(SMALL.path, review));
  connection.close();
  if (body.length < 100_000) throw new Error(`the answer that is not read has only ${body.length} bytes`);
}

async function portsOf(server: RunningServer): Promise<AttackJob['ports']> {
  const [first = ''] = (await server.readLog()).split('\n');
  const { listen, operationsListen, metricsListen } = JSON.parse(first) as Readonly<Record<string, string>>;
  const port = (address = ''): number => Number(address.split(':').at(-1));
  return { reviews: port(listen), operations: port(operationsListen), metrics: port(metricsListen) };
}

/** As a kubelet probes: a new connection each time, which has a second. */
async function probe(port: number, seconds: number): Promise<{ readonly failed: number }> {
  let failed = 0;
  for (let sent = 0; sent < seconds * 2; sent += 1) {
    const answer = fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(1_000), headers: { connection: 'close' } });
    const isAlive = await answer.then(async (response) => response.ok && (await response.text()) !== '').catch(() => false);
    if (!isAlive) failed += 1;
    await sleep(500);
  }
  return { failed };
}

async function droppedBy(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const drops = text.matchAll(/^cloister_(?:closed_connections|refused_requests|shed_requests)_total\{.*\} (\d+)$/gm);
  return [...drops].reduce((sum, [, count]) => sum + Number(count), 0);
}
