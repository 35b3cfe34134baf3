import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type OpenReport, openReportsOf, printOpenReports } from '../../../src/report/scan/open-reports.ts';
import type { ScanRow } from '../../../src/report/scan/scan-report.ts';
import { goldenFiles } from '../../support/golden.ts';
import { HOST_PATH, NO_CAPABILITIES, NO_USER_NAMESPACES, PRIVILEGED, ROWS, reportOf, rowOf } from '../../support/scan-reports.ts';

const reportsOf = (rows: readonly ScanRow[], maxReports = 1_000): readonly OpenReport[] =>
  openReportsOf(reportOf(rows), { maxReports }).reports;
/** @throws unless there is one */
function onlyReport(...rows: readonly ScanRow[]): OpenReport {
  const [first, ...others] = reportsOf(rows);
  if (first === undefined || others.length > 0) throw new Error(`${others.length + 1} reports`);
  return first;
}
const idsOf = ({ results }: OpenReport): readonly string[] => results.map(({ properties }) => properties.resultID);

test('the stream equals the one that was read, and is YAML with the reports in their order', async () => {
  const made = openReportsOf(reportOf(ROWS), { maxReports: 1_000 });
  const text = printOpenReports(made);
  expect(await goldenFiles('scan-reports').text('reports.yaml', text)).toBe(text);
  expect(parseAllDocuments(text).map((document) => document.toJS())).toEqual(made.reports);
});

test('names that YAML 1.1 takes for truth values or numbers are text for its readers, too', () => {
  for (const name of ['no', 'on', 'y', '1e3', '0x1f', '12:30:45']) {
    const made = openReportsOf(reportOf([rowOf({ name, namespace: name, findings: [PRIVILEGED] })]), { maxReports: 1 });
    expect(parseAllDocuments(printOpenReports(made), { version: '1.1' }).map((document) => document.toJS())).toEqual(made.reports);
  }
});

test('each pod with something to report has a report: named by its UID, in its namespace, owned by it', () => {
  const reports = reportsOf(ROWS);
  expect(reports.map(({ scope }) => (scope as { readonly name: string }).name)).toEqual([
    'ws-1',
    'ws-2',
    'legacy-0',
    'odd',
    'ws-3',
    'waits',
  ]);
  const { metadata } = onlyReport(rowOf({ namespace: 'team-x', name: 'ws', uid: 'u-1', verdict: 'escapes', findings: [PRIVILEGED] }));
  expect(metadata).toMatchObject({
    name: 'u-1',
    namespace: 'team-x',
    ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'ws', uid: 'u-1' }],
  });
});

test('rows of several modes of one pod are one report, where only the mode that enforces fails', () => {
  const { results, summary } = onlyReport(
    rowOf({ verdict: 'escapes', findings: [PRIVILEGED] }),
    rowOf({ mode: 'audit', profile: 'kata-qemu', verdict: 'escapes', findings: [PRIVILEGED] }),
  );
  expect(results.map(({ policy, result }) => [policy, result])).toEqual([
    ['userns', 'fail'],
    ['kata-qemu', 'warn'],
  ]);
  expect(summary).toEqual({ pass: 0, fail: 1, warn: 1, error: 0, skip: 0 });
});

