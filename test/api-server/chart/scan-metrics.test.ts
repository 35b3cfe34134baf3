import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { printScanMetrics } from '../../../src/report/scan/metrics.ts';
import { chartTool } from '../../../tools/programs/chart-tools.ts';
import { readPage, sectionOf } from '../../docs/page.ts';
import { run } from '../../support/helm.ts';
import { ROWS, reportOf, rowOf } from '../../support/scan-reports.ts';

/** The metrics of `cloister scan` and the alerts of its page, judged by Prometheus' own tool. */

let folder: string;
let promtool: string;
beforeAll(async () => {
  promtool = await chartTool('promtool');
  folder = await mkdtemp(join(tmpdir(), 'cloister-scan-metrics-'));
  const [, alerts = ''] = /```yaml\n([\s\S]*?)```/.exec(sectionOf(readPage('docs/scan-reports.md'), 'Metrics')) ?? [];
  await writeFile(join(folder, 'rules.yaml'), alerts);
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('promtool reports nothing about the metrics of', () => {
  test.each([
    ['an empty scan', []],
    ['a scan', ROWS],
    ['profiles with unusual names', [rowOf({ profile: 'a"b\\c\nd' })]],
  ])('%s', async (_, rows) => {
    const { code, stdout, stderr } = await run(promtool, ['check', 'metrics'], await printScanMetrics(reportOf(rows)));
    expect([code, stdout, stderr]).toEqual([0, '', '']);
  });

  test('promtool sees a mistake', async () => {
    const { code } = await run(
      promtool,
      ['check', 'metrics'],
      (await printScanMetrics(reportOf(ROWS))).replace('"clean"} 2', '"clean"} two'),
    );
    expect(code).not.toBe(0);
  });
});

test('promtool accepts the alerts of the page', async () => {
  const { code, stdout, stderr } = await run(promtool, ['check', 'rules', '--lint=all', '--lint-fatal', join(folder, 'rules.yaml')]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('SUCCESS: 3 rules found');
});

/** The samples of a scan, each with one value for the whole time of a test. */
async function seriesOf(report: Parameters<typeof printScanMetrics>[0]): Promise<readonly object[]> {
  const lines = (await printScanMetrics(report)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const at = line.lastIndexOf(' ');
    return { series: line.slice(0, at), values: `${line.slice(at + 1)}x2000` };
  });
}

const HOUR = 3_600;

test.each([
  ['a scan of an hour ago without findings', reportOf([rowOf()], { time: new Date(0) }), HOUR, {}],
  ['findings in a mode that only audits', reportOf([rowOf({ mode: 'audit', verdict: 'escapes' })], { time: new Date(0) }), HOUR, {}],
  [
    'a pod that escapes, and a wall that is missing',
    reportOf(ROWS, { time: new Date(0) }),
    HOUR,
    { CloisterWallMissing: 'userns', CloisterPodsEscape: 'userns' },
  ],
  ['a scan of thirteen hours ago', reportOf([], { time: new Date(0) }), 13 * HOUR, { CloisterScanOverdue: '' }],
  ['a scan that could not read everything', reportOf([], { time: new Date(0), incomplete: ['x'] }), HOUR, { CloisterScanOverdue: '' }],
])('the alerts after %s', async (_, report, seconds, firing: Readonly<Record<string, string>>) => {
  const { groups } = parse(/```yaml\n([\s\S]*?)```/.exec(sectionOf(readPage('docs/scan-reports.md'), 'Metrics'))?.[1] ?? '') as {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
  };
  const names = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  const promql = names.map((alertname) => ({
    expr: `count by (alertname, profile) (ALERTS{alertname="${alertname}"})`,
    eval_time: `${seconds}s`,
    exp_samples:
      firing[alertname] === undefined
        ? []
        : [{ labels: `{alertname="${alertname}"${firing[alertname] === '' ? '' : `, profile="${firing[alertname]}"`}}`, value: 1 }],
  }));
  const tests = {
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: [{ interval: '1m', input_series: await seriesOf(report), promql_expr_test: promql }],
  };
  await writeFile(join(folder, 'test.yaml'), stringify(tests));
  const { code, stdout, stderr } = await run(promtool, ['test', 'rules', join(folder, 'test.yaml')]);
  expect(stdout + stderr).toContain('SUCCESS');
  expect(code).toBe(0);
});
