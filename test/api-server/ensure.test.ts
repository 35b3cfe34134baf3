import { execFile, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DeletingCluster } from '../../src/cluster/client.ts';
import type { Entry } from '../../src/manifests/entries.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import {
  ADMISSION,
  createService,
  NAMESPACE,
  OBJECTS,
  type Ran,
  type RunOptions,
  runEnsure,
  SECRETS,
  SERVICE,
  type Secret,
  type ServingPod,
  startServingPod,
  temporaryFolder,
  versionsOf,
} from '../support/ensure.ts';
import { hostPath, plainPod } from '../support/pod-manifests.ts';
import { cloister, type Ran as Printed } from '../support/run.ts';

/** `cloister ensure` against its own API server, because its objects have fixed names. The API server and openssl check what it wrote. */

const CONFIG = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\n';
const DAY = 24 * 60 * 60 * 1_000;
const MUTATING = `${ADMISSION}/mutatingwebhookconfigurations/zz-cloister`;
const VALIDATING = `${ADMISSION}/validatingwebhookconfigurations/cloister`;
const MERGE = { contentType: 'application/merge-patch+json' };

interface Configuration {
  readonly metadata: { readonly resourceVersion: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly webhooks?: readonly Entry[];
}

let apiServer: ApiServer & { stop(): Promise<void> };
let pod: ServingPod;
let folder: string;
let configFile: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  configFile = join(folder, 'config.yaml');
  await writeFile(configFile, CONFIG);
  apiServer = await startApiServer();
  await createService(apiServer);
  pod = await startServingPod(apiServer, CONFIG);
});
afterAll(async () => {
  await pod?.cloister.stop();
  await apiServer?.stop();
  await rm(folder, { recursive: true, force: true });
});

const get = async <Body>(path: string): Promise<Body> => (await apiServer.admin.request<Body>('GET', path)).body;
const patch = (path: string, body: object) => apiServer.admin.request('PATCH', path, body, MERGE);
const secret = (name: string): Promise<Secret> => get<Secret>(`${SECRETS}/${name}`);
const textIn = ({ data }: Secret, name: string): string => Buffer.from(data[name] ?? '', 'base64').toString();
const certificatesIn = (text: string): X509Certificate[] =>
  (text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map((each) => new X509Certificate(each));
const leafNow = async (): Promise<X509Certificate> => new X509Certificate(textIn(await secret('cloister-tls'), 'tls.crt'));
const authorityNow = async (): Promise<X509Certificate> => new X509Certificate(textIn(await secret('cloister-ca'), 'tls.crt'));

function ensure(options: Partial<RunOptions> = {}): Promise<Ran> {
  return runEnsure(apiServer.admin.kubeconfig, {
    config: CONFIG,
    port: pod.endpoint.port,
    pods: [pod.endpoint],
    waitMs: 60_000,
    onPause: () => pod.sync(),
    ...options,
  });
}

/** The service account of `cloister ensure` with the roles that are printed: its kubeconfig. */
async function ensureAccount(): Promise<string> {
  const roles = await cloister(['manifests', '--rbac', '--service', `${NAMESPACE}/${SERVICE}`]);
  const applied = await apiServer.kubectl(['apply', '--server-side', '--filename=-'], { input: roles.stdout });
  expect(applied).toMatchObject({ code: 0 });
  return (await apiServer.serviceAccount(NAMESPACE, 'cloister-ensure')).kubeconfig;
}

async function removeAll(): Promise<void> {
  for (const path of OBJECTS) await apiServer.admin.request('DELETE', path);
}

/** The serials that an entry trusts. */
const trustedBy = ({ clientConfig }: Entry): string[] =>
  certificatesIn(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString()).map(({ serialNumber }) => serialNumber);

async function allEntries(): Promise<readonly Entry[]> {
  const [mutating, validating] = [await get<Configuration>(MUTATING), await get<Configuration>(VALIDATING)];
  return [...(mutating.webhooks ?? []), ...(validating.webhooks ?? [])];
}

/** Every entry there, each trusting the one authority, which signed the serving certificate; nothing left to do. */
async function expectWhole(): Promise<void> {
  const [authority, leaf, entries] = [await authorityNow(), await leafNow(), await allEntries()];
  expect(leaf.verify(authority.publicKey)).toBe(true);
  expect(entries).toHaveLength(13);
  for (const entry of entries) expect(trustedBy(entry)).toEqual([authority.serialNumber]);
  const before = await versionsOf(apiServer);
  expect(Object.values(before)).not.toContain(undefined);
  expect(await ensure()).toMatchObject({ writes: 0, plan: { steps: [], waiting: [], handsOff: [], previousAuthorities: [] } });
  expect(await versionsOf(apiServer)).toEqual(before);
}

/** `cloister ensure` as a user types it, while a kubelet brings the Secret to the serving pod. */
async function command(args: readonly string[], kubeconfig = apiServer.admin.kubeconfig): Promise<Printed> {
  const kubelet = setInterval(() => pod.sync().catch(() => {}), 100);
  try {
    return await cloister(flags(args, kubeconfig));
  } finally {
    clearInterval(kubelet);
  }
}

function flags(args: readonly string[], kubeconfig: string): readonly string[] {
  const place = ['--service', `${NAMESPACE}/${SERVICE}:${pod.endpoint.port}`, '--serving-endpoints', pod.address];
  return ['ensure', '--kubeconfig', kubeconfig, '--config', configFile, '--settle', '0s', '--overlap', '0s', ...place, ...args];
}

const linesOf = ({ stdout }: Printed) =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { readonly msg: string; readonly object?: string });

