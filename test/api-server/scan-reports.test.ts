import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { chartTool } from '../../tools/programs/chart-tools.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { only, rendered, run } from '../support/helm.ts';
import { createReportDefinition, OPEN_REPORTS } from '../support/report-definition.ts';
import { cloister, type Ran } from '../support/run.ts';

/** The reports of `cloister scan` as a user gets them, from pods in a real API server. There are no kubelets. */

interface StoredReport {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly scope: { readonly name: string };
  readonly summary: Readonly<Record<string, number>>;
  readonly results: readonly { readonly rule: string }[];
}

let apiServer: ApiServer & { stop(): Promise<void> };
let kubeconfig = '';
let folder = '';

const scan = (...args: readonly string[]): Promise<Ran> => cloister(['scan', '--kubeconfig', kubeconfig, ...args]);
const write = (...args: readonly string[]): Promise<Ran> => scan('-o', 'openreports', '--write', '--fail-on', 'never', ...args);

async function createPod(namespace: string, name: string, spec: object, labels: object = {}): Promise<void> {
  const containers = [{ name: 'workspace', image: 'registry.example.com/workspace:1' }];
  const pod = { metadata: { name, labels }, spec: { containers, ...spec } };
  const { status, body } = await apiServer.admin.request('POST', `/api/v1/namespaces/${namespace}/pods`, pod);
  if (status !== 201) throw new Error(JSON.stringify(body));
}

/** A pod that has ended is not judged, and is still there: the garbage collector leaves its report to the next scan. */
async function endPod(namespace: string, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
  const contentType = 'application/merge-patch+json';
  const { status, body } = await apiServer.admin.request('PATCH', path, { status: { phase: 'Succeeded' } }, { contentType });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** The pods that have a report. */
async function reported(): Promise<readonly string[]> {
  const { body } = await apiServer.admin.request<{ readonly items: readonly StoredReport[] }>('GET', `${OPEN_REPORTS}/reports`);
  return body.items.map(({ metadata, scope }) => `${metadata.namespace}/${scope.name}`).toSorted();
}

const HOSTILE = { hostPID: true };

beforeAll(async () => {
  apiServer = await startApiServer();
  kubeconfig = await apiServer.kubeconfig('operator', ['system:masters']);
  folder = await mkdtemp(join(tmpdir(), 'cloister-scan-reports-'));
  for (const [name, labels] of Object.entries({ 'cloister-system': {}, 'team-a': { 'cloister.dev/enforce': 'userns' }, 'team-b': {} })) {
    await apiServer.createNamespace(name, labels);
  }
  const { data } = only(await rendered({ scan: { enabled: true } }), 'ConfigMap', 'cloister-config');
  await apiServer.admin.request('POST', '/api/v1/namespaces/cloister-system/configmaps', { metadata: { name: 'cloister-config' }, data });
  // As Helm creates it, before there are entries.
  await apiServer.admin.request('POST', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
    metadata: { name: 'cloister', annotations: { 'meta.helm.sh/release-namespace': 'cloister-system' } },
  });
  await createPod('team-a', 'hostile', HOSTILE);
  await createPod('team-a', 'another', HOSTILE);
  await createPod('team-b', 'opted-in', HOSTILE, { 'cloister.dev/profile': 'userns' });
  await createPod('team-b', 'ungoverned', HOSTILE);
}, 120_000);
afterAll(async () => {
  await apiServer?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('-o html prints the page, and nothing else', async () => {
  const { code, stdout, stderr } = await scan('-o', 'html');
  expect([code, stderr]).toEqual([1, '']);
  expect(stdout).toMatch(/^<!doctype html>/);
  for (const name of ['hostile', 'another', 'opted-in']) expect(stdout).toContain(`>${name}<`);
  expect(stdout).not.toContain('ungoverned');
});

describe('--metrics', () => {
  test('the counts are in the file, which everyone may read and promtool accepts, and the table is printed as ever', async () => {
    const file = join(folder, 'cloister.prom');
    const { code, stdout } = await scan('--metrics', file);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^NAMESPACE /);
    const text = await readFile(file, 'utf8');
    expect(text).toContain('cloister_scan_pods{mode="opt-in",profile="userns",verdict="escapes"} 1');
    expect(text).toContain('cloister_scan_incomplete 0');
    expect((await stat(file)).mode & 0o777).toBe(0o644);
    expect(await run(await chartTool('promtool'), ['check', 'metrics'], text)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await scan('--metrics', file)).code).toBe(1);
    expect(await readdir(folder)).toEqual(['cloister.prom']);
  });

  test('a file that cannot be written is named, after the scan is printed', async () => {
    const { code, stdout, stderr } = await scan('--metrics', '/nowhere/cloister.prom');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^NAMESPACE /);
    expect(stderr).toMatch(
      /^error: --metrics \/nowhere\/cloister\.prom cannot be written: there is no such file or folder; check the name$/m,
    );
  });
});

test('without the definition of Reports, --write prints what to install', async () => {
  const { code, stdout, stderr } = await write();
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error: the cluster has no reports\.openreports\.io: install the CustomResourceDefinitions of OpenReports/m);
});

