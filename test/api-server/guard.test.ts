import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { guard } from '../../src/manifests/guard.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { ADMISSION } from '../support/ensure.ts';
import { printManifests } from '../support/print-manifests.ts';

/** The guard of the webhook configurations, on an API server of its own, because the configurations have fixed names. */

interface Configuration {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>>; readonly [field: string]: unknown };
  readonly webhooks: readonly Readonly<Record<string, unknown>>[];
  readonly message?: string;
}

const MERGE = { contentType: 'application/merge-patch+json' };
const COLLECTIONS = { mutating: `${ADMISSION}/mutatingwebhookconfigurations`, validating: `${ADMISSION}/validatingwebhookconfigurations` };
const OURS = [
  { name: 'zz-cloister', path: `${COLLECTIONS.mutating}/zz-cloister` },
  { name: 'cloister', path: `${COLLECTIONS.validating}/cloister` },
] as const;
/** Configurations of the same kinds that Cloister does not own. */
const OTHERS = [`${COLLECTIONS.mutating}/cloister`, `${COLLECTIONS.validating}/zz-cloister`] as const;
const BINDING = `${ADMISSION}/validatingadmissionpolicybindings/cloister-guard`;

const INJECTED = { metadata: { annotations: { 'cert-manager.io/inject-ca-from': 'cloister/cloister-tls' } } };
const BUNDLE = Buffer.from(`-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n`).toString('base64');

let apiServer: ApiServer & { stop(): Promise<void> };
let printed: string;
/** May write every webhook configuration, as many controllers may. */
let writer: Client;
/** The same, with the verb `manage`. */
let manager: Client;

beforeAll(async () => {
  apiServer = await startApiServer();
  printed = (await printManifests(['--service', 'cloister/cloister'])).stdout;
  await restore();
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const rules = [
    { apiGroups: ['admissionregistration.k8s.io'], resources: ['*'], verbs: ['*'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['*'], verbs: ['*'] },
  ];
  expect((await apiServer.admin.request('POST', `${rbac}/clusterroles`, { metadata: { name: 'writer' }, rules })).status).toBe(201);
  for (const [user, role] of [
    ['writer', 'writer'],
    ['manager', 'writer'],
    ['manager', 'cloister-manager'],
  ] as const) {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role };
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }];
    const { status } = await apiServer.admin.request('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: `${user}-${role}` },
      roleRef,
      subjects,
    });
    expect(status).toBe(201);
  }
  writer = await apiServer.client('writer');
  manager = await apiServer.client('manager');
});
afterAll(() => apiServer?.stop());

/** Everything that `cloister manifests` prints, as if it was applied for the first time, with the guard in force. */
async function restore(): Promise<void> {
  for (const path of [...OURS.map((each) => each.path), ...OTHERS]) await apiServer.admin.request('DELETE', path);
  expect((await apiServer.kubectl(['apply', '-f', '-'], { input: printed })).stderr).toBe('');
  for (const path of OTHERS) await create(path);
}
const get = async (path: string): Promise<Configuration> => (await apiServer.admin.request<Configuration>('GET', path)).body;

/** With the entries of Cloister's own configuration of the kind. */
async function create(path: string): Promise<void> {
  const slash = path.lastIndexOf('/');
  const collection = path.slice(0, slash);
  const { webhooks } = await get(OURS.find((each) => each.path.startsWith(collection))?.path ?? '');
  const { status } = await apiServer.admin.request('POST', collection, { metadata: { name: path.slice(slash + 1) }, webhooks });
  expect(status).toBe(201);
}

type Attempt = (client: Client, path: string) => Promise<Answer<Configuration>>;
const patch =
  (body: (before: Configuration) => object): Attempt =>
  async (client, path) =>
    client.request<Configuration>('PATCH', path, body(await get(path)), MERGE);
const withEntry = (change: (entry: Configuration['webhooks'][number]) => object): Attempt =>
  patch(({ webhooks }) => ({ webhooks: webhooks.map((entry, index) => (index === 0 ? { ...entry, ...change(entry) } : entry)) }));

/** Every way to end, narrow or redirect what is enforced. */
const ATTEMPTS: Readonly<Record<string, Attempt>> = {
  'is deleted': (client, path) => client.request('DELETE', path),
  'is deleted with its collection': (client, path) => client.request('DELETE', path.slice(0, path.lastIndexOf('/'))),
  'is emptied': patch(() => ({ webhooks: [] })),
  'is emptied by a JSON patch': (client, path) =>
    client.request('PATCH', path, [{ op: 'remove', path: '/webhooks' }], { contentType: 'application/json-patch+json' }),
  'is replaced by one without entries': async (client, path) => {
    const { webhooks: _, ...rest } = await get(path);
    return client.request('PUT', path, rest);
  },
  'loses an entry': patch(({ webhooks }) => ({ webhooks: webhooks.slice(1) })),
  'selects other namespaces': withEntry(() => ({ namespaceSelector: { matchLabels: { none: 'such' } } })),
  'selects other pods': withEntry(() => ({ objectSelector: { matchLabels: { none: 'such' } } })),
  'gets a match condition': withEntry(() => ({ matchConditions: [{ name: 'never', expression: 'false' }] })),
  'matches other resources': withEntry(({ rules }) => ({
    rules: (rules as readonly object[])
      .slice(1)
      .concat({ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] }),
  })),
  'ignores failures': withEntry(() => ({ failurePolicy: 'Ignore', timeoutSeconds: 1 })),
  'calls another server': withEntry(() => ({ clientConfig: { url: 'https://attacker.example.com' } })),
  'trusts another authority': withEntry(({ clientConfig }) => ({ clientConfig: { ...(clientConfig as object), caBundle: BUNDLE } })),
  'is taken from `cloister ensure`': patch(() => ({ metadata: { annotations: { 'cloister.dev/hands-off': 'true' } } })),
  'is given to an injector': patch(() => INJECTED),
  'gets an owner that does not exist': patch(() => ({
    metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Namespace', name: 'gone', uid: '8f9f3e0c-0000-0000-0000-000000000000' }] },
  })),
};