describe('ensure in an empty cluster', () => {
  let printed: Printed;
  beforeAll(async () => {
    printed = await command([], await ensureAccount());
  });

  test('ensure creates everything with the printed roles of its own service account, and prints a line for each step', async () => {
    expect(printed).toMatchObject({ code: 0, stderr: '' });
    const lines = linesOf(printed);
    expect(lines.filter(({ msg }) => msg === 'created').map(({ object }) => object)).toEqual([
      'ValidatingAdmissionPolicy cloister-namespace-labels',
      'ValidatingAdmissionPolicyBinding cloister-namespace-labels',
      'ValidatingAdmissionPolicy cloister-namespace-advice',
      'ValidatingAdmissionPolicyBinding cloister-namespace-advice',
      'ValidatingAdmissionPolicy cloister-pods',
      'ValidatingAdmissionPolicyBinding cloister-pods',
      'ValidatingAdmissionPolicy cloister-guard',
      'ValidatingAdmissionPolicyBinding cloister-guard',
      'ValidatingAdmissionPolicy cloister-missing-policy',
      // A policy is owned by its first binding.
      'ValidatingAdmissionPolicyBinding cloister-profile-userns-namespace',
      'ValidatingAdmissionPolicy cloister-profile-userns',
      'ValidatingAdmissionPolicyBinding cloister-profile-userns-unlabelled',
      'ValidatingAdmissionPolicyBinding cloister-unknown-profile-namespace',
      'ValidatingAdmissionPolicy cloister-unknown-profile',
      'ValidatingAdmissionPolicyBinding cloister-unknown-profile-pod',
      'ValidatingAdmissionPolicyBinding cloister-missing-policy-userns-namespace',
      'ValidatingAdmissionPolicyBinding cloister-missing-policy-userns-opted-in',
      'ValidatingAdmissionPolicyBinding cloister-missing-policy',
      'Secret cloister-system/cloister-ca',
      'MutatingWebhookConfiguration zz-cloister',
      'ValidatingWebhookConfiguration cloister',
      'Secret cloister-system/cloister-tls',
    ]);
    // Entries come last: when the serving pod has taken its certificate up.
    expect(lines.map(({ msg }) => msg).filter((msg) => msg !== 'created')).toEqual([
      'updated',
      'updated',
      'waiting',
      'waiting',
      'updated',
      'updated',
      'done',
    ]);
    await expectWhole();
  });

  test('pods are judged, because the API server trusts the certificate under the name of the Service', async () => {
    await apiServer.createNamespace('judged', { 'cloister.dev/enforce': 'userns' });
    const tenant = await apiServer.createTenant('judged', 'tenant');
    const pods = '/api/v1/namespaces/judged/pods';
    await eventually(async () => (await tenant.request<Governed>('POST', `${pods}?dryRun=All`, plainPod())).body.spec?.hostUsers === false);
    expect((await tenant.request('POST', pods, hostPath())).status).toBe(403);
    const { status } = await tenant.request(
      'PATCH',
      '/api/v1/namespaces/judged',
      { metadata: { labels: { 'cloister.dev/enforce': null } } },
      MERGE,
    );
    expect(status).toBe(403);
  });

  test('a second run of ensure writes nothing', async () => {
    const before = await versionsOf(apiServer);
    const again = await command([]);
    expect(again.code).toBe(0);
    expect(linesOf(again)).toMatchObject([{ msg: 'done', writes: 0 }]);
    expect(await versionsOf(apiServer)).toEqual(before);
  });
});

interface Governed {
  readonly spec?: { readonly hostUsers?: boolean };
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50)); // the test's own timeout ends it
}