describe('results', () => {
  test.each([
    ['a wall rule', { findings: [PRIVILEGED] }, ['privileged', 'critical', 'fail', 'Wall']],
    ['a mount of the node', { findings: [HOST_PATH] }, ['volume-types', 'critical', 'fail', 'Wall']],
    ['another escape', { findings: [{ ...PRIVILEGED, rule: 'seccomp' }] }, ['seccomp', 'high', 'fail', 'Isolation']],
    ['a device', { findings: [{ ...PRIVILEGED, rule: 'capabilities' }] }, ['capabilities', 'high', 'fail', 'Capabilities and devices']],
    ['a promise', { findings: [NO_CAPABILITIES] }, ['capability-grant', 'medium', 'warn', 'Grant']],
    [
      'an unknown field',
      { findings: [{ ...PRIVILEGED, rule: 'unknown-fields', kind: 'unknown' }] },
      ['unknown-fields', 'low', 'warn', 'Unknown fields'],
    ],
    ['a missing wall', { wall: { state: 'missing', findings: [NO_USER_NAMESPACES] } }, ['wall-userns-feature', 'critical', 'fail', 'Wall']],
    [
      'an error about a wall that is claimed',
      { wall: { state: 'claimed', findings: [NO_USER_NAMESPACES] } },
      ['wall-userns-feature', 'high', 'fail', 'Wall'],
    ],
    [
      'a warning about a wall',
      { wall: { state: 'stands', findings: [{ ...NO_USER_NAMESPACES, severity: 'warning' }] } },
      ['wall-userns-feature', 'medium', 'warn', 'Wall'],
    ],
    ['a pod that cannot be judged', { verdict: 'unjudged', notes: ['no list'] }, ['not-judged', 'medium', 'error', 'Not judged']],
  ] as const)('%s', (_, fields, expected) => {
    const [result, ...others] = onlyReport(rowOf(fields as Partial<ScanRow>)).results;
    expect([result?.rule, result?.severity, result?.result, result?.category]).toEqual(expected);
    expect(others).toEqual([]);
  });

  test('a mode that does not enforce warns of what enforcing refuses, and an opted-in pod is enforced', () => {
    const outcomeIn = (mode: ScanRow['mode']) => onlyReport(rowOf({ mode, findings: [PRIVILEGED] })).results[0]?.result;
    expect((['enforce', 'opt-in', 'warn', 'audit', 'preview'] as const).map(outcomeIn)).toEqual(['fail', 'fail', 'warn', 'warn', 'warn']);
  });

  test('exempted values and notes follow, and are no reason for a report', () => {
    const exempted = [{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'the mesh' }];
    const { results } = onlyReport(rowOf({ exempted, notes: ['old'], findings: [NO_CAPABILITIES] }));
    expect(results.map(({ rule, result, message }) => [rule, result, message])).toEqual([
      ['capability-grant', 'warn', expect.any(String)],
      ['note', 'warn', 'old'],
      ['capabilities', 'skip', 'NET_ADMIN is exempted: the mesh'],
    ]);
    expect(reportsOf([rowOf({ exempted, notes: ['old'] })])).toEqual([]);
  });

  test('the time has seconds and nanoseconds', () => {
    expect(onlyReport(rowOf({ findings: [PRIVILEGED] })).results[0]?.timestamp).toEqual({ seconds: 1_796_029_200, nanos: 250_000_000 });
  });

  test('ids are unique, differ between pods, and stay when texts and other findings change', () => {
    const twice = onlyReport(rowOf({ findings: [PRIVILEGED, PRIVILEGED, HOST_PATH] }));
    expect(new Set(idsOf(twice)).size).toBe(3);
    const elsewhere = onlyReport(rowOf({ uid: 'another', findings: [PRIVILEGED] }));
    expect(idsOf(twice)).not.toContain(idsOf(elsewhere)[0]);
    const later = onlyReport(rowOf({ findings: [{ ...HOST_PATH, message: 'another text' }] }));
    expect(idsOf(twice)).toContain(idsOf(later)[0]);
  });
});

describe('limits', () => {
  test('a report has the 50 worst results, and one that counts the others', () => {
    const promises = Array.from({ length: 60 }, (_, index) => ({ ...NO_CAPABILITIES, path: ['spec', 'containers', index] }));
    const { results, summary } = onlyReport(rowOf({ verdict: 'escapes', findings: [...promises, PRIVILEGED] }));
    expect(results).toHaveLength(51);
    expect(results[0]?.rule).toBe('privileged');
    expect(results[50]?.message).toMatch(/^11 further results are left out/);
    expect(summary).toMatchObject({ fail: 1, warn: 50 });
  });

  test('the worst pods have the reports, and the others are counted', () => {
    const rows = Array.from({ length: 5 }, (_, index) => rowOf({ name: `ws-${index}`, findings: [PRIVILEGED] }));
    const { reports, omitted } = openReportsOf(reportOf([...rows, rowOf({ name: 'clean' })]), { maxReports: 2 });
    expect(reports.map(({ metadata }) => metadata.name)).toEqual(rows.slice(0, 2).map(({ uid }) => uid));
    expect(omitted).toBe(3);
  });

  test('the largest report is far below the limit of etcd', () => {
    const long = '\u202e'.repeat(100_000);
    const finding = { ...PRIVILEGED, container: long, path: ['metadata', 'annotations', long], message: long, remedy: long };
    const findings = Array.from({ length: 100 }, () => finding);
    const text = JSON.stringify(onlyReport(rowOf({ verdict: 'escapes', findings })));
    expect(Buffer.byteLength(text)).toBeLessThan(1_000_000);
    expect(Buffer.byteLength(text)).toBeGreaterThan(100_000);
  });
});
