import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import { type ReportWrites, writeOpenReports } from '../../src/cluster/open-reports.ts';
import { openReportsOf, printOpenReports, REPORT_LABELS } from '../../src/report/scan/open-reports.ts';
import type { ScanRow } from '../../src/report/scan/scan-report.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { only, rendered } from '../support/helm.ts';
import { createReportDefinition, OPEN_REPORTS } from '../support/report-definition.ts';
import { HOST_PATH, NO_CAPABILITIES, PRIVILEGED, ROWS, reportOf, rowOf } from '../support/scan-reports.ts';

/** Reports of `cloister scan` in a real API server, with the definition that OpenReports publishes. */

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

interface StoredReport {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string; readonly labels: object };
  readonly results: readonly { readonly rule: string; readonly timestamp: { readonly seconds: number }; readonly message: string }[];
}

let apiServer: ApiServer & { stop(): Promise<void> };

beforeAll(async () => {
  apiServer = await startApiServer();
}, 120_000);
afterAll(() => apiServer?.stop());

interface WriteOptions {
  readonly kubeconfig?: string;
  /** Default: those of the rows. */
  readonly namespaces?: readonly string[];
  readonly time?: Date;
  readonly maxReports?: number;
}

/** What one scan with this result writes, as the cluster's administrator unless a kubeconfig says otherwise. */
async function write(rows: readonly ScanRow[], options: WriteOptions = {}): Promise<ReportWrites> {
  const { kubeconfig = apiServer.admin.kubeconfig, maxReports = 1_000, time } = options;
  const report = reportOf(rows, time === undefined ? {} : { time });
  const namespaces = options.namespaces ?? report.namespaces;
  const api = await openApi({ kubeconfig, whenForbidden: 'ADVICE' });
  if (!api.ok) throw new Error(api.error);
  const { reports } = openReportsOf(report, { maxReports });
  return writeOpenReports(api.value, { reports, namespaces }, REPORT_LABELS, AbortSignal.timeout(60_000));
}

/** The rows as rows of pods that exist: the garbage collector deletes the report of any other pod. */
async function ofLivePods(rows: readonly ScanRow[]): Promise<readonly ScanRow[]> {
  const live: ScanRow[] = [];
  for (const row of rows) {
    const pod = { metadata: { name: row.name }, spec: { containers: [{ name: 'a', image: 'b' }] } };
    const path = `/api/v1/namespaces/${row.namespace}/pods`;
    const { status, body } = await apiServer.admin.request<{ readonly metadata: { readonly uid: string } }>('POST', path, pod);
    if (status !== 201) throw new Error(JSON.stringify(body));
    live.push({ ...row, uid: body.metadata.uid });
  }
  return live;
}

async function stored(namespace?: string): Promise<readonly StoredReport[]> {
  const path = namespace === undefined ? `${OPEN_REPORTS}/reports` : `${OPEN_REPORTS}/namespaces/${namespace}/reports`;
  return (await apiServer.admin.request<{ readonly items: readonly StoredReport[] }>('GET', path)).body.items;
}

/** The requests that change reports. */
async function changes(): Promise<number> {
  const verbs = ['create', 'update', 'patch', 'delete', 'deletecollection'];
  return (await apiServer.auditLog()).filter(({ verb, objectRef }) => objectRef?.resource === 'reports' && verbs.includes(verb)).length;
}

const NONE = { created: 0, updated: 0, unchanged: 0, deleted: 0, problems: [] };

test('without the definition, one sentence says what to install', async () => {
  expect(await write(ROWS)).toEqual({
    ...NONE,
    problems: ['the cluster has no reports.openreports.io: install the CustomResourceDefinitions of OpenReports, or choose another output'],
  });
});