describe('the certificates', () => {
  beforeAll(async () => {
    await ensure();
  });

  async function openssl(...args: readonly string[]): Promise<string> {
    const files = [join(folder, 'ca.crt'), join(folder, 'tls.crt'), join(folder, 'bundle.crt')] as const;
    await writeFile(files[0], textIn(await secret('cloister-ca'), 'tls.crt'));
    await writeFile(files[1], textIn(await secret('cloister-tls'), 'tls.crt'));
    const [entry] = await allEntries();
    await writeFile(files[2], Buffer.from(entry?.clientConfig.caBundle ?? '', 'base64'));
    return (await promisify(execFile)('openssl', args, { cwd: folder })).stdout;
  }
  const verify = (...more: readonly string[]) =>
    openssl('verify', '-x509_strict', '-purpose', 'sslserver', ...more, '-CAfile', 'bundle.crt', 'tls.crt');

  test.each([`${SERVICE}.${NAMESPACE}.svc`, `${SERVICE}.${NAMESPACE}.svc.cluster.local`, `${SERVICE}.${NAMESPACE}`])(
    'openssl verifies the serving certificate against the caBundle for the name %s',
    async (name) => {
      expect(await verify('-verify_hostname', name)).toContain('OK');
    },
  );

  test('openssl rejects the serving certificate for another name', async () => {
    await expect(verify('-verify_hostname', `other.${NAMESPACE}.svc`)).rejects.toThrow(/hostname mismatch/i);
  });

  test('openssl reads the expected keys, serials, usage and dates', async () => {
    const [leaf, ca] = [
      await openssl('x509', '-noout', '-text', '-in', 'tls.crt'),
      await openssl('x509', '-noout', '-text', '-in', 'ca.crt'),
    ];
    for (const text of [leaf, ca]) expect(text).toMatch(/ASN1 OID: prime256v1/);
    for (const text of [leaf, ca]) expect(text).toMatch(/Serial Number:\s+(?:[\da-f]{2}:){15}[\da-f]{2}\n/);
    expect(leaf).toMatch(/Key Usage: critical\s+Digital Signature\n[\s\S]*Extended Key Usage: *\s+TLS Web Server Authentication\n/);
    expect(ca).toMatch(/CA:TRUE, pathlen:0[\s\S]*Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    const lifetime = ({ validFromDate, validToDate }: X509Certificate) =>
      Math.round((validToDate.getTime() - validFromDate.getTime()) / DAY);
    expect([lifetime(await leafNow()), lifetime(await authorityNow())]).toEqual([30, 365]);
  });

  test('ensure renews the serving certificate at two thirds of its life, by the same authority', async () => {
    const [authority, leaf] = [await authorityNow(), await leafNow()];
    const { writes } = await ensure({ now: () => new Date(leaf.validFromDate.getTime() + 19 * DAY) });
    expect([writes, (await leafNow()).serialNumber]).toEqual([0, leaf.serialNumber]);
    const { logged } = await ensure({ now: () => new Date(leaf.validFromDate.getTime() + 21 * DAY) });
    expect(logged).toEqual([expect.stringMatching(/^updated .*cloister-tls.*two thirds of its lifetime ended at/)]);
    const renewed = await leafNow();
    expect(renewed.serialNumber).not.toBe(leaf.serialNumber);
    expect([(await authorityNow()).serialNumber, renewed.verify(authority.publicKey)]).toEqual([authority.serialNumber, true]);
  });

  test('a serving certificate does not outlive an authority that ends soon', async () => {
    const authority = await authorityNow();
    // Hands-off entries keep the current authority, so that it stays in use after two thirds of its life.
    await patch(MUTATING, { metadata: { annotations: { 'cloister.dev/hands-off': 'true' } } });
    const { plan } = await ensure({ now: () => new Date(authority.validToDate.getTime() - 5 * DAY) });
    await patch(MUTATING, { metadata: { annotations: { 'cloister.dev/hands-off': null } } });
    expect(plan.handsOff).toMatchObject([{ object: { metadata: { name: 'cloister-ca' } } }]);
    expect([(await leafNow()).validToDate, (await authorityNow()).serialNumber]).toEqual([authority.validToDate, authority.serialNumber]);
  });

  test('ensure recreates all certificates after twenty years, and again when the clock is set back', async () => {
    const before = await authorityNow();
    const later = new Date(Date.now() + 20 * 365 * DAY);
    const { logged } = await ensure({ now: () => later });
    expect(logged.filter((line) => /cloister-ca.*it expired at|cloister-tls.*it is not signed by the authority/.test(line))).toHaveLength(
      2,
    );
    expect((await authorityNow()).serialNumber).not.toBe(before.serialNumber);
    const seconds = String(Math.floor(later.getTime() / 1_000));
    expect(await verify('-attime', seconds, '-verify_hostname', `${SERVICE}.${NAMESPACE}.svc`)).toContain('OK');
    await expect(verify()).rejects.toThrow(/not yet valid/);
    expect((await ensure({ now: () => later })).writes).toBe(0);

    await ensure();
    expect(await verify()).toContain('OK');
    await ensure();
    await expectSettled();
  });
});

/** Runs until the authority before is let go: a run does not wait for that. */
async function expectSettled(): Promise<void> {
  await eventually(async () => {
    await pod.sync();
    return (await ensure()).plan.previousAuthorities.length === 0;
  });
  await expectWhole();
}

describe('F19: interrupted runs of ensure', () => {
  /** Ends a run right after its nth write, as a kill would. */
  const endingAfter =
    (writes: number) =>
    (cluster: DeletingCluster): DeletingCluster => {
      let left = writes;
      const counted = async (write: () => Promise<boolean>) => {
        const isWritten = await write();
        left -= 1;
        if (left === 0) throw new Error('ended here');
        return isWritten;
      };
      return {
        ...cluster,
        create: (object) => counted(() => cluster.create(object)),
        update: (object) => counted(() => cluster.update(object)),
        delete: (object) => counted(() => cluster.delete(object)),
      };
    };

  test('the next run repairs an installation that ended after any single write', { timeout: 240_000 }, async () => {
    await removeAll();
    const { writes } = await ensure();
    expect(writes).toBe(16);
    for (let n = 1; n <= writes; n += 1) {
      await removeAll();
      await expect(ensure({ through: endingAfter(n) })).rejects.toThrow('ended here');
      await ensure();
      await expectWhole();
    }
  });

  test('the next run repairs a change of the authority that ended after any single write, and the API server trusts the serving pod at any moment', {
    timeout: 240_000,
  }, async () => {
    const rotate = async (through: (cluster: DeletingCluster) => DeletingCluster) => {
      await apiServer.admin.request('DELETE', `${SECRETS}/cloister-ca`);
      await ensure({ through });
      await pod.sync();
    };
    for (let n = 1; n <= 5; n += 1) {
      await expect(rotate(endingAfter(n))).rejects.toThrow('ended here');
      await expectTrusted();
      await ensure();
      await expectTrusted();
      await expectSettled();
    }
  });

  /** The certificate that is presented now, and the one that will be, each by an authority in every caBundle. */
  async function expectTrusted(): Promise<void> {
    const presented = await readLeaf(pod);
    for (const { clientConfig } of await allEntries()) {
      const trusted = certificatesIn(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
      for (const leaf of [presented, await leafNow()]) expect(trusted.some(({ publicKey }) => leaf.verify(publicKey))).toBe(true);
    }
  }

  test.each([1, 4, 7, 10])(
    'the next run repairs an installation that SIGKILL ended after the line of step %i',
    { timeout: 60_000 },
    async (n) => {
      await removeAll();
      const child = spawn(process.execPath, ['src/main.ts', ...flags([], apiServer.admin.kubeconfig)], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const ended = once(child, 'exit');
      let lines = 0;
      createInterface(child.stdout).on('line', () => {
        lines += 1;
        if (lines === n) child.kill('SIGKILL');
      });
      expect(await ended).toEqual([null, 'SIGKILL']);
      await ensure();
      await expectWhole();
    },
  );

  test('two runs at the same time end in the same state', { timeout: 120_000 }, async () => {
    for (let round = 0; round < 3; round += 1) {
      await removeAll();
      const runs = await Promise.all([ensure(), ensure(), ensure()]);
      for (const { plan } of runs) expect(plan.waiting).toEqual([]);
      await expectWhole();
    }
  });

  test('a run whose write conflicts reads again and continues', async () => {
    expect((await patch(VALIDATING, { webhooks: [] })).status).toBe(200);
    let meddled = 0;
    const meddling = (cluster: DeletingCluster): DeletingCluster => ({
      ...cluster,
      async update(object) {
        if (meddled === 0) await patch(VALIDATING, { metadata: { annotations: { 'example.com/note': 'written by another client' } } });
        meddled += 1;
        return cluster.update(object);
      },
    });
    expect((await ensure({ through: meddling })).writes).toBe(1);
    expect(meddled).toBe(2);
    expect((await get<Configuration>(VALIDATING)).metadata.annotations).toEqual({ 'example.com/note': 'written by another client' });
    await expectWhole();
  });

  test('a run whose every write conflicts fails with an error', async () => {
    await patch(VALIDATING, { webhooks: [] });
    const hopeless = (cluster: DeletingCluster): DeletingCluster => ({ ...cluster, update: async () => false });
    await expect(ensure({ through: hopeless })).rejects.toThrow('was changed by another client before each of 10 writes');
    await ensure();
  });
});

async function readLeaf({ endpoint }: ServingPod): Promise<X509Certificate> {
  const { observePod } = await import('../../src/cluster/serving.ts');
  const { leaf } = await observePod(endpoint, `${SERVICE}.${NAMESPACE}.svc`);
  if (leaf === undefined) throw new Error('the serving pod presents nothing');
  return leaf;
}

describe('F5: lost Secrets', () => {
  test('the same authority recreates a deleted serving Secret', async () => {
    const authority = await authorityNow();
    await apiServer.admin.request('DELETE', `${SECRETS}/cloister-tls`);
    expect((await ensure()).writes).toBe(2);
    expect((await authorityNow()).serialNumber).toBe(authority.serialNumber);
    await expectWhole();
  });

  test.each([
    ['deleted', () => apiServer.admin.request('DELETE', `${SECRETS}/cloister-ca`)],
    ['emptied', () => patch(`${SECRETS}/cloister-ca`, { data: { 'tls.crt': '', 'tls.key': '', 'ca.crt': null } })],
    [
      'given another key',
      async () => patch(`${SECRETS}/cloister-ca`, { data: { 'tls.key': (await secret('cloister-tls')).data['tls.key'] } }),
    ],
  ])('an authority whose Secret was %s is replaced, and stays trusted until the pods use the new one', async (_, lose) => {
    const before = await authorityNow();
    await lose();
    await ensure();
    const after = await authorityNow();
    expect(after.serialNumber).not.toBe(before.serialNumber);
    for (const entry of await allEntries()) expect(trustedBy(entry)).toEqual([after.serialNumber, before.serialNumber]);
    // The pod has the old certificate still: another run lets nothing go.
    expect((await ensure()).plan.previousAuthorities).toMatchObject([{ reason: expect.stringContaining('127.0.0.1') }]);
    for (const entry of await allEntries()) expect(trustedBy(entry)).toHaveLength(2);
    await expectSettled();
  });

  test('T64: a previous authority stays trusted as long as a pod may start with its certificate or does not answer', async () => {
    const before = await authorityNow();
    await apiServer.admin.request('DELETE', `${SECRETS}/cloister-ca`);
    await ensure();
    await eventually(async () => {
      await pod.sync();
      return (await readLeaf(pod)).serialNumber === (await leafNow()).serialNumber;
    });
    expect((await ensure({ overlapMs: 600_000 })).plan.previousAuthorities).toMatchObject([
      { reason: expect.stringContaining('pods may start') },
    ]);
    const silent = { ...pod.endpoint, port: 9, isReady: false };
    expect((await ensure({ pods: [pod.endpoint, silent] })).plan.previousAuthorities).toMatchObject([
      { reason: expect.stringContaining('127.0.0.1:9') },
    ]);
    for (const entry of await allEntries()) expect(trustedBy(entry)).toContain(before.serialNumber);
    await ensure();
    await expectWhole();
  });
});

describe('T28: drift', () => {
  beforeAll(async () => {
    await ensure();
    await expectSettled();
  });

  /** Changes of the first webhook entry, by field. */
  const first =
    <Field extends keyof Entry>(field: Field, change: (value: Entry[Field]) => unknown) =>
    ([entry, ...others]: readonly Entry[]): unknown[] => [entry && { ...entry, [field]: change(entry[field]) }, ...others];
  const rule = (field: string, value: unknown) => first('rules', ([one, ...others]) => [{ ...one, [field]: value }, ...others]);
  const service = (field: string, value: unknown) =>
    first('clientConfig', (config) => ({ ...config, service: { ...config.service, [field]: value } }));

  const DRIFTS: readonly (readonly [string, (entries: readonly Entry[]) => unknown[]])[] = [
    ['name', first('name', () => 'other.cloister.dev')],
    ['clientConfig.service.name', service('name', 'other')],
    ['clientConfig.service.namespace', service('namespace', 'other')],
    ['clientConfig.service.path', service('path', '/mutate/gvisor')],
    ['clientConfig.service.port', service('port', 1)],
    ['clientConfig.url', first('clientConfig', ({ caBundle }) => ({ caBundle, url: 'https://evil.example/mutate/userns' }))],
    ['clientConfig.caBundle', first('clientConfig', ({ service: kept }) => ({ service: kept }))],
    ['rules.apiGroups', rule('apiGroups', ['example.com'])],
    ['rules.apiVersions', rule('apiVersions', ['v2'])],
    ['rules.operations', rule('operations', ['DELETE'])],
    ['rules.resources', rule('resources', ['pods/log'])],
    ['rules.scope', rule('scope', '*')],
    ['rules', first('rules', () => [])],
    ['namespaceSelector', first('namespaceSelector', () => ({ matchLabels: { no: 'namespace' } }))],
    ['objectSelector', first('objectSelector', () => ({ matchLabels: { no: 'namespace' } }))],
    ['matchConditions', first('matchConditions', () => [{ name: 'never', expression: 'false' }])],
    ['failurePolicy', first('failurePolicy', () => 'Ignore')],
    ['timeoutSeconds', first('timeoutSeconds', () => 30)],
    ['matchPolicy', first('matchPolicy', () => 'Exact')],
    ['sideEffects', first('sideEffects', () => 'NoneOnDryRun')],
    ['admissionReviewVersions', first('admissionReviewVersions', () => ['v1beta1', 'v1'])],
    ['an entry less', ([, ...others]) => others],
    ['an entry more', (entries) => [...entries, { ...entries[0], name: 'more.cloister.dev' }]],
    ['another order', (entries) => entries.toReversed()],
    ['no entries', () => []],
  ];
  const MUTATING_DRIFTS = [...DRIFTS, ['reinvocationPolicy', first('reinvocationPolicy', () => 'Never')] as const];

  test('the tables below contain every field of a webhook entry of the API server', async () => {
    const fields = new Set((await get<Configuration>(MUTATING)).webhooks?.flatMap((entry) => Object.keys(entry)));
    const named = MUTATING_DRIFTS.map(([name]) => name.split('.')[0]);
    expect([...fields].filter((field) => !named.includes(field))).toEqual([]);
  });

  describe.each([
    [MUTATING, MUTATING_DRIFTS],
    [VALIDATING, DRIFTS],
  ])('drift in %s', (path, drifts) => {
    test.each(drifts)('ensure repairs %s, and only reports it where an operator opted out of repairs', async (_, change) => {
      const whole = await get<Configuration>(path);
      const drifted = { ...whole, webhooks: change(whole.webhooks ?? []) };
      const marked = { ...drifted, metadata: { ...whole.metadata, annotations: { 'cloister.dev/hands-off': 'true' } } };
      const { status, body } = await apiServer.admin.request<Configuration>('PUT', path, marked);
      expect(status).toBe(200);

      const result = await ensure();
      expect(result).toMatchObject({
        writes: 0,
        plan: { steps: [], waiting: [], handsOff: [{ why: expect.arrayContaining([expect.any(String)]) }] },
      });
      expect((await get<Configuration>(path)).metadata.resourceVersion).toBe(body.metadata.resourceVersion);

      await patch(path, { metadata: { annotations: null } });
      expect((await ensure()).writes).toBe(1);
      expect((await get<Configuration>(path)).webhooks).toEqual(whole.webhooks);
    });

    test('ensure removes a foreign authority from a caBundle', async () => {
      const whole = await get<Configuration>(path);
      const foreign = await apiServer.connection.authority;
      const bundle = Buffer.from(await (await import('node:fs/promises')).readFile(foreign.certFile)).toString('base64');
      const webhooks = whole.webhooks?.map((entry) => ({ ...entry, clientConfig: { ...entry.clientConfig, caBundle: bundle } }));
      expect((await apiServer.admin.request('PUT', path, { ...whole, webhooks })).status).toBe(200);
      expect((await ensure()).writes).toBe(1);
      expect((await get<Configuration>(path)).webhooks).toEqual(whole.webhooks);
    });
  });

  test.each([
    ['validatingadmissionpolicybindings', { validationActions: ['Audit'] }],
    ['validatingadmissionpolicies', { failurePolicy: 'Ignore' }],
    ['validatingadmissionpolicies', { matchConstraints: { namespaceSelector: { matchLabels: { no: 'namespace' } } } }],
  ])('ensure repairs drift in a policy: %s %j', async (resource, spec) => {
    const path = `${ADMISSION}/${resource}/cloister-namespace-labels`;
    const whole = await get<{ readonly spec: object }>(path);
    expect((await patch(path, { spec, metadata: { annotations: { 'cloister.dev/hands-off': 'yes' } } })).status).toBe(200);
    expect(await ensure()).toMatchObject({
      writes: 0,
      plan: { handsOff: [{ object: { metadata: { name: 'cloister-namespace-labels' } } }] },
    });
    expect((await patch(path, { metadata: { annotations: { 'cloister.dev/hands-off': 'false' } } })).status).toBe(200);
    expect((await ensure()).writes).toBe(1);
    expect((await get<{ readonly spec: object }>(path)).spec).toEqual(whole.spec);
  });
});

describe('webhook entries and the configuration of the serving pods', () => {
  const NEWER = `${CONFIG}profiles: {userns: {}, gvisor: {}}\n`;

  test('entries of a newer configuration wait for the pods, while the authority may change', async () => {
    const before = await allEntries();
    const waiting = await ensure({ config: NEWER, waitMs: 0 });
    // The policies and bindings that list the profiles wait for no pod, unlike the policy of a profile.
    expect(waiting.logged.filter((line) => line.startsWith('updated'))).toEqual([
      expect.stringContaining('ValidatingAdmissionPolicy cloister-namespace-labels'),
      expect.stringContaining('ValidatingAdmissionPolicy cloister-namespace-advice'),
      expect.stringContaining('ValidatingAdmissionPolicyBinding cloister-unknown-profile-namespace'),
      expect.stringContaining('ValidatingAdmissionPolicyBinding cloister-unknown-profile-pod'),
      expect.stringContaining('ValidatingAdmissionPolicyBinding cloister-missing-policy'),
    ]);
    expect(waiting.plan.waiting).toHaveLength(3);
    expect(waiting.plan.waiting).toMatchObject(Array(3).fill({ until: [expect.stringContaining('runs configuration')] }));
    expect(await allEntries()).toEqual(before);

    const authority = await authorityNow();
    await apiServer.admin.request('DELETE', `${SECRETS}/cloister-ca`);
    await ensure({ config: NEWER, waitMs: 0 });
    const during = await allEntries();
    expect(during.map(({ name }) => name)).toEqual(before.map(({ name }) => name));
    for (const entry of during) expect(trustedBy(entry)).toEqual([(await authorityNow()).serialNumber, authority.serialNumber]);
    await expectSettled();
  });

  test('ensure writes new entries when all ready pods run the configuration, and does not wait for pods that are not ready', async () => {
    const newer = await startServingPod(apiServer, NEWER);
    try {
      await newer.start();
      const both = await ensure({ config: NEWER, waitMs: 0, pods: [pod.endpoint, newer.endpoint] });
      expect(both.plan.waiting.map(({ until }) => until)).toEqual(Array(3).fill([expect.stringContaining(pod.endpoint.port.toString())]));
      const left = { ...pod.endpoint, isReady: false };
      await ensure({ config: NEWER, pods: [left, newer.endpoint], onPause: () => newer.sync() });
      expect((await allEntries()).map(({ name }) => name)).toContain('gvisor.namespace.enforce.cloister.dev');
    } finally {
      await newer.cloister.stop();
      await ensure();
      await expectWhole();
    }
  });

  test('F21: emptied entries are written again as soon as one ready pod of two answers with the right certificate and configuration', async () => {
    const silent = { host: '127.0.0.1', port: 1, operationsPort: 1, isReady: true };
    await ensure();
    const before = await allEntries();
    await patch(MUTATING, { webhooks: [] });
    await patch(VALIDATING, { webhooks: [] });
    const alone = await ensure({ pods: [silent], waitMs: 0 });
    expect([alone.writes, alone.plan.waiting]).toEqual([
      0,
      [
        expect.objectContaining({ until: [expect.stringContaining('127.0.0.1:1 does not answer')] }),
        expect.objectContaining({ until: [expect.stringContaining('127.0.0.1:1 does not answer')] }),
      ],
    ]);
    const { writes, plan } = await ensure({ pods: [silent, pod.endpoint], waitMs: 0 });
    expect([writes, plan.waiting]).toEqual([2, []]);
    expect(await allEntries()).toEqual(before);

    // Entries that exist still wait for every ready pod.
    await patch(VALIDATING, { webhooks: (await get<Configuration>(VALIDATING)).webhooks?.slice(1) });
    const drifted = await ensure({ pods: [silent, pod.endpoint], waitMs: 0 });
    expect([drifted.writes, drifted.plan.waiting.length]).toEqual([0, 1]);
    await ensure();
    await expectWhole();
  });

  test('F21: emptied entries are not written for a ready pod that runs another configuration', async () => {
    await ensure();
    const newer = await startServingPod(apiServer, NEWER);
    try {
      await newer.start();
      await patch(VALIDATING, { webhooks: [] });
      const other = await ensure({ pods: [newer.endpoint], waitMs: 0 });
      expect([other.writes, other.plan.waiting]).toMatchObject([0, [{ until: [expect.stringContaining('runs configuration')] }]]);
    } finally {
      await newer.cloister.stop();
      await ensure();
      await expectWhole();
    }
  });

  test('ensure writes nothing new without a ready pod', async () => {
    await patch(VALIDATING, { webhooks: [] });
    const { writes, plan } = await ensure({ pods: [], waitMs: 0 });
    expect([writes, plan.waiting]).toEqual([
      0,
      [expect.objectContaining({ until: ['no serving pod of Service cloister-system/cloister is ready'] })],
    ]);
    await ensure();
  });
});

describe('certificates that another tool manages', () => {
  test('ensure does not touch the Secrets, keeps each caBundle, and copies it into a new entry', async () => {
    const NEWER = `${CONFIG}profiles: {userns: {}, gvisor: {}}\n`;
    const newer = await startServingPod(apiServer, NEWER);
    try {
      await newer.start();
      const secrets = [await secret('cloister-ca'), await secret('cloister-tls')];
      const bundle = (await allEntries())[0]?.clientConfig.caBundle;
      await patch(MUTATING, { metadata: { annotations: { 'cert-manager.io/inject-ca-from': `${NAMESPACE}/cloister` } } });
      const { writes, plan } = await ensure({ certificates: 'files', config: NEWER, pods: [newer.endpoint] });
      // Two webhook configurations, three policies and three bindings that list the profiles, and five objects of the new profile.
      expect([writes, plan.waiting, plan.handsOff]).toEqual([13, [], []]);
      expect([await secret('cloister-ca'), await secret('cloister-tls')]).toEqual(secrets);
      const entries = await allEntries();
      expect(entries.map(({ name }) => name)).toContain('gvisor.namespace.enforce.cloister.dev');
      for (const { clientConfig } of entries) expect(clientConfig.caBundle).toBe(bundle);
      expect((await get<Configuration>(MUTATING)).metadata.annotations).toHaveProperty(['cert-manager.io/inject-ca-from']);
      expect((await ensure({ certificates: 'files', config: NEWER, pods: [newer.endpoint] })).writes).toBe(0);
    } finally {
      await newer.cloister.stop();
      await ensure();
    }
  });

  test('ensure reports that another tool manages the certificates', async () => {
    const printed = await command(['--certificates', 'files']);
    expect(printed.code).toBe(0);
    expect(linesOf(printed)[0]?.msg).toBe('another tool manages the certificates: Secrets and each caBundle are not changed');
  });
});

const BACKSTOP_BINDINGS = `${ADMISSION}/validatingadmissionpolicybindings?labelSelector=app.kubernetes.io%2Fcomponent%3Dbackstop`;

describe('--dry-run', () => {
  beforeEach(async () => {
    await ensure();
  });

  test('--dry-run prints nothing where nothing differs', async () => {
    expect(await command(['--dry-run'])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('--dry-run prints the changes without any key, and makes none', async () => {
    await patch(VALIDATING, { metadata: { annotations: { 'cloister.dev/hands-off': 'true' } }, webhooks: [] });
    await patch(`${ADMISSION}/validatingadmissionpolicies/cloister-pods`, { spec: { failurePolicy: 'Ignore' } });
    await apiServer.admin.request('DELETE', `${SECRETS}/cloister-tls`);
    const before = await versionsOf(apiServer);
    const { code, stdout, stderr } = await command(['--dry-run']);
    expect(await versionsOf(apiServer)).toEqual(before);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toContain('-  failurePolicy: Ignore\n+  failurePolicy: Fail\n');
    expect(stdout).toContain('+++ Secret cloister-system/cloister-tls\n');
    expect(stdout).toMatch(/\+ {4}- CN=cloister\.cloister-system\.svc for DNS:cloister\.cloister-system\.svc, .* until 20/);
    expect(stdout).toContain('+  tls.key: (not shown)\n');
    expect(stdout).toContain(
      '# ValidatingWebhookConfiguration cloister is marked hands-off and is not changed:\n#   userns.namespace.enforce.cloister.dev is missing\n',
    );
    expect(stdout).not.toMatch(/PRIVATE KEY|LS0tLS1CRUdJTi|MIG/);
    await patch(VALIDATING, { metadata: { annotations: null } });
  });

  test('--dry-run prints the policies of the profiles that it would delete, and deletes none', async () => {
    const without = join(folder, 'without-backstop.yaml');
    await writeFile(without, `${CONFIG}backstop: false\n`);
    const bindings = async () =>
      (await get<{ readonly items: readonly { readonly metadata: { readonly name: string } }[] }>(BACKSTOP_BINDINGS)).items.map(
        ({ metadata }) => metadata.name,
      );
    const before = await bindings();
    expect(before).toContain('cloister-profile-userns-namespace');
    const args = flags(['--dry-run'], apiServer.admin.kubeconfig).map((each) => (each === configFile ? without : each));
    const { code, stdout, stderr } = await cloister(args);
    expect([code, stderr]).toEqual([1, '']);
    for (const name of before) expect(stdout).toContain(`--- ValidatingAdmissionPolicyBinding ${name}\n`);
    expect(await bindings()).toEqual(before);
  });

  test('--dry-run prints the changes that wait for the serving pods', async () => {
    await removeAll();
    const { code, stdout } = await command(['--dry-run']);
    expect(code).toBe(1);
    expect(stdout).toContain('# After this is resolved: 127.0.0.1:');
    expect(stdout).toContain('+    name: userns.namespace.enforce.cloister.dev\n');
    expect(Object.values(await versionsOf(apiServer)).filter((each) => each !== undefined)).toEqual([]);
    await ensure();
  });
});

test('ensure asks once which fields the API server keeps, before the first entries of a profile, and stores nothing for it', async () => {
  await removeAll();
  const asked: object[] = [];
  const through = (cluster: DeletingCluster): DeletingCluster => ({
    ...cluster,
    async tryCreate(object) {
      asked.push({ before: await entryCount(), object });
      return cluster.tryCreate(object);
    },
  });
  const { logged } = await ensure({ through });
  const hostUsers = { template: { spec: { hostUsers: false } } };
  expect(asked).toMatchObject([{ before: 0, object: { kind: 'PodTemplate', metadata: { name: 'cloister-fields' }, ...hostUsers } }]);
  // test/api-server/feature-gates.test.ts has API servers that drop fields.
  expect(logged.filter((line) => line.includes('field'))).toEqual([]);
  await ensure({ through });
  expect(asked).toHaveLength(1);
  const { items } = await get<{ readonly items: readonly object[] }>(`/api/v1/namespaces/${NAMESPACE}/podtemplates`);
  expect(items).toEqual([]);
  await ensure({ through, config: 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: , gvisor: }\n', waitMs: 0 });
  expect(asked).toHaveLength(1);
  await ensure();
});

async function entryCount(): Promise<number> {
  return (await allEntries()).length;
}

describe('errors that stop ensure', () => {
  test('F1: ensure prints one line and exits with status 1 if the API server does not answer', { timeout: 60_000 }, async () => {
    const kubeconfig = join(folder, 'nowhere');
    const cluster = { name: 'test', cluster: { server: 'https://127.0.0.1:59999' } };
    const contexts = [{ name: 'test', context: { cluster: 'test', user: 'test' } }];
    await writeFile(
      kubeconfig,
      JSON.stringify({ clusters: [cluster], contexts, users: [{ name: 'test', user: {} }], 'current-context': 'test' }),
    );
    const printed = await command([], kubeconfig);
    expect(printed.code).toBe(1);
    expect(linesOf(printed).at(-1)).toMatchObject({ problem: 'the API server at https://127.0.0.1:59999 cannot be reached: ECONNREFUSED' });
  });

  test('ensure reports missing serving pods, and a serving pod that does not answer', { timeout: 60_000 }, async () => {
    const place = [
      '--service',
      `${NAMESPACE}/${SERVICE}`,
      '--wait',
      '0s',
      '--config',
      configFile,
      '--kubeconfig',
      apiServer.admin.kubeconfig,
    ];
    const unanswered = await cloister(['ensure', ...place]);
    expect(unanswered.code).toBe(1);
    expect(linesOf(unanswered).at(-1)).toMatchObject({
      msg: 'not written',
      until: ['no serving pod of Service cloister-system/cloister is ready'],
    });

    const slice = {
      metadata: { name: 'cloister-1', labels: { 'kubernetes.io/service-name': SERVICE } },
      addressType: 'IPv4',
      ports: [{ name: 'https', port: 8443 }],
      endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }],
    };
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`;
    expect((await apiServer.admin.request('POST', slices, slice)).status).toBe(201);
    const silent = await cloister(['ensure', ...place]);
    expect(silent.code).toBe(1);
    expect(linesOf(silent).at(-1)).toMatchObject({
      msg: 'not written',
      until: [expect.stringContaining('192.0.2.1:8443 does not answer')],
    });
    await apiServer.admin.request('DELETE', `${slices}/cloister-1`);
    await ensure();
  });
});
