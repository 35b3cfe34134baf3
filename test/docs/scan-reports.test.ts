import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { printScanMetrics } from '../../src/report/scan/metrics.ts';
import { openReportsOf } from '../../src/report/scan/open-reports.ts';
import type { ScanRow } from '../../src/report/scan/scan-report.ts';
import { askedBy, labelsIn } from '../support/expressions.ts';
import { NO_CAPABILITIES, NO_USER_NAMESPACES, PRIVILEGED, ROWS, reportOf, rowOf } from '../support/scan-reports.ts';
import { readPage, sectionOf } from './page.ts';

const page = readPage('docs/scan-reports.md');
const metrics = labelsIn(await printScanMetrics(reportOf(ROWS)));

/** The cells of a row, without marks. */
const rowsOf = (section: string): readonly (readonly string[])[] =>
  [...sectionOf(page, section).matchAll(/^\| (?!-)(.*) \|$/gm)].map(([, row = '']) =>
    row.split('|').map((cell) => cell.replaceAll('`', '').trim()),
  );

test('the page lists exactly the metrics of a scan, with their labels', () => {
  const listed = rowsOf('Metrics')
    .slice(1)
    .map(([name = '', labels = '']) => [name, new Set(labels.split(', ').filter((label) => label !== ''))]);
  expect(new Map(listed as [string, Set<string>][])).toEqual(metrics);
});

test('the alerts of the page ask for metrics and labels that exist', () => {
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(sectionOf(page, 'Metrics')) ?? [];
  const { groups } = parse(yaml) as { readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[] };
  const asked = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => askedBy(expr)));
  expect(asked.length).toBeGreaterThan(3);
  for (const { metric, labels } of asked) expect([...(metrics.get(metric) ?? [])], metric).toEqual(expect.arrayContaining([...labels]));
});

const FOUND: Readonly<Record<string, Partial<ScanRow>>> = {
  'such as privileged': { findings: [PRIVILEGED] },
  'such as capabilities': { findings: [{ ...PRIVILEGED, rule: 'capabilities' }] },
  'such as seccomp': { findings: [{ ...PRIVILEGED, rule: 'seccomp' }] },
  'a wall that is missing': { wall: { state: 'missing', findings: [NO_USER_NAMESPACES] } },
  'such as wall-class-gone': { wall: { state: 'claimed', findings: [{ ...NO_USER_NAMESPACES, check: 'class-gone' }] } },
  'such as wall-shared-claim': { wall: { state: 'stands', findings: [{ ...NO_USER_NAMESPACES, severity: 'warning' }] } },
  'such as wall-service-account': { verdict: 'short', wall: { state: 'stands', findings: [{ ...NO_USER_NAMESPACES, severity: 'info' }] } },
  'such as capability-grant': { findings: [NO_CAPABILITIES] },
  '(unknown-fields)': { findings: [{ ...PRIVILEGED, rule: 'unknown-fields', kind: 'unknown' }] },
  '(not-judged)': { verdict: 'unjudged' },
  'an exemption lets through': { verdict: 'escapes', exempted: [{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'mesh' }] },
  '(note)': { findings: [PRIVILEGED], notes: ['the pod is old'] },
  '(further-results)': { findings: Array.from({ length: 51 }, () => PRIVILEGED) },
};

test.each(Object.entries(FOUND))('the table of results is true of what the row "%s" describes', (text, fields) => {
  const [row, ...others] = rowsOf('Reports in the cluster: openreports').filter(([what = '']) => what.includes(text));
  expect(others).toEqual([]);
  const { reports } = openReportsOf(reportOf([rowOf(fields)]), { maxReports: 1 });
  const result = reports[0]?.results.at(-1);
  expect(row?.slice(1)).toEqual([result?.result, result?.severity, result?.category]);
});

test('each row of the table of results is tested', () => {
  expect(rowsOf('Reports in the cluster: openreports').slice(1)).toHaveLength(Object.keys(FOUND).length);
});
