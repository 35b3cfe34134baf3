import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Entry } from '../../../src/manifests/entries.ts';
import { type ApiServer, startApiServer } from '../../support/api-server.ts';
import type { Client, Finished } from '../../support/client.ts';
import { Daemons } from '../../support/daemons.ts';
import { ADMISSION } from '../../support/ensure.ts';
import { CHART, ensured as ensuredOn, helm as helmOn, NAMESPACE, run } from '../../support/helm.ts';
import { imageFiles } from '../../support/image.ts';
import { describeUnless } from '../../support/needs.ts';
import { within } from '../../support/network.ts';
import { hostPath, plainPod } from '../../support/pod-manifests.ts';
import { works } from '../../support/requirements.ts';
import type { Settings } from '../../support/small-node.ts';

/**
 * The chart from its first installation to its last trace, by helm, on a real API server with real controllers. What its pods run is run by a
 * small node: the same command, arguments, environment and files, in processes. All of it while pods are created, twenty a second.
 */

const missing = (await works('unshare', '--user', '--map-root-user', '--net', '--mount', 'ip', 'link'))
  ? undefined
  : 'user namespaces, and `unshare` and `ip` on the PATH';

const NODES = 'cloister-nodes';
const PODS = '/api/v1/namespaces/team/pods?dryRun=All';
const VALUES = { nodeProfile: { namespace: NODES } };

interface Governed {
  readonly spec?: { readonly hostUsers?: boolean; readonly runtimeClassName?: string };
  readonly message?: string;
}

let apiServer: ApiServer & { stop(): Promise<void> };
let daemons: Daemons;
let tenant: Client;
let before: readonly string[];

