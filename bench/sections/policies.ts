import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../src/config/load.ts';
import { backstop } from '../../src/in-tree/backstop.ts';
import { repairPolicies } from '../../src/in-tree/repair.ts';
import { entriesOf } from '../../src/manifests/entries.ts';
import { type ApiServer, startApiServer } from '../../test/support/api-server.ts';
import { type Cloister, startCloister } from '../../test/support/webhook.ts';
import type { Figure } from '../report/figures.ts';
import { pod } from '../reviews/pods.ts';
import type { Environment, Section } from './section.ts';

/** What the policies inside the API server cost, against the webhook. */
export const policies: Section = {
  name: 'policies',
  title: 'Policies inside the API server',
  introduction: () =>
    `The [policies](in-tree.md) repair and judge new pods inside the API server; the webhook does the same in its own process. Each round creates the same pods, in a dry run, in
a namespace that only the policies reach, in one that only the webhook reaches, and in one without either. Each pod needs repairs. Times are those
that the API server measures for the policies, and for a call of the webhook until its answer, as means. Processor time is that of the process for one pod; for the API server it is what the
namespace without either does not need. Memory is what the resident memory of the API server grows by, with what it did not collect yet: when the policies of one profile, which repair and
judge, are created and have judged ${WARM_UP} pods.`,
  measure,
};

const AMOUNTS = { quick: { rounds: 1, pods: 5 }, usual: { rounds: 5, pods: 40 }, full: { rounds: 15, pods: 200 } } as const;
const SIZES = [1, 3, 10] as const;
/** The most that judging may take, as a multiple of a call of the webhook in the same round. */
const MOST_TO_JUDGE = { 1: 1, 3: 1.5, 10: 2 } as const satisfies Record<(typeof SIZES)[number], number>;
/** Pods before memory is read. */
const WARM_UP = 50;
const CONFIG = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}}\n';
const PLACES = ['neither', 'webhook', 'userns'] as const;
type Place = (typeof PLACES)[number];

/** Seconds for one pod. A policy that runs again after its own change counts twice, as it does for the author of the pod. */
interface Spent {
  /** Processor time of the API server. */
  readonly cpu: number;
  readonly repair: number;
  readonly judge: number;
}

interface Round {
  readonly policies: Spent;
  readonly webhook: Spent;
  readonly neither: Spent;
  /** Processor time of Cloister. */
  readonly cloister: number;
}

async function measure({ extent }: Environment): Promise<Figure[]> {
  const { rounds, pods: count } = AMOUNTS[extent];
  const apiServer = await startApiServer();
  const cloister = await startCloister(apiServer, { config: CONFIG, apply: false });
  try {
    const grownMb = await prepare(apiServer, cloister);
    const figures: Figure[] = [{ label: 'memory of the API server, policies of one profile', values: [grownMb], unit: 'MB' }];
    for (const size of SIZES) {
      const measured: Round[] = [];
      // The first round warms up.
      for (let round = 0; round <= rounds; round += 1) measured.push(await measureRound(apiServer, cloister, { size, count }));
      figures.push(...figuresOf(size, measured.slice(1)));
    }
    return figures;
  } finally {
    await cloister.stop();
    await apiServer.stop();
  }
}

function figuresOf(size: (typeof SIZES)[number], rounds: readonly Round[]): readonly Figure[] {
  const label = `${size} ${size === 1 ? 'container' : 'containers'}`;
  const ms = (what: string, of: (round: Round) => number): Figure => ({
    label: `${label}: ${what}`,
    values: rounds.map((round) => of(round) * 1_000),
    unit: 'ms',
  });
  const ratio = (what: string, of: (round: Round) => number): Figure => ({ label: `${label}: ${what}`, values: rounds.map(of), unit: 'x' });
  return [
    {
      ...ratio('time to judge, policy to webhook', ({ policies: inTree, webhook }) => inTree.judge / webhook.judge),
      goal: { most: MOST_TO_JUDGE[size] },
    },
    ratio('time to repair, policy to webhook', ({ policies: inTree, webhook }) => inTree.repair / webhook.repair),
    ms('processor time of the API server, policies', ({ policies: inTree, neither }) => inTree.cpu - neither.cpu),
    ms('processor time of the API server, webhook', ({ webhook, neither }) => webhook.cpu - neither.cpu),
    ms('processor time of Cloister, webhook', ({ cloister }) => cloister),
  ];
}

