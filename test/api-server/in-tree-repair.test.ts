import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Config, parseConfig } from '../../src/config/load.ts';
import { escapesOf, judge } from '../../src/core/judge.ts';
import { selectPolicy } from '../../src/core/policy.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { repairPolicies } from '../../src/in-tree/repair.ts';
import { entriesOf } from '../../src/manifests/entries.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer } from '../support/client.ts';
import { createRuntimeClasses } from '../support/cluster-setup.ts';
import { copyOf, type Doc, hostilePod, paintAll, stroke } from '../support/hostile-pods.ts';
import { dockerInDocker, hostNamespaces, limited, plainPod, sidecars } from '../support/pod-manifests.ts';
import { SEED } from '../support/seed.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/**
 * The policies that repair pods inside the API server, against the mutating webhook, on one API server. Each generated pod is created in a namespace
 * that only the policy reaches, and in one that only the webhook reaches. Both must store the same pod.
 */

const PROFILES = {
  none: { grant: 'none' },
  sudo: { grant: 'sudo' },
  containers: { grant: 'containers' },
  // Every option that changes what is repaired.
  options: {
    grant: 'containers',
    grantTo: ['dev', 'workspace', 'lasting-*'],
    storage: ['/var/lib/containers', '/var/lib/docker'],
    appArmorProfile: 'cloister-workspace',
    seLinuxType: 'container_engine_t',
    serviceAccountToken: 'remove',
    runtimeClassName: 'foreign',
    deniedTolerations: ['example.com/pool=infra'],
    maxTerminationGracePeriodSeconds: 60,
    antiAffinity: 'all-namespaces',
  },
  sysadmin: { grant: 'containers', nesting: 'sysadmin', appArmorProfile: 'Unconfined', seLinuxType: 'container_engine_t' },
} as const;
type Id = keyof typeof PROFILES;
const IDS = Object.keys(PROFILES) as Id[];

/** How many pods must be stored. CLOISTER_PARITY_PODS sets another number for each profile. */
const PODS: Readonly<Record<Id, number>> = { none: 200, sudo: 800, containers: 800, options: 400, sysadmin: 200 };
const podsOf = (id: Id): number => Number(process.env.CLOISTER_PARITY_PODS ?? PODS[id]);

const CONFIG = JSON.stringify({
  apiVersion: 'cloister.dev/v1alpha1',
  kind: 'Config',
  timeoutSeconds: { mutate: 10 },
  profiles: Object.fromEntries(IDS.map((id) => [id, { extends: 'userns', ...PROFILES[id] }])),
  exemptions: [
    {
      reason: 'test',
      expires: '2100-01-01',
      namespaces: ['*-options'],
      serviceAccounts: ['default'],
      containers: ['workspace', 'sidecar'],
      allow: { capabilities: ['NET_ADMIN'], seccomp: ['open.json'], apparmor: ['open'] },
    },
    {
      reason: 'test',
      expires: '2100-01-01',
      namespaces: ['*-options'],
      serviceAccounts: ['*'],
      allow: { capabilities: ['SYS_PTRACE'], seccomp: ['Unconfined'], 'runtime-annotations': ['nri.io', 'bundle'] },
    },
    { reason: 'over', expires: '2020-01-01', namespaces: ['*'], serviceAccounts: ['*'], allow: { capabilities: ['BPF', 'SYS_ADMIN'] } },
  ],
});

interface Stored {
  readonly metadata: Doc;
  readonly spec: Doc;
  readonly message?: string;
}

let apiServer: ApiServer & { stop(): Promise<void> };
let cloister: Cloister;
let config: Config;

