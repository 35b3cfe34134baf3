import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { ruleById } from '../../src/core/rules/index.ts';
import { kubernetesBinaries } from '../../tools/programs/kubernetes.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { ADMISSION } from '../support/ensure.ts';
import { goldenFiles } from '../support/golden.ts';
import { dockerInDocker, hostPath, type PodManifest, plainPod } from '../support/pod-manifests.ts';
import { printManifests } from '../support/print-manifests.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/**
 * What a namespace that enforces a profile admits while the webhook is up, is down, is not called, or is not there yet. The table of docs/in-tree.md is
 * compared with what an API server answered; `UPDATE_GOLDEN=1` writes it.
 */

interface Stored {
  readonly spec?: { readonly hostUsers?: boolean };
  readonly message?: string;
}

interface Configuration {
  readonly metadata: { readonly name: string };
  readonly webhooks: readonly Readonly<Record<string, unknown>>[];
}

const POLICY = `${ADMISSION}/validatingadmissionpolicies/cloister-profile-userns`;
/** With the longest timeouts: a call that fails would be a state of its own. */
const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles: {userns: {mayChoose: [gvisor]}, gvisor: {}}
timeoutSeconds: {mutate: 10, enforce: 10}
`;
const MERGE = { contentType: 'application/merge-patch+json' };
const CONFIGURATIONS = [
  `${ADMISSION}/mutatingwebhookconfigurations/zz-cloister`,
  `${ADMISSION}/validatingwebhookconfigurations/cloister`,
] as const;

const PODS: Readonly<Record<string, PodManifest>> = {
  'asks for nothing': plainPod(),
  complies: plainPod('complies', { hostUsers: false, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }),
  'is privileged': dockerInDocker(),
  'mounts the socket of the node': hostPath(),
};

let apiServer: ApiServer & { stop(): Promise<void> };
let cloister: Cloister;
let tenant: Client;
/** May write every webhook configuration, as many controllers may. */
let writer: Client;
let whole: readonly Configuration[];

/** What `cloister manifests` prints, as objects. */
let folder: string;
let configFile: string;
async function printed(): Promise<readonly { readonly kind: string; readonly metadata: { readonly name: string } }[]> {
  const { code, stdout, stderr } = await printManifests(['--config', configFile, '--service', 'cloister-system/cloister']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return parseAllDocuments(stdout).map((each) => each.toJS());
}

async function apply(objects: readonly object[]): Promise<void> {
  const input = objects.map((each) => stringify(each, { aliasDuplicateObjects: false })).join('---\n');
  expect(await apiServer.kubectl(['apply', '--server-side', '--filename=-'], { input })).toMatchObject({ code: 0 });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-backstop-'));
  configFile = join(folder, 'config.yaml');
  await writeFile(configFile, CONFIG);
  apiServer = await startApiServer();
  await apiServer.createRuntimeClass('gvisor', { handler: 'runsc' });
  await apiServer.createNamespace('team', { 'cloister.dev/enforce': 'userns' });
  tenant = await apiServer.createTenant('team', 'tenant');
  const rules = [
    { apiGroups: ['admissionregistration.k8s.io'], resources: ['*'], verbs: ['*'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['*'], verbs: ['*'] },
  ];
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await apiServer.admin.request('POST', `${rbac}/clusterroles`, { metadata: { name: 'writer' }, rules });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'writer' };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'writer' }];
  await apiServer.admin.request('POST', `${rbac}/clusterrolebindings`, { metadata: { name: 'writer' }, roleRef, subjects });
  writer = await apiServer.client('writer');
}, 240_000);
afterAll(async () => {
  await cloister?.stop();
  await apiServer?.stop();
  await rm(folder, { recursive: true });
});

const create = (pod: PodManifest): Promise<Answer<Stored>> =>
  tenant.request<Stored>('POST', '/api/v1/namespaces/team/pods?dryRun=All', pod);

const OF_PROFILE = "ValidatingAdmissionPolicy 'cloister-profile-userns'";
const OF_MISSING = "ValidatingAdmissionPolicy 'cloister-missing-policy'";

/** What a cell of the table says. */
function cellOf(pod: PodManifest, { status, body }: Answer<Stored>): string {
  const { message = '' } = body;
  if (status === 201) return body.spec?.hostUsers === false && pod.spec.hostUsers === undefined ? 'repaired' : 'admitted as written';
  if (message.includes(OF_PROFILE)) {
    const rules = [...message.matchAll(/(?:denied request: |\. )([a-z-]+): /g)].flatMap(([, id = '']) => (ruleById.has(id) ? [id] : []));
    return `refused: ${[...new Set(rules)].join(', ')}`;
  }
  if (message.includes(OF_MISSING)) return 'refused: the policy is missing';
  if (message.includes('failed calling webhook')) return 'refused: the call fails';
  return `${status} ${message}`;
}

async function rowNow(): Promise<readonly string[]> {
  return Promise.all(Object.values(PODS).map(async (pod) => cellOf(pod, await create(pod))));
}

const table: string[] = [];

/** Records the row of a state, as soon as the API server has seen the change and answers for each pod as it should. */
async function record(state: string, cells: readonly RegExp[]): Promise<void> {
  const row = await untilRow(state, cells);
  table.push(`| ${[state, ...row].join(' | ')} |`);
}

async function untilRow(state: string, cells: readonly RegExp[]): Promise<readonly string[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(100)) {
    const row = await rowNow();
    if (cells.every((cell, index) => cell.test(row[index] ?? ''))) return row;
    if (Date.now() > deadline) throw new Error(`${state}: ${row.join(' | ')}`);
  }
}

/** Two cores may have more to do than this. */
const PATIENCE_MS = 120_000;

async function restore(): Promise<void> {
  for (const [index, path] of CONFIGURATIONS.entries()) {
    const { webhooks = [] } = whole[index] ?? {};
    const { status } = await apiServer.admin.request('PATCH', path, { webhooks }, MERGE);
    if (status === 404) {
      const metadata = { name: path.slice(path.lastIndexOf('/') + 1) };
      expect((await apiServer.admin.request('POST', path.slice(0, path.lastIndexOf('/')), { metadata, webhooks })).status).toBe(201);
    }
  }
  await untilRow('the entries', WHILE_UP);
}

type Change = (client: Client, path: string) => Promise<Answer<Stored>>;
const withEntries =
  (change: (entry: Configuration['webhooks'][number]) => object): Change =>
  async (client, path) => {
    const { body } = await client.request<Configuration>('GET', path);
    return client.request<Stored>('PATCH', path, { webhooks: body.webhooks.map((entry) => ({ ...entry, ...change(entry) })) }, MERGE);
  };

const CHANGES: Readonly<Record<string, Change>> = {
  'the webhook configurations are deleted': (client, path) => client.request('DELETE', path),
  'their entries are emptied': (client, path) => client.request('PATCH', path, { webhooks: [] }, MERGE),
  'their entries select other namespaces': withEntries(() => ({ namespaceSelector: { matchLabels: { none: 'such' } } })),
};

const BY_POLICY = [
  /^refused: user-namespace, seccomp$/,
  /^admitted as written$/,
  /^refused: (?=.*user-namespace)(?=.*privileged)/,
  /^refused: (?=.*volume-types)/,
];

const WHILE_UP = [/^repaired$/, /^admitted as written$/, /^repaired$/, /^refused: volume-types$/];
const everyCell = (cell: RegExp): readonly RegExp[] => Object.keys(PODS).map(() => cell);

describe('T28, F8: a namespace that enforces a profile', { timeout: 400_000 }, () => {
  const refusedByMissing = everyCell(/^refused: the policy is missing$/);

  test('refuses every pod before `cloister ensure` has run, because the policy of the profile does not exist', async () => {
    // What the chart installs: `ensure` renders the policies of the profiles, and writes the entries.
    const objects = (await printed()).filter(
      ({ kind, metadata: { name } }) =>
        !kind.endsWith('WebhookConfiguration') &&
        (kind !== 'ValidatingAdmissionPolicy' || !/^cloister-(profile-|unknown-profile)/.test(name)),
    );
    await apply(objects);
    await record('`cloister ensure` has not run yet', refusedByMissing);
  });

  test('repairs what can be repaired while everything is up, and refuses for the rest alone', async () => {
    cloister = await startCloister(apiServer, { config: CONFIG, apply: true });
    whole = await Promise.all(CONFIGURATIONS.map(async (path) => (await apiServer.admin.request<Configuration>('GET', path)).body));
    await record('everything is up', WHILE_UP);
  });

  test.each(Object.keys(CHANGES))('stays as it is where an administrator without the verb `manage` tries that %s', async (what) => {
    for (const path of CONFIGURATIONS) {
      const { status, body } = await (CHANGES[what] as Change)(writer, path);
      expect([status, body.message]).toEqual([403, expect.stringContaining('needs the verb "manage" on profiles.cloister.dev')]);
    }
    for (const [index, cell] of (await rowNow()).entries()) expect(cell).toMatch(WHILE_UP[index] ?? '');
  });

  test.each(Object.keys(CHANGES))('is kept by the policy after %s by an administrator with the verb', async (what) => {
    for (const path of CONFIGURATIONS) expect((await (CHANGES[what] as Change)(apiServer.admin, path)).status).toBe(200);
    await record(what, BY_POLICY);
    await restore();
  });

  test('refuses every pod after the policy of its profile was deleted, also while the webhook is up', async () => {
    expect((await apiServer.admin.request('DELETE', POLICY)).status).toBe(200);
    await record('the policy of the profile is deleted', refusedByMissing);
    await apply(
      (await printed()).filter(({ kind, metadata: { name } }) => `${kind} ${name}` === 'ValidatingAdmissionPolicy cloister-profile-userns'),
    );
    await untilRow('the policy', WHILE_UP);
  });

  test('refuses a pod that chooses a profile whose policy was deleted, as an unlabelled namespace does where it opts in, also without entries', async () => {
    const chooses = labelled('profile', 'gvisor');
    const ask = async (namespace: string) => {
      const { status, body } = await apiServer.admin.request<Stored>('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, chooses);
      return [status, body.message ?? ''] as const;
    };
    for (const path of CONFIGURATIONS) await apiServer.admin.request('PATCH', path, { webhooks: [] }, MERGE);
    expect((await apiServer.admin.request('DELETE', POLICY.replace('userns', 'gvisor'))).status).toBe(200);
    for (const namespace of ['team', 'default'])
      await expect.poll(() => ask(namespace), { timeout: PATIENCE_MS }).toEqual([422, expect.stringContaining(OF_MISSING)]);
    await apply(
      (await printed()).filter(({ kind, metadata: { name } }) => `${kind} ${name}` === 'ValidatingAdmissionPolicy cloister-profile-gvisor'),
    );
    await restore();
  });

  test.each(['host-path', 'host-path-and-quotes', 'host-path-and-more', 'grant', 'profile', 'raw-block'])(
    'shows its author only what a person must change, while everything is up: %s',
    async (name) => {
      const { status, body } = await create(DENIED[name] as PodManifest);
      expect(status).toBe(403);
      expect(`${body.message}\n`).toBe(await goldenFiles('denials-by-policy').text(`${name}.txt`, `${body.message}\n`));
    },
  );

  test('is kept by failed calls while every webhook pod is down, and by the policy where failures are ignored', async () => {
    await cloister.kill();
    await record('every webhook pod is down', everyCell(/^refused: the call fails$/));
    for (const path of CONFIGURATIONS) await withEntries(() => ({ failurePolicy: 'Ignore' }))(apiServer.admin, path);
    await record('the same, with `failurePolicy: Ignore`', BY_POLICY);
  });

  test('admits everything as written after the commands of the break-glass page, while the webhook is down and the policy is missing', async () => {
    expect((await apiServer.admin.request('DELETE', POLICY)).status).toBe(200);
    await untilRow('the policy is deleted', refusedByMissing);
    const page = await readFile(join(import.meta.dirname, '../../docs/break-glass.md'), 'utf8');
    const [, part = ''] = page.split('To stop enforcing in the whole cluster');
    const commands = [...part.matchAll(/```sh\n(.*?)```/gs)].slice(0, 2).map(([, text = '']) => text);
    expect(commands.map((each) => each.split('\n')[0])).toEqual([
      expect.stringContaining('kubectl annotate validatingwebhookconfiguration/cloister mutatingwebhookconfiguration/zz-cloister '),
      expect.stringContaining('kubectl annotate validatingadmissionpolicybinding --selector app.kubernetes.io/component=backstop '),
    ]);
    const env = {
      HOME: folder,
      KUBECONFIG: apiServer.admin.kubeconfig,
      PATH: `${await kubernetesBinaries()}${delimiter}${process.env.PATH}`,
    };
    await promisify(execFile)('sh', ['-ec', commands.join('')], { env });
    await record(
      'every webhook pod is down, and the commands of [break-glass](break-glass.md) were run',
      everyCell(/^admitted as written$/),
    );
  });

  test('admits everything as written once neither the entries nor the policies are there', async () => {
    for (const path of CONFIGURATIONS) await apiServer.admin.request('PATCH', path, { webhooks: [] }, MERGE);
    const selected = ['delete', 'validatingadmissionpolicybinding', '--selector=app.kubernetes.io/component=backstop'];
    expect(await apiServer.kubectl(selected)).toMatchObject({ code: 0 });
    await record('`backstop: false`, and the entries are emptied', everyCell(/^admitted as written$/));
  });

  test('the table on the page is what the API server answered', async () => {
    const page = join(import.meta.dirname, '../../docs/in-tree.md');
    const text = await readFile(page, 'utf8');
    const head = [['', ...Object.keys(PODS).map((each) => `a pod that ${each}`)], ['', ...Object.keys(PODS)].map(() => '---')];
    const lines = [...head.map((cells) => `| ${cells.join(' | ')} |`), ...table].join('\n');
    const written = text.replace(TABLE, () => `${lines}\n`);
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(page, written);
    else expect(text).toBe(written);
    expect(text).toMatch(TABLE);
  });
});

const TABLE = /(?<=<!-- table: written by test\/api-server\/backstop-outage\.test\.ts -->\n)[\s\S]*?(?=\n<!-- end of table -->)/;

const labelled = (key: string, value: string): PodManifest => ({
  ...plainPod(),
  metadata: { name: 'plain', labels: { [`cloister.dev/${key}`]: value } },
});

const DENIED: Readonly<Record<string, PodManifest>> = {
  'host-path': hostPath(),
  // No example of an exemption may have what its author wrote.
  'host-path-and-quotes': plainPod('quotes', { volumes: [{ name: 'node', hostPath: { path: '/x"], privileged: ["true' } }] }),
  'host-path-and-more': {
    ...dockerInDocker(),
    spec: { ...dockerInDocker().spec, hostNetwork: true, volumes: [{ name: 'docker-graph', hostPath: { path: '/var/lib/docker' } }] },
  },
  grant: labelled('grant', 'containers'),
  profile: labelled('profile', 'sysbox'),
  'raw-block': plainPod('raw-block', {
    containers: [{ name: 'workspace', image: 'registry.example/workspace:1', volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }] }],
    volumes: [{ name: 'disk', persistentVolumeClaim: { claimName: 'disk' } }],
  }),
};