describe('with the definition', () => {
  beforeAll(() => createReportDefinition(apiServer), 60_000);

  test('-o openreports prints the reports, and writes none', async () => {
    const { code, stdout } = await scan('-o', 'openreports');
    expect(code).toBe(1);
    expect(
      parseAllDocuments(stdout)
        .map((document) => (document.toJS() as StoredReport).scope.name)
        .toSorted(),
    ).toEqual(['another', 'hostile', 'opted-in']);
    expect(await reported()).toEqual([]);
  });

  test('--write writes the reports, and a second scan writes nothing', async () => {
    const { code, stdout, stderr } = await write();
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toMatch(/^3 pods in 2 namespaces: 3 escapes/);
    expect(stderr).toMatch(/^Reports: 3 created, 0 updated, 0 unchanged, 0 deleted\.$/m);
    expect(await reported()).toEqual(['team-a/another', 'team-a/hostile', 'team-b/opted-in']);
    expect((await write()).stderr).toMatch(/^Reports: 0 created, 0 updated, 3 unchanged, 0 deleted\.$/m);
  });

  test('the exit status is that of the scan', async () => {
    expect((await scan('-o', 'openreports', '--write')).code).toBe(1);
  });

  test('--max-reports keeps those of the worst pods, and states how many pods have none', async () => {
    const { code, stderr } = await write('--max-reports', '1');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^2 pods have no Report, because --max-reports is 1\.$/m);
    expect(stderr).toMatch(/^Reports: 0 created, 0 updated, 1 unchanged, 2 deleted\.$/m);
  });

  test('reports of pods that have ended go, also where pods only opt in; with --selector none goes', async () => {
    await write();
    await endPod('team-a', 'another');
    await endPod('team-b', 'opted-in');
    expect((await write('--selector', 'nothing=here')).stderr).toMatch(/^Reports: 0 created, 0 updated, 0 unchanged, 0 deleted\.$/m);
    expect((await write('-n', 'team-a')).stderr).toMatch(/^Reports: 0 created, 0 updated, 1 unchanged, 1 deleted\.$/m);
    expect(await reported()).toEqual(['team-a/hostile', 'team-b/opted-in']);
    expect((await write()).stderr).toMatch(/^Reports: 0 created, 0 updated, 1 unchanged, 1 deleted\.$/m);
    expect(await reported()).toEqual(['team-a/hostile']);
  });

  test('the command line of the chart works with the rights of the chart', async () => {
    const manifests = await rendered({ scan: { enabled: true } });
    const rbac = manifests.filter(({ kind, metadata }) => metadata.name === 'cloister-scan' && /Role|ServiceAccount/.test(kind));
    expect(rbac).toHaveLength(5);
    const { code: applied, stderr: why } = await apiServer.kubectl(['create', '--filename=-'], {
      input: rbac.map((each) => JSON.stringify(each)).join('\n'),
    });
    expect([applied, why]).toEqual([0, '']);
    const config = join(folder, 'config.yaml');
    const { data } = only(manifests, 'ConfigMap', 'cloister-config');
    await writeFile(config, data['config.yaml']);
    const args = only(manifests, 'CronJob', 'cloister-scan').spec.jobTemplate.spec.template.spec.containers[0].args as readonly string[];
    const scanner = await apiServer.serviceAccount('cloister-system', 'cloister-scan');
    const asChart = () =>
      cloister([...args.map((arg) => arg.replace('/etc/cloister/config/config.yaml', config)), '--kubeconfig', scanner.kubeconfig]);
    await createPod('team-a', 'third', HOSTILE);
    let ran = await asChart();
    // The authorizer sees the roles a moment after they are stored; the test's own timeout ends it.
    while (ran.code !== 0) ran = await asChart();
    expect(ran.stderr).toMatch(/^Reports: 1 created, 0 updated, 1 unchanged, 0 deleted\.$/m);
    expect(ran.stderr).not.toMatch(/forbidden/);
  });

  test('rights that --print-rbac prints for named namespaces suffice for them', async () => {
    const flags = ['-n', 'team-a', '--cloister-namespace', 'cloister-system', '-o', 'openreports', '--write'];
    const { stdout } = await scan('--print-rbac', ...flags);
    await apiServer.kubectl(['delete', 'clusterrole,clusterrolebinding', 'cloister-scan']);
    await apiServer.kubectl(['delete', 'role,rolebinding', 'cloister-scan', '--namespace=cloister-system']);
    const { code, stderr } = await apiServer.kubectl(['create', '--filename=-'], { input: stdout });
    expect([code, stderr]).toEqual([0, '']);
    const account = '--serviceaccount=cloister-system:cloister-scan';
    await apiServer.kubectl(['create', 'clusterrolebinding', 'cloister-scan-user', '--clusterrole=cloister-scan-user', account]);
    for (const namespace of ['team-a', 'cloister-system']) {
      await apiServer.kubectl([
        'create',
        'rolebinding',
        'cloister-scan-user',
        '--role=cloister-scan-user',
        account,
        `--namespace=${namespace}`,
      ]);
    }
    const scanner = await apiServer.serviceAccount('cloister-system', 'cloister-scan');
    const asScanner = () => cloister(['scan', ...flags, '--fail-on', 'never', '--kubeconfig', scanner.kubeconfig]);
    let ran = await asScanner();
    while (ran.code !== 0) ran = await asScanner(); // the test's own timeout ends it
    expect(ran.stderr).toMatch(/^Reports: 0 created, 0 updated, 2 unchanged, 0 deleted\.$/m);
  });
});