describeUnless(missing, 'in namespaces of this machine', () => {
  beforeAll(async () => {
    daemons = await Daemons.create('chart');
    apiServer = await startApiServer({ hasNetwork: true });
    await apiServer.createNamespace(NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' });
    await apiServer.createNamespace(NODES, { 'pod-security.kubernetes.io/enforce': 'privileged' });
    await apiServer.createNamespace('team');
    await apiServer.createNamespace('sandboxed');
    await apiServer.createRuntimeClass('gvisor', { handler: 'runsc' });
    tenant = await apiServer.createTenant('team', 'tenant');
    const settings: Settings = {
      connection: apiServer.connection,
      namespaces: [NAMESPACE, NODES],
      image: await imageFiles(daemons.folder),
      folder: daemons.folder,
    };
    const file = join(daemons.folder, 'node.json');
    await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
    const script = join(import.meta.dirname, '../../support/small-node.ts');
    const node = daemons.start('node', ...within(apiServer.connection.network, process.execPath, [script, file]));
    await daemons.ready(node, async () => (await readFile(node.logFile, 'utf8')).includes('ready'), { timeoutMs: 20_000 });
    before = await everything();
  }, 240_000);
  afterAll(async () => {
    await daemons?.stop();
    await apiServer?.stop();
  });

  test('`helm install --wait --wait-for-jobs` returns after the Job has written the entries', { timeout: 300_000 }, async () => {
    await helm(['install', 'cloister', CHART, '--wait', '--wait-for-jobs', '--timeout=4m', '--values=-'], VALUES);
    const served = entriesOf(await configurations());
    expect(served).toHaveLength(13);
    expect(served.every(({ clientConfig }) => clientConfig.caBundle !== undefined && clientConfig.service?.namespace === NAMESPACE)).toBe(
      true,
    );
    expect(await logs('serve', /"msg":"serving"/)).toHaveLength(3);
  });

  test('the seccomp profile is on the node where its kubelet looks for it', async () => {
    const profile = await readFile(join(daemons.folder, 'host/var/lib/kubelet/seccomp/cloister/workspace.json'), 'utf8');
    expect(profile).toBe(await readFile(join(import.meta.dirname, '../../../seccomp/workspace.json'), 'utf8'));
  });

  test('T72: serving pods have no token and run in a namespace at Pod Security restricted', async () => {
    const pods = await servingPods();
    expect(pods).toHaveLength(3);
    for (const { spec } of pods)
      expect(spec.volumes.map((volume) => Object.keys(volume).filter((key) => key !== 'name'))).toEqual([['configMap'], ['secret']]);
  });

  test('`helm test` passes: doctor finds no error in the release', { timeout: 300_000 }, async () => {
    const { stdout } = await helm(['test', 'cloister', '--timeout=240s']);
    expect(stdout).toMatch(/Phase:\s+Succeeded/);
  });

  test('after a namespace is labelled, its pods are repaired or refused, and other namespaces are not affected', async () => {
    const unlabelled = await tenant.request<Governed>('POST', PODS, plainPod());
    expect(unlabelled.body.spec).not.toHaveProperty('hostUsers');
    await label('team', 'userns');
    await until(async () => (await create()).body.spec?.hostUsers === false);
    expect((await tenant.request('POST', '/api/v1/namespaces/team/pods', { ...plainPod(), metadata: { name: 'workspace' } })).status).toBe(
      201,
    );
    const refused = await tenant.request<Governed>('POST', PODS, hostPath());
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('volume-types');
  });

  test('an upgrade passes after the policies were turned off as break-glass says, and `ensure` has created the bindings again', {
    timeout: 120_000,
  }, async () => {
    const bindings = ['cloister-namespace-labels', 'cloister-namespace-advice', 'cloister-pods', 'cloister-guard'];
    expect(await apiServer.kubectl(['delete', 'validatingadmissionpolicybinding', ...bindings])).toMatchObject({ code: 0 });
    const byHand = ['create', 'job', 'ensure-again', '--from=cronjob/cloister-ensure', `--namespace=${NAMESPACE}`];
    expect(await apiServer.kubectl(byHand)).toMatchObject({ code: 0 });
    await ensured();
    expect(await apiServer.kubectl(['get', 'validatingadmissionpolicybinding', ...bindings])).toMatchObject({ code: 0 });
    await helm(['upgrade', 'cloister', CHART, '--wait', '--timeout=2m', '--values=-'], VALUES);
  });

  test('F7, T67: no call fails during an upgrade with a new profile and its rollback', { timeout: 600_000 }, async () => {
    const failedBefore = await failedCalls();
    const { stop } = load();
    const profiles = { gvisor: { grant: 'sudo' } };
    await helm(['upgrade', 'cloister', CHART, '--wait', '--wait-for-jobs', '--timeout=4m', '--values=-'], { ...VALUES, profiles });
    expect(entriesOf(await configurations()).map(({ name }) => name)).toContain('gvisor.namespace.enforce.cloister.dev');
    await label('sandboxed', 'gvisor');
    const sandboxed = () => apiServer.admin.request<Governed>('POST', '/api/v1/namespaces/sandboxed/pods?dryRun=All', plainPod());
    await until(async () => (await sandboxed()).body.spec?.runtimeClassName === 'gvisor');

    await helm(['rollback', 'cloister', '1', '--wait', '--wait-for-jobs', '--timeout=4m']);
    expect(entriesOf(await configurations())).toHaveLength(13);
    // Its label names nothing any more, and so admits nothing.
    await until(async () => (await sandboxed()).status === 403);
    await label('sandboxed', null);

    const { sent, failures } = await stop();
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(200);
    process.stdout.write(`${sent} pods while it was upgraded and rolled back, ${failures.length} failed\n`);
    expect(await failedCalls()).toBe(failedBefore);
  });

  test('T71, F8: without any pod of Cloister governed pods are refused and others admitted, until Cloister has recovered by itself', {
    timeout: 120_000,
  }, async () => {
    const gone = new Set((await servingPods()).map(({ metadata }) => metadata.uid));
    await apiServer.admin.request('DELETE', SERVING_PODS, { gracePeriodSeconds: 0 });
    await until(async () => (await create()).status === 500);
    expect(await apiServer.admin.request('POST', '/api/v1/namespaces/default/pods?dryRun=All', plainPod())).toMatchObject({ status: 201 });
    await until(async () => (await servingPods()).filter((each) => !gone.has(each.metadata.uid) && isReady(each)).length === 3);
    await until(async () => (await create()).body.spec?.hostUsers === false);
  });

  test('uninstalling after the policies of the profiles leaves nothing behind, refuses no pod meanwhile, and keeps workspaces', {
    timeout: 300_000,
  }, async () => {
    const without = { ...VALUES, backstop: { enabled: false } };
    await helm(['upgrade', 'cloister', CHART, '--wait', '--wait-for-jobs', '--timeout=4m', '--values=-'], without);
    const { stop } = load({ mayPass: true });
    await helm(['uninstall', 'cloister', '--wait', '--timeout=2m']);
    await until(async () => (await create()).body.spec?.hostUsers === undefined);
    const { failures } = await stop();
    expect(failures).toEqual([]);
    expect((await tenant.request('GET', '/api/v1/namespaces/team/pods/workspace')).status).toBe(200);
    await tenant.request('DELETE', '/api/v1/namespaces/team/pods/workspace', { gracePeriodSeconds: 0 });
    await until(async () => JSON.stringify(await everything()) === JSON.stringify(before)).catch(async () => {
      expect(await everything()).toEqual(before);
    });
  });

  test('the chart can be installed again without any value', { timeout: 300_000 }, async () => {
    // Then the DaemonSet is there too, which mounts a folder of the node.
    await apiServer.kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce-']);
    await helm(['install', 'cloister', CHART, '--wait', '--timeout=4m']);
    await ensured();
    await until(async () => (await create()).body.spec?.hostUsers === false);
    const { status } = await get<{ readonly status: object }>(`/apis/apps/v1/namespaces/${NAMESPACE}/daemonsets/cloister-node-profile`);
    expect(status).toMatchObject({ desiredNumberScheduled: 1, numberReady: 1 });
  });

  // As tools do that keep a cluster at what a repository says. Last, since they and helm would contend for who applies.
  test('applying the manifests again, by force, changes nothing and removes nothing that `ensure` wrote', async () => {
    const { stdout: input } = await helm(['template', 'cloister', CHART, '--no-hooks']);
    const [entries, certificate] = [entriesOf(await configurations()), await get(SERVING_SECRET)];
    const server = ['--server-side', '--force-conflicts', '--field-manager=a-tool', '--filename=-'];
    expect(await apiServer.kubectl(['diff', ...server], { input })).toMatchObject({ code: 0, stdout: '' });
    expect(await apiServer.kubectl(['apply', ...server], { input })).toMatchObject({ code: 0 });
    expect(await apiServer.kubectl(['apply', '--filename=-'], { input })).toMatchObject({ code: 0 });
    expect(entriesOf(await configurations())).toEqual(entries);
    expect(await get(SERVING_SECRET)).toMatchObject({ data: (certificate as { readonly data: object }).data });
  });
});

const SERVING_SECRET = `/api/v1/namespaces/${NAMESPACE}/secrets/cloister-tls`;
const SERVING_PODS = `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app.kubernetes.io/component=webhook`;

interface ServingPod {
  readonly metadata: { readonly uid: string };
  readonly spec: { readonly volumes: readonly object[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const servingPods = async () => (await get<{ readonly items: readonly ServingPod[] }>(SERVING_PODS)).items;
const isReady = ({ status }: ServingPod): boolean =>
  status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;

const get = async <Body>(path: string): Promise<Body> => (await apiServer.admin.request<Body>('GET', path)).body;
const create = () => tenant.request<Governed>('POST', PODS, plainPod());

const helm = (args: readonly string[], values?: object): Promise<Finished> => helmOn(apiServer, args, values).catch(withNodeLog);
const ensured = (): Promise<void> => ensuredOn(apiServer).catch(withNodeLog);

async function withNodeLog({ message }: Error): Promise<never> {
  throw new Error(`${message}\n${await nodeLog()}`);
}

async function nodeLog(): Promise<string> {
  return (await readFile(join(daemons.folder, 'node.log'), 'utf8')).slice(-3_000);
}

/** Lines of what containers of a kind wrote. */
async function logs(container: 'serve' | 'ensure', pattern: RegExp): Promise<readonly string[]> {
  const { stdout } = await run('sh', ['-c', `cat ${daemons.folder}/*.${container === 'serve' ? 'cloister' : container}.log`]);
  return stdout.split('\n').filter((line) => pattern.test(line));
}

interface Configuration {
  readonly webhooks?: readonly Entry[];
}

const configurations = () =>
  Promise.all(
    ['mutatingwebhookconfigurations/zz-cloister', 'validatingwebhookconfigurations/cloister'].map((path) =>
      get<Configuration>(`${ADMISSION}/${path}`),
    ),
  );
const entriesOf = (found: readonly Configuration[]): readonly Entry[] => found.flatMap(({ webhooks = [] }) => webhooks);

async function label(namespace: string, profile: string | null): Promise<void> {
  const labels = { 'cloister.dev/enforce': profile };
  const { status } = await apiServer.admin.request(
    'PATCH',
    `/api/v1/namespaces/${namespace}`,
    { metadata: { labels } },
    { contentType: 'application/merge-patch+json' },
  );
  expect(status).toBe(200);
}

const UNCOUNTED = /^(event|componentstatuse|endpointslice|lease|endpoints|replicaset|controllerrevision)s?[./]/;

/** Every object of the cluster, but for what comes and goes by itself. */
async function everything(): Promise<readonly string[]> {
  const kinds = await apiServer.kubectl(['api-resources', '--verbs=list', '--output=name']);
  const names = kinds.stdout
    .trim()
    .split('\n')
    .filter((name) => !UNCOUNTED.test(`${name}/`));
  const { stdout, stderr, code } = await apiServer.kubectl([
    'get',
    names.join(','),
    '--all-namespaces',
    '--ignore-not-found',
    '--no-headers',
    '--output=custom-columns=:kind,:metadata.namespace,:metadata.name',
  ]);
  if (code !== 0) throw new Error(stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(/\s+/g, ' ').trim())
    .sort();
}

/** Calls of ours that failed, as the API server counts them. */
async function failedCalls(): Promise<number> {
  const lines = (await apiServer.metrics()).split('\n');
  const failed = lines.filter((line) =>
    /^apiserver_admission_webhook_(rejection_count\{.*calling_webhook_error|fail_open_count\{)/.test(line),
  );
  return failed.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const EVERY_MS = 50;

/** Asks for a pod twenty times a second, until it is stopped. @param mayPass whether a pod may come back as it was */
function load({ mayPass = false } = {}) {
  const failures: unknown[] = [];
  const pending = new Set<Promise<void>>();
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    const answered = ask().finally(() => pending.delete(answered));
    pending.add(answered);
  }, EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      return { sent, failures };
    },
  };

  async function ask(): Promise<void> {
    try {
      const { status, body } = await create();
      if (status !== 201 || (body.spec?.hostUsers !== false && !mayPass)) failures.push({ status, message: body.message });
    } catch (error) {
      failures.push(error);
    }
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass within a minute\n${await nodeLog()}`);
    await pause(100);
  }
}