const cases = OURS.flatMap((each) => Object.entries(ATTEMPTS).map(([what, attempt]) => ({ ...each, what, attempt })));

describe('with the guard', () => {
  beforeEach(async () => {
    await restore();
    await until('the guard', async () => (await refuses(writer)) && !(await refuses(manager)));
  });

  test.each(cases)('T28: $name $what only by a user with the verb `manage`', async ({ name, path, attempt }) => {
    const before = await get(path);
    const { status, body } = await attempt(writer, path);
    expect(body.message).toContain(`ValidatingAdmissionPolicy 'cloister-guard' with binding 'cloister-guard' denied request: ${name}: `);
    expect(body.message).toContain('needs the verb "manage" on profiles.cloister.dev');
    expect(status).toBe(403);
    expect(await get(path)).toEqual(before);
    expect((await attempt(manager, path)).status).toBe(200);
    expect(await get(path)).not.toEqual(before);
  });

  test.each(OURS)('labels and other annotations of $name stay free, as Helm writes them', async ({ path }) => {
    const metadata = { labels: { 'helm.sh/chart': 'cloister-0.2.0' }, annotations: { 'meta.helm.sh/release-name': 'cloister' } };
    expect((await patch(() => ({ metadata }))(writer, path)).status).toBe(200);
    expect((await patch(() => ({ metadata: { annotations: { 'meta.helm.sh/release-name': null } } }))(writer, path)).status).toBe(200);
  });

  test.each(OURS)('an injector of a caBundle may write it to $name, and nothing else, where the annotation names it', async ({ path }) => {
    expect((await patch(() => INJECTED)(manager, path)).status).toBe(200);
    const inject = patch(({ webhooks }) => ({
      webhooks: webhooks.map((entry) => ({ ...entry, clientConfig: { ...(entry.clientConfig as object), caBundle: BUNDLE } })),
    }));
    expect((await inject(writer, path)).status).toBe(200);
    const { webhooks } = await get(path);
    expect(webhooks.map(({ clientConfig }) => (clientConfig as { caBundle: string }).caBundle)).toEqual(webhooks.map(() => BUNDLE));
    for (const [what, attempt] of Object.entries(ATTEMPTS)) {
      if (/^(trusts|is given)/.test(what)) continue;
      expect((await attempt(writer, path)).status, what).toBe(403);
    }
    const released = patch(() => ({ metadata: { annotations: { 'cert-manager.io/inject-ca-from': null } } }));
    expect((await released(writer, path)).status).toBe(403);
  });

  test.each(OTHERS)('%s is not of Cloister, and stays free', async (path) => {
    expect((await ATTEMPTS['is emptied']?.(writer, path))?.status).toBe(200);
    expect((await writer.request('DELETE', path)).status).toBe(200);
    await create(path);
  });
});

test('the commands of break-glass work for a user without the verb once the binding of the guard is deleted, which no policy refuses', async () => {
  await restore();
  await until('the guard', () => refuses(writer));
  const page = await readFile(join(import.meta.dirname, '../../docs/break-glass.md'), 'utf8');
  const command = (start: string): readonly string[] => {
    const line = page.split('\n').find((each) => each.startsWith(start)) ?? '';
    return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '').slice(1);
  };
  const run = (args: readonly string[]) => apiServer.kubectl(args, { as: writer.kubeconfig });
  const stop = [
    command('kubectl annotate validatingwebhookconfiguration/cloister'),
    command('kubectl patch validatingwebhookconfiguration/cloister'),
  ];
  for (const args of stop) expect((await run(args)).stderr).toContain('needs the verb "manage"');
  expect(await run(command('kubectl delete validatingadmissionpolicybinding cloister-guard'))).toMatchObject({ code: 0 });
  await until('the end of the guard', async () => !(await refuses(writer)));
  for (const args of stop) expect(await run(args)).toMatchObject({ code: 0, stderr: '' });
  for (const { path } of OURS) {
    const { metadata, webhooks = [] } = await get(path);
    expect([metadata.annotations?.['cloister.dev/hands-off'], webhooks]).toEqual(['true', []]);
  }
  expect((await apiServer.admin.request('GET', BINDING)).status).toBe(404);
});

test('T28: the guard selects no object by a label or a namespace, and fails closed', () => {
  const [{ spec }] = guard();
  expect(spec).toMatchObject({ failurePolicy: 'Fail' });
  expect(Object.keys((spec as { matchConstraints: object }).matchConstraints)).toEqual(['matchPolicy', 'resourceRules']);
});

/** Whether the guard is in force, by a dry run. */
async function refuses(client: Client): Promise<boolean> {
  return (await client.request('PATCH', `${OURS[0].path}?dryRun=All`, { webhooks: [] }, MERGE)).status === 403;
}

/** Two cores may have more to do than this. */
const PATIENCE_MS = 60_000;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`${what} did not come`);
  }
}