beforeAll(async () => {
  const parsed = parseConfig(CONFIG, 'config');
  if (!parsed.ok) throw new Error(parsed.error.join());
  config = parsed.value;
  apiServer = await startApiServer();
  await createRuntimeClasses(apiServer);
  cloister = await startCloister(apiServer, { config: CONFIG, apply: false });
  const target = { url: cloister.url, ca: await readFile(apiServer.caFile, 'utf8') };
  const [mutating] = entriesOf(config, target);
  const entries = IDS.map((id) => {
    const entry = mutating.webhooks.find(({ name }) => name.startsWith(`${id}.namespace.`));
    const matchExpressions = [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [`webhook-${id}`] }];
    return { ...entry, namespaceSelector: { matchExpressions } };
  });
  for (const id of IDS) {
    await apiServer.createNamespace(`webhook-${id}`);
    await apiServer.createNamespace(`policy-${id}`, { 'cloister.dev/enforce': id });
  }
  const objects = [{ ...mutating, webhooks: entries }, ...repairPolicies(config, target, new Date())];
  const input = objects.map((each) => JSON.stringify(each)).join('\n---\n');
  expect(await apiServer.kubectl(['apply', '--server-side', '-f', '-'], { input })).toMatchObject({ code: 0, stderr: '' });
  for (const id of IDS) {
    // The hook's own timeout ends it.
    while (!(await both(id, plain())).every(({ body }) => body.spec?.hostUsers === false)) await sleep(100);
  }
}, 300_000);
afterAll(async () => {
  await cloister?.stop();
  await apiServer?.stop();
});

const plain = (): Doc => copyOf(plainPod() as unknown as Doc);

/** The answers to a creation in the namespace of the webhook, and in that of the policy. */
function both(id: Id, pod: Doc): Promise<readonly [Answer<Stored>, Answer<Stored>]> {
  const create = async (namespace: string): Promise<Answer<Stored>> => {
    const body = { ...pod, metadata: { ...(pod.metadata as Doc), namespace } };
    for (;;) {
      const answer = await apiServer.admin.request<Stored>('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, body);
      // On a busy machine, a call of the webhook may take longer than the API server waits.
      if (!answer.body.message?.includes('failed calling webhook')) return answer;
    }
  };
  return Promise.all([create(`webhook-${id}`), create(`policy-${id}`)]);
}

const MANIFESTS = [plainPod(), dockerInDocker(), hostNamespaces(), limited(), sidecars()] as unknown as readonly Doc[];
const near = fc.tuple(fc.constantFrom(...MANIFESTS), fc.array(stroke, { maxLength: 5 })).map(([pod, strokes]) => paintAll(pod, strokes));
const pods = fc.oneof({ arbitrary: near, weight: 2 }, { arbitrary: hostilePod, weight: 1 });

/** Whether every escape of the pod has a fix. The API server refuses the others, and pods that Cloister cannot read. */
function isRepairable(id: Id, pod: Doc): boolean {
  const profile = config.profiles.get(id);
  if (profile === undefined) throw new Error(id);
  const subject = subjectOf(pod, '', 'Pod');
  if (!subject.ok) return false;
  const policy = selectPolicy(profile, subject.value.pod, { profiles: config.profiles, obeysProfileLabel: true });
  const { exemptions } = config;
  const { findings } = judge({ subject: subject.value, policy, namespace: `policy-${id}`, exemptions, now: new Date() });
  return escapesOf(findings).every(({ fix }) => fix !== undefined);
}

test.each(IDS)('the policy of the profile %s stores what the webhook stores, field for field', { timeout: 1_800_000 }, async (id) => {
  const different: object[] = [];
  let stored = 0;
  for (let round = 0; stored < podsOf(id); round += 1) {
    const batch = fc.sample(pods, { numRuns: 20, seed: SEED + round }).filter((pod) => isRepairable(id, pod));
    const answers = await Promise.all(batch.map(async (pod) => [pod, await both(id, pod)] as const));
    for (const [pod, [webhook, policy]] of answers) {
      if (webhook.status === 201) stored += 1;
      const [expected, found] = [viewOf(webhook), viewOf(policy)];
      if (JSON.stringify(expected) !== JSON.stringify(found)) different.push({ pod, webhook: expected, policy: found });
    }
  }
  process.stdout.write(`${id}: ${stored} pods stored, ${different.length} differ (seed ${SEED})\n`);
  expect(different.slice(0, 3)).toEqual([]);
});

/** What is stored of the pod, or only that it is refused. Names that the API server generates are left out. */
function viewOf({ status, body: { metadata, spec } }: Answer<Stored>): unknown {
  if (status !== 201) return status;
  const text = JSON.stringify(sorted({ labels: metadata.labels, annotations: metadata.annotations, spec }));
  return JSON.parse(text.replaceAll(/kube-api-access-[a-z0-9]{5}\b/g, 'kube-api-access-*'));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
