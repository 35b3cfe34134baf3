import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { makeFolder } from '../../src/make-folder.ts';
import { startApiServer } from '../../test/support/api-server.ts';
import { writeSchemas } from '../../test/support/schemas.ts';
import { chartTool } from '../../tools/programs/chart-tools.ts';
import type { Figure } from '../report/figures.ts';
import { pods } from '../reviews/pods.ts';
import { type ProgramCost, programCost } from '../servers/program-cost.ts';
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

async function measure({ machine, extent }: Environment): Promise<Figure[]> {
  const { files: count, rounds } = AMOUNTS[extent];
  const folder = join(machine.daemons.folder, 'files');
  const schemas = await makeSchemas(join(machine.daemons.folder, 'schemas'));
  const kubeconform = await chartTool('kubeconform');
  const costs: { readonly check: ProgramCost; readonly fix: ProgramCost; readonly conform: ProgramCost }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await writeManifests(folder, count);
    const conform = await programCost(kubeconform, ['-strict', `-schema-location=${schemas}`, folder], 0);
    const check = await programCost(process.execPath, [CLOISTER, 'check', folder, '--profile', 'userns'], 0);
    const fix = await programCost(process.execPath, [CLOISTER, 'fix', folder, '--profile', 'userns', '--write'], 0);
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
