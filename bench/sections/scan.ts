import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ApiServer, startApiServer } from '../../test/support/api-server.ts';
import type { Figure } from '../report/figures.ts';
import { pods } from '../reviews/pods.ts';
import { type ProgramCost, programCost } from '../servers/program-cost.ts';
import type { Environment, Section } from './section.ts';

/** What `cloister scan` costs on a cluster of many pods. */
export const scan: Section = {
  name: 'scan',
  title: 'Running pods',
  introduction: () =>
    `\`cloister scan\` from the built package, with its default flags, through a real kube-apiserver that has ${AMOUNTS.usual.pods} pods of three containers
in ${AMOUNTS.usual.namespaces} governed namespaces, each as large as the API server makes it by defaults and managedFields. Each pod has findings, so that its row is as large as rows get. CPU time is that of all threads; the API server
shares the processors. Node uses as much memory as it finds, so the memory is measured with a limited heap too: in a container, Node adapts to the limit of the container.`,
  measure,
};

const AMOUNTS = {
  quick: { pods: 200, namespaces: 20, rounds: 1 },
  usual: { pods: 10_000, namespaces: 100, rounds: 3 },
  full: { pods: 10_000, namespaces: 100, rounds: 5 },
} as const;
const CLOISTER = join(import.meta.dirname, '..', '..', 'dist', 'main.js');
/** On a machine with much memory, Node collects garbage late. In a container it adapts to the limit of the container. */
const HEAP_MIB = 128;
/** Pods that are created at the same time. */
const CREATIONS = 16;

interface Round extends ProgramCost {
  readonly requests: number;
  /** Peak memory with a heap of HEAP_MIB. */
  readonly limitedMb: number;
}

async function measure({ machine, extent }: Environment): Promise<Figure[]> {
  const { pods: count, namespaces, rounds } = AMOUNTS[extent];
  const config = join(machine.daemons.folder, 'scan.yaml');
  await writeFile(config, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}}\n');
  const apiServer = await startApiServer();
  try {
    await fill(apiServer, count, namespaces);
    const kubeconfig = await apiServer.kubeconfig('scanner', ['system:masters']);
    const measured: Round[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const before = await listsOf(apiServer);
      const args = [CLOISTER, 'scan', '--kubeconfig', kubeconfig, '--config', config, '--fail-on', 'never', '-o', 'json'];
      const cost = await programCost(process.execPath, args, 0);
      const requests = (await listsOf(apiServer)) - before;
      const limited = await programCost(process.execPath, [`--max-old-space-size=${HEAP_MIB}`, ...args], 0);
      measured.push({ ...cost, requests, limitedMb: limited.peakMb });
    }
    return [
      { label: `size of a pod`, values: [await podKilobytes(apiServer)], unit: 'kB' },
      { label: 'wall clock', values: measured.map(({ wallClockSeconds }) => wallClockSeconds), unit: 's', goal: { most: 15 } },
      { label: 'CPU time', values: measured.map(({ cpuSeconds }) => cpuSeconds), unit: 's' },
      {
        label: `peak memory, heap of ${HEAP_MIB} MiB`,
        values: measured.map(({ limitedMb }) => limitedMb),
        unit: 'MB',
        goal: { most: 256 },
      },
      { label: 'peak memory, heap not limited', values: measured.map(({ peakMb }) => peakMb), unit: 'MB' },
      { label: 'lists of pods', values: measured.map(({ requests }) => requests), unit: '', goal: { most: Math.ceil(count / 100) + 1 } },
    ];
  } finally {
    await apiServer.stop();
  }
}

async function fill(apiServer: ApiServer, count: number, namespaces: number): Promise<void> {
  const names = Array.from({ length: namespaces }, (_, index) => `team-${index}`);
  for (const name of names) await apiServer.createNamespace(name, { 'cloister.dev/audit': 'userns' });
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const namespace = names[index % namespaces];
      const { status, body } = await apiServer.admin.request('POST', `/api/v1/namespaces/${namespace}/pods`, podOf(index));
      if (status !== 201) throw new Error(JSON.stringify(body));
    }
  };
  await Promise.all(Array.from({ length: CREATIONS }, work));
}

function podOf(index: number): object {
  const { metadata, ...pod } = pods.small as { readonly metadata: object };
  return { ...pod, metadata: { ...metadata, name: `workspace-${index}` } };
}

async function podKilobytes({ admin }: ApiServer): Promise<number> {
  const { body } = await admin.request<{ readonly items: readonly object[] }>('GET', '/api/v1/pods?limit=1');
  return JSON.stringify(body.items[0]).length / 1_000;
}

/** How many lists of pods the API server has answered, as it counts them. */
async function listsOf(apiServer: ApiServer): Promise<number> {
  const metrics = await apiServer.metrics();
  const counters = metrics.matchAll(/^apiserver_request_total\{[^}]*resource="pods"[^}]*verb="LIST"[^}]*\} (\S+)$/gm);
  return [...counters].reduce((sum, [, value]) => sum + Number(value), 0);
}
