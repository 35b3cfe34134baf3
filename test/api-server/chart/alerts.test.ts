import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { chartTool } from '../../../tools/programs/chart-tools.ts';
import { only, rendered, run } from '../../support/helm.ts';

/** The alerts, judged by Prometheus' own tool. */

const TESTS = join(import.meta.dirname, 'alerts.yaml');

let folder: string;
let names: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-alerts-'));
  const { spec } = only(await rendered({ monitoring: { prometheusRule: { enabled: true } } }), 'PrometheusRule');
  names = spec.groups.flatMap(({ rules }: { rules: readonly { alert: string }[] }) => rules.map(({ alert }) => alert));
  await writeFile(join(folder, 'rules.yaml'), stringify(spec));
  await copyFile(TESTS, join(folder, 'alerts.yaml'));
  await chartTool('promtool');
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('promtool accepts the alerts', async () => {
  const { stdout, stderr, code } = await run(await chartTool('promtool'), [
    'check',
    'rules',
    '--lint=all',
    '--lint-fatal',
    join(folder, 'rules.yaml'),
  ]);
  expect(stderr).toBe('');
  expect(stdout).toContain(`SUCCESS: ${names.length} rules found`);
  expect(code).toBe(0);
});

test('each alert has one test that it fires and one that it does not', async () => {
  interface Case {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[];
  }
  const { tests } = parse(await readFile(TESTS, 'utf8')) as { readonly tests: readonly Case[] };
  const tested = tests.flatMap(({ alert_rule_test }) =>
    alert_rule_test.map(({ alertname, exp_alerts }) => `${alertname} ${exp_alerts.length}`),
  );
  expect(tested.sort()).toEqual(names.flatMap((name) => [`${name} 0`, `${name} 1`]).sort());
});

test('the tests of the alerts pass in promtool', async () => {
  const { stdout, stderr, code } = await run(await chartTool('promtool'), ['test', 'rules', join(folder, 'alerts.yaml')]);
  expect(stdout + stderr).toContain('SUCCESS');
  expect(code).toBe(0);
});