describe('with the definition', () => {
  let usual: readonly ScanRow[];

  beforeAll(async () => {
    await createReportDefinition(apiServer);
    for (const name of ['team-a', 'team-b', 'team-c']) await apiServer.createNamespace(name);
    usual = await ofLivePods(ROWS);
  }, 60_000);

  test('kubectl applies the printed stream, with every field known', async () => {
    const input = printOpenReports(openReportsOf(reportOf(usual), { maxReports: 1_000 }));
    const applied = await apiServer.kubectl(['create', '--dry-run=server', '--validate=strict', '--filename=-'], { input });
    expect(applied).toMatchObject({ code: 0, stderr: '' });
    expect(applied.stdout.trim().split('\n')).toHaveLength(6);
  });

  test('a scan creates its reports, and a second one writes nothing', async () => {
    expect(await write(usual)).toEqual({ ...NONE, created: 6 });
    const first = await stored();
    const before = await changes();
    expect(await write(usual, { time: new Date('2026-12-01T00:00:00Z') })).toEqual({ ...NONE, unchanged: 6 });
    expect(await changes()).toBe(before);
    expect(await stored()).toEqual(first);
    expect(first[0]?.results[0]).toMatchObject({ timestamp: { seconds: 1_796_029_200, nanos: 250_000_000 } });
  });

  test('a new finding is added with its time, and the others keep theirs', async () => {
    const [worst, ...others] = usual as [ScanRow, ...ScanRow[]];
    const rows = [{ ...worst, findings: [...worst.findings, NO_CAPABILITIES] }, ...others];
    expect(await write(rows, { time: new Date('2026-12-01T00:00:00Z') })).toEqual({ ...NONE, updated: 1, unchanged: 5 });
    const report = (await stored('team-a')).find(({ metadata }) => metadata.name === worst.uid);
    const known = 1_796_029_200;
    expect(report?.results.map(({ rule, timestamp }) => [rule, timestamp.seconds])).toEqual([
      ['privileged', known],
      ['volume-types', known],
      ['capability-grant', Date.parse('2026-12-01') / 1_000],
      ['capabilities', known],
    ]);
    expect(await write(usual)).toEqual({ ...NONE, updated: 1, unchanged: 5 });
  });

  test('labels and fields of others stay, and only the lost ones return', async () => {
    const { uid } = usual[0] as ScanRow;
    const path = `${OPEN_REPORTS}/namespaces/team-a/reports/${uid}`;
    const merge = (patch: object) => apiServer.admin.request('PATCH', path, patch, { contentType: 'application/merge-patch+json' });
    await merge({ metadata: { labels: { team: 'x' }, annotations: { note: 'y' } } });
    expect(await write(usual)).toEqual({ ...NONE, unchanged: 6 });
    await merge({ metadata: { ownerReferences: null }, summary: { fail: 0 } });
    expect(await write(usual)).toEqual({ ...NONE, updated: 1, unchanged: 5 });
    const { body } = await apiServer.admin.request('GET', path);
    expect(body).toMatchObject({
      metadata: { labels: { team: 'x', ...REPORT_LABELS }, annotations: { note: 'y' }, ownerReferences: [{ uid }] },
      summary: { fail: 2 },
    });
  });

  test('the report of a pod that is gone, or has nothing to report any more, is deleted where the scan was complete', async () => {
    const rest = usual.filter(({ name }) => name !== 'ws-2' && name !== 'legacy-0');
    expect(await write(rest, { namespaces: ['team-a'] })).toEqual({ ...NONE, unchanged: 4, deleted: 1 });
    expect((await stored('team-b')).length).toBe(3);
    expect(await write(rest)).toEqual({ ...NONE, unchanged: 4, deleted: 1 });
    expect(await write([rowOf()], { namespaces: ['team-c'] })).toEqual({ ...NONE, deleted: 1 });
  });

  test('reports of other tools are not touched', async () => {
    const metadata = { name: 'other', labels: { 'app.kubernetes.io/managed-by': 'kyverno' } };
    const other = { apiVersion: 'openreports.io/v1alpha1', kind: 'Report', metadata, source: 'kyverno', results: [] };
    const { status } = await apiServer.admin.request('POST', `${OPEN_REPORTS}/namespaces/team-a/reports`, other);
    expect(status).toBe(201);
    expect((await write([], { namespaces: ['team-a', 'team-b', 'team-c'] })).deleted).toBe(3);
    expect((await stored()).map(({ metadata }) => metadata.name)).toEqual(['other']);
  });

  test('a report of the same name that another client made is left to it, and named', async () => {
    const [row] = (await ofLivePods([rowOf({ name: 'contended', findings: [PRIVILEGED] })])) as [ScanRow];
    const other = { apiVersion: 'openreports.io/v1alpha1', kind: 'Report', metadata: { name: row.uid }, source: 'another' };
    await apiServer.admin.request('POST', `${OPEN_REPORTS}/namespaces/team-a/reports`, other);
    expect(await write([row])).toEqual({
      ...NONE,
      problems: [
        `Report team-a/${row.uid} was not written, because another client made a Report of this name: read it, delete it with \`kubectl delete reports.openreports.io ${row.uid} --namespace team-a\`, and scan again`,
      ],
    });
    await apiServer.admin.request('DELETE', `${OPEN_REPORTS}/namespaces/team-a/reports/${row.uid}`);
  });

  test('more reports than a page are written, kept to a maximum, and removed', async () => {
    const names = Array.from({ length: 250 }, (_, index) => `many-${index}`);
    const rows = await ofLivePods(names.map((name) => rowOf({ name, findings: [PRIVILEGED, HOST_PATH] })));
    expect(await write(rows)).toEqual({ ...NONE, created: 250 });
    expect(await write(rows)).toEqual({ ...NONE, unchanged: 250 });
    expect(await write(rows, { maxReports: 20 })).toEqual({ ...NONE, unchanged: 20, deleted: 230 });
    expect(await write([rowOf()])).toEqual({ ...NONE, deleted: 20 });
  }, 120_000);

  test('a namespace that is gone, or about to go, is no problem', async () => {
    await apiServer.createNamespace('going');
    // It stays about to go, because of an object with a finalizer.
    const metadata = { name: 'held', finalizers: ['example.com/held'] };
    await apiServer.admin.request('POST', '/api/v1/namespaces/going/configmaps', { metadata });
    await apiServer.admin.request('DELETE', '/api/v1/namespaces/going');
    const rows = ['going', 'gone'].map((namespace) => rowOf({ namespace, name: namespace, findings: [PRIVILEGED] }));
    expect(await write(rows)).toEqual(NONE);
  });

  test('a report goes with its pod, also when no scan follows', async () => {
    const rows = await ofLivePods(['stays', 'goes'].map((name) => rowOf({ namespace: 'team-c', name, findings: [PRIVILEGED] })));
    expect(await write(rows)).toEqual({ ...NONE, created: 2 });
    await apiServer.admin.request('DELETE', '/api/v1/namespaces/team-c/pods/goes', { gracePeriodSeconds: 0 });
    // The garbage collector learns of new kinds every 30 seconds. The test's own timeout ends it.
    while ((await stored('team-c')).length > 1) await sleep(200);
    expect((await stored('team-c')).map(({ metadata }) => metadata.name)).toEqual([rows[0]?.uid]);
    expect(await write([], { namespaces: ['team-c'] })).toEqual({ ...NONE, deleted: 1 });
  }, 90_000);

  describe('RBAC', () => {
    const ALL = ['get', 'list', 'create', 'patch', 'update', 'delete'];
    let rows: readonly ScanRow[];
    beforeAll(async () => {
      const names = ['team-a', 'team-b', 'team-c'];
      rows = await ofLivePods(names.map((namespace) => rowOf({ namespace, name: `in-${namespace}`, findings: [PRIVILEGED] })));
    });

    /** @param rights by namespace; '' stands for all */
    async function user(name: string, rights: Readonly<Record<string, readonly string[]>>): Promise<string> {
      const kubeconfig = await apiServer.kubeconfig(name);
      for (const [namespace, verbs] of Object.entries(rights)) {
        const isWide = namespace === '';
        const path = isWide ? RBAC : `${RBAC}/namespaces/${namespace}`;
        const kind = isWide ? 'ClusterRole' : 'Role';
        const rules = [{ apiGroups: ['openreports.io'], resources: ['reports'], verbs }];
        const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
        const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name };
        await apiServer.admin.request('POST', `${path}/${kind.toLowerCase()}s`, { metadata: { name }, rules });
        await apiServer.admin.request('POST', `${path}/${kind.toLowerCase()}bindings`, { metadata: { name }, roleRef, subjects });
        const can = [
          'auth',
          'can-i',
          '--quiet',
          verbs.at(-1) ?? '',
          'reports.openreports.io',
          ...(isWide ? ['--all-namespaces'] : [`--namespace=${namespace}`]),
        ];
        // The test's own timeout ends it.
        while ((await apiServer.kubectl(can, { as: kubeconfig })).code !== 0);
      }
      return kubeconfig;
    }

    test('a namespace without the right is named with it, and the others are written', async () => {
      const kubeconfig = await user('two-of-three', { 'team-a': ALL, 'team-b': ALL });
      const writes = await write(rows, { kubeconfig });
      expect(writes).toEqual({ ...NONE, created: 2, problems: [expect.any(String)] });
      expect(writes.problems[0]).toMatch(
        /^cannot list Report objects in team-c: .* User "two-of-three" cannot list resource "reports" in API group "openreports\.io" in the namespace "team-c"; ADVICE$/,
      );
    });

    test('a missing right of several namespaces is one sentence', async () => {
      const kubeconfig = await user('reader', { '': ['list'] });
      const more = await ofLivePods(rows.map((row) => ({ ...row, name: `another-${row.name}` })));
      const writes = await write([...rows, ...more], { kubeconfig });
      expect(writes).toEqual({ ...NONE, unchanged: 2, problems: [expect.any(String)] });
      expect(writes.problems[0]).toMatch(
        /cannot patch resource "reports" .* in the namespace "team-[abc]"; ADVICE \(the same in team-[abc], team-[abc]\)$/,
      );
    });

    test.each([
      ['update', ALL.filter((verb) => verb !== 'update')],
      ['delete', ALL.filter((verb) => verb !== 'delete')],
    ])('without the right to %s, the sentence says so', async (verb, verbs) => {
      await write(rows);
      const kubeconfig = await user(`no-${verb}`, { '': verbs });
      const changed = verb === 'update' ? rows.map((row) => ({ ...row, findings: [HOST_PATH] })) : [];
      const { problems } = await write(changed, { kubeconfig, namespaces: ['team-a'] });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain(`User "no-${verb}" cannot ${verb} resource "reports"`);
    });

    test('the rights that the chart gives a scan are enough', async () => {
      const { rules } = only(await rendered({ scan: { enabled: true } }), 'ClusterRole', 'cloister-scan');
      const { verbs } = rules.find(({ apiGroups: [group] }: { readonly apiGroups: readonly string[] }) => group === 'openreports.io');
      const kubeconfig = await user('enough', { '': verbs });
      await write([], { namespaces: ['team-a', 'team-b', 'team-c'] });
      expect(await write(rows, { kubeconfig })).toEqual({ ...NONE, created: 3 });
      expect(
        await write(
          rows.map((row) => ({ ...row, findings: [HOST_PATH] })),
          { kubeconfig },
        ),
      ).toEqual({ ...NONE, updated: 3 });
      expect(await write([rowOf({ namespace: 'team-a' })], { kubeconfig, namespaces: ['team-a', 'team-b', 'team-c'] })).toEqual({
        ...NONE,
        deleted: 3,
      });
    });
  });
});
