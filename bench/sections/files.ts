import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { makeFolder } from '../../src/make-folder.ts';
import { startApiServer } from '../../test/support/api-server.ts';
import { writeSchemas } from '../../test/support/schemas.ts';
import { chartTool } from '../../tools/programs/chart-tools.ts';
import type { Figure } from '../report/figures.ts';
import { pods } from '../reviews/pods.ts';
import { cpuSeconds, peakMb } from '../servers/process-stats.ts';
import type { Environment, Section } from './section.ts';

/** What the command line costs on a repository of manifests. */
export const files: Section = {
  name: 'files',
  title: 'Files',
  introduction:
    () => `\`cloister check\` and \`cloister fix --write\` on a folder of ${AMOUNTS.usual.files} Pods of three containers, as YAML, from the built package. kubeconform,
which compares each field with its type in the API server's own schemas, reads the same files. CPU time is that of all threads.`,
  measure,
};

const AMOUNTS = { quick: { files: 20, rounds: 1 }, usual: { files: 2_000, rounds: 3 }, full: { files: 2_000, rounds: 5 } } as const;
const CLOISTER = join(import.meta.dirname, '..', '..', 'dist', 'main.js');
const POLL_MS = 5;

interface Cost {
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

async function measure({ machine, extent }: Environment): Promise<Figure[]> {
  const { files: count, rounds } = AMOUNTS[extent];
  const folder = join(machine.daemons.folder, 'files');
  const schemas = await makeSchemas(join(machine.daemons.folder, 'schemas'));
  const kubeconform = await chartTool('kubeconform');
  const costs: { readonly check: Cost; readonly fix: Cost; readonly conform: Cost }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await writeManifests(folder, count);
    const conform = await costOf(kubeconform, ['-strict', `-schema-location=${schemas}`, folder], 0);
    const check = await costOf(process.execPath, [CLOISTER, 'check', folder, '--profile', 'userns'], 0);
    const fix = await costOf(process.execPath, [CLOISTER, 'fix', folder, '--profile', 'userns', '--write'], 0);
    costs.push({ check, fix, conform });
  }
  const theirs = costs.map(({ conform }) => conform.peakMb);
  return (['check', 'fix'] as const).flatMap((command): Figure[] => [
    {
      label: `${command}: CPU time to kubeconform's`,
      values: costs.map((cost) => cost[command].cpuSeconds / cost.conform.cpuSeconds),
      unit: 'x',
      goal: { most: command === 'check' ? 2 : 4 },
    },
    {
      label: `${command}: CPU time`,
      values: costs.map((cost) => cost[command].cpuSeconds),
      unit: 's',
      others: { kubeconform: costs.map(({ conform }) => conform.cpuSeconds) },
    },
    {
      label: `${command}: peak memory`,
      values: costs.map((cost) => cost[command].peakMb),
      unit: 'MB',
      goal: { most: command === 'check' ? 200 : 300 },
      others: { kubeconform: theirs },
    },
  ]);
}

async function makeSchemas(folder: string): Promise<string> {
  await makeFolder(folder);
  const apiServer = await startApiServer();
  try {
    const location = await writeSchemas(apiServer.admin, folder, ['Pod']);
    if (location === undefined) throw new Error('the API server publishes no schema for pods');
    return location;
  } finally {
    await apiServer.stop();
  }
}

/** Writes the manifests again, because `fix --write` changes them. */
async function writeManifests(folder: string, count: number): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await makeFolder(folder);
  const text = stringify(pods.small);
  for (let index = 0; index < count; index += 1)
    await writeFile(join(folder, `pod-${index}.yaml`), text.replace('workspace-small', `workspace-${index}`));
}

/** Runs a program to its end, and reads what it has used until shortly before. */
async function costOf(program: string, args: readonly string[], code: number): Promise<Cost> {
  const child = spawn(program, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${program} cannot be started`);
  let cost: Cost = { cpuSeconds: 0, peakMb: 0 };
  let isRunning = true;
  void exited.then(() => {
    isRunning = false;
  });
  while (isRunning) {
    cost = readCost(pid) ?? cost;
    await sleep(POLL_MS);
  }
  const [status] = await exited;
  if (status !== code) throw new Error(`${program} ${args[0]} ended with status ${status}`);
  return cost;
}

/** undefined: the process has just ended */
function readCost(pid: number): Cost | undefined {
  try {
    const cost = { cpuSeconds: cpuSeconds(pid), peakMb: peakMb(pid) };
    return Number.isFinite(cost.peakMb) ? cost : undefined;
  } catch {
    return undefined;
  }
}