/** @returns the growth of the API server's resident memory, in MB */
async function prepare(apiServer: ApiServer, { url }: Cloister): Promise<number> {
  const config = parseConfig(CONFIG, 'policies');
  if (!config.ok) throw new Error(config.error.join());
  const target = { url, ca: await readFile(apiServer.caFile, 'utf8') };
  await apiServer.createNamespace('neither');
  await apiServer.createNamespace('webhook');
  await apiServer.createNamespace('userns', { 'cloister.dev/enforce': 'userns' });
  const matchExpressions = [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['webhook'] }];
  const configurations = entriesOf(config.value, target).map((each) => ({
    ...each,
    webhooks: each.webhooks.filter(({ name }) => name === ENTRY).map((entry) => ({ ...entry, namespaceSelector: { matchExpressions } })),
  }));
  await apply(apiServer, configurations);
  await warmUp(apiServer, 'webhook');
  const before = residentIn(await apiServer.metrics());
  await apply(apiServer, [...repairPolicies(config.value, target, new Date()), ...backstop(config.value, target)]);
  await warmUp(apiServer, 'userns');
  return (residentIn(await apiServer.metrics()) - before) / 1e6;
}

async function apply({ kubectl }: ApiServer, objects: readonly object[]): Promise<void> {
  const input = objects.map((each) => JSON.stringify(each)).join('\n---\n');
  const { code, stderr } = await kubectl(['apply', '--server-side', '-f', '-'], { input });
  if (code !== 0) throw new Error(stderr);
}

async function warmUp(apiServer: ApiServer, place: Place): Promise<void> {
  while ((await create(apiServer, place, 1)).spec?.hostUsers !== false) await sleep(100);
  for (let n = 0; n < WARM_UP; n += 1) await create(apiServer, place, 1);
}

const ENTRY = 'userns.namespace.enforce.cloister.dev';

interface Created {
  readonly spec?: { readonly hostUsers?: boolean };
}

async function create({ admin }: ApiServer, place: Place, size: number): Promise<Created> {
  return (await admin.request<Created>('POST', `/api/v1/namespaces/${place}/pods?dryRun=All`, pod('workspace', size, 4))).body;
}

async function measureRound(apiServer: ApiServer, cloister: Cloister, { size, count }: { size: number; count: number }): Promise<Round> {
  const cloisterBefore = cpuIn(await cloister.metrics());
  const spent = new Map<Place, Spent>();
  for (const place of PLACES) {
    const before = await apiServer.metrics();
    for (let n = 0; n < count; n += 1) await create(apiServer, place, size);
    const after = await apiServer.metrics();
    const sum = (metric: string, labels: readonly string[]): number =>
      (sumIn(after, `${metric}_duration_seconds`, labels) - sumIn(before, `${metric}_duration_seconds`, labels)) / count;
    const plugin = (name: string) => sum('apiserver_admission_controller_admission', [`name="${name}"`]);
    const webhook = (type: string) => sum('apiserver_admission_webhook_admission', [`name="${ENTRY}"`, `type="${type}"`]);
    spent.set(place, {
      cpu: (cpuIn(after) - cpuIn(before)) / count,
      repair: place === 'webhook' ? webhook('admit') : plugin('MutatingAdmissionPolicy'),
      judge: place === 'webhook' ? webhook('validating') : plugin('ValidatingAdmissionPolicy'),
    });
  }
  const of = (place: Place): Spent => spent.get(place) as Spent;
  return {
    policies: of('userns'),
    webhook: of('webhook'),
    neither: of('neither'),
    cloister: (cpuIn(await cloister.metrics()) - cloisterBefore) / count,
  };
}

/** Bytes of the process that has the metrics. */
const residentIn = (metrics: string): number => Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);

/** Seconds of processor time of the process that has the metrics. */
const cpuIn = (metrics: string): number => Number(/^\w*process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1]);

/** The sum of a histogram over all its series with the labels. */
function sumIn(metrics: string, metric: string, labels: readonly string[]): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${metric}_sum{`) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
