import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../src/core/rules/rule.ts';
import { failsScan, SCAN_FAIL_ON, scanFormats } from '../../../src/report/scan/formats.ts';
import type { ScanReport, ScanRow } from '../../../src/report/scan/scan-report.ts';
import { printScanSummary, printScanTable } from '../../../src/report/scan/text.ts';
import { reportOf, rowOf } from '../../support/scan-reports.ts';

const finding = (rule: string): Finding => ({
  rule,
  kind: 'escape',
  path: ['spec', rule],
  message: `${rule} is set`,
  fix: { remove: true },
});
const row = (given: Partial<ScanRow> = {}): ScanRow =>
  rowOf({ uid: given.name ?? 'u1', owner: 'StatefulSet/ws', created: new Date('2030-01-01T00:00:00Z'), ...given });
const report = (rows: readonly ScanRow[], given: Partial<ScanReport> = {}): ScanReport =>
  reportOf(rows, { time: new Date('2030-01-03T12:00:00Z'), namespaces: ['team-a'], ...given });
const MISSING = {
  state: 'missing',
  findings: [{ check: 'userns-unsupported', severity: 'error', message: 'no', remedy: 'yes' }],
} as const;

describe('the table', () => {
  const table = (rows: readonly ScanRow[], options = {}) => printScanTable(report(rows), { isWide: false, all: false, ...options });

  test('names three findings, each once with its number, and counts the rest', () => {
    const findings = ['privileged', 'volume-types', 'volume-types', 'node-name', 'sysctls'].map(finding);
    expect(table([row({ verdict: 'escapes', findings, wall: MISSING })])).toBe(
      'NAMESPACE   POD    MODE      PROFILE       VERDICT   WALL      FINDINGS\n' +
        'team-a      ws-1   enforce   userns/sudo   escapes   missing   privileged, volume-types (2), node-name +2\n',
    );
  });

  test('without anything to print there is no table', () => {
    expect([table([row()]), table([])]).toEqual(['', '']);
    expect(table([row()], { all: true })).toContain('ws-1');
  });

  test('wide has node, class, age and owner', () => {
    expect(table([row()], { all: true, isWide: true }).split('\n')[1]).toMatch(/worker-1 +<none> +2d +StatefulSet\/ws$/);
  });

  test('names of the cluster cannot forge a line', () => {
    const text = table([row({ name: 'a\nb', wall: MISSING })]);
    expect(text.split('\n')).toHaveLength(3);
    expect(text).toContain('a\\u{a}b');
  });
});

describe('the summary', () => {
  test('counts pods, groups their notes, and says whether the webhook has the configuration', () => {
    const rows = [
      row({ name: 'a', verdict: 'escapes' }),
      row({ name: 'a', verdict: 'escapes', mode: 'audit' }),
      row({ name: 'b', notes: ['the pod is old'] }),
      row({ name: 'b', notes: ['the pod is old'], mode: 'audit' }),
      row({ name: 'c', notes: ['the pod is old'], wall: MISSING }),
    ];
    expect(printScanSummary(report(rows, { notes: ['Events are missing.'], isInconsistent: true }))).toBe(
      [
        '3 pods in 1 namespace: 1 escape, 1 wall missing.',
        '2 pods: the pod is old.',
        'Events are missing.',
        'The list of pods took long: later pages may be of a later moment.',
        'The webhook runs the configuration that was scanned with (b24cb24cb24c…).',
        'What is known of a node is what the node says of itself. `cloister explain NAME` explains a finding.',
        '',
      ].join('\n'),
    );
  });

  test('names five mirrors of static pods and counts the others, and json names all', () => {
    const mirrors = Array.from({ length: 7 }, (_, index) => `team-a/static-${index}`);
    const [first] = scanFormats.get('json')?.print(report([], { mirrors }), { all: false, maxReports: 1 }) ?? [];
    expect(printScanSummary(report([], { mirrors }))).toMatch(
      /^Not judged, because they mirror static pods of nodes: (team-a\/static-\d, ){4}team-a\/static-4 and 2 more\.$/m,
    );
    for (const name of mirrors) expect(first).toContain(`"${name}"`);
  });

  test.each([
    [false, 'The webhook runs another configuration than the one that was scanned with (b24cb24cb24c…).\n'],
    [undefined, ''],
  ])('whether the webhook runs the configuration is %s: the summary says what is known', (matchesWebhook, line) => {
    const cluster = { version: undefined, configuration: { sha256: 'b24c'.repeat(16), matchesWebhook } };
    expect(printScanSummary(report([], { cluster }))).toBe(`0 pods in 0 namespaces.\n${line}`);
  });
});

const jsonOf = (rows: readonly ScanRow[]): string =>
  [...(scanFormats.get('json')?.print(report(rows), { all: false, maxReports: 1 }) ?? [])].join('');

test('json has every row, and findings as check prints them', () => {
  const rows = [row({ verdict: 'escapes', findings: [finding('privileged')] }), row()];
  const document = JSON.parse(jsonOf(rows));
  expect(jsonOf(rows)).toBe(`${JSON.stringify(document, null, 2)}\n`);
  expect(jsonOf([])).toBe(`${JSON.stringify(JSON.parse(jsonOf([])), null, 2)}\n`);
  expect(document).toEqual({
    apiVersion: 'cloister.dev/v1alpha1',
    kind: 'ScanReport',
    time: '2030-01-03T12:00:00.000Z',
    seconds: 1.5,
    cluster: { version: 'v1.36.3', configuration: { sha256: 'b24c'.repeat(16), matchesWebhook: true } },
    summary: { pods: 1, namespaces: 1, escapes: 1, promises: 0, wallsMissing: 0, unjudged: 0, inconsistent: false },
    mirrors: [],
    incomplete: [],
    notes: [],
    pods: [
      expect.objectContaining({
        verdict: 'escapes',
        created: '2030-01-01T00:00:00.000Z',
        wall: { is: 'stands', findings: [] },
        findings: [
          {
            rule: 'privileged',
            kind: 'escape',
            path: 'spec.privileged',
            pointer: '/spec/privileged',
            message: 'privileged is set',
            remedy: 'remove it',
            fixable: true,
          },
        ],
      }),
      expect.objectContaining({
        verdict: 'clean',
        node: 'worker-1',
        owner: 'StatefulSet/ws',
        mode: 'enforce',
        profile: 'userns',
        grant: 'sudo',
      }),
    ],
  });
});

test.each([
  ['escapes', row({ verdict: 'escapes' }), ['escape', 'wall', 'promise']],
  ['a pod that cannot be judged', row({ verdict: 'unjudged' }), ['escape', 'wall', 'promise']],
  ['a missing wall', row({ wall: MISSING }), ['wall', 'promise']],
  ['a missing promise', row({ verdict: 'short' }), ['promise']],
  ['nothing', row(), []],
  ['a pod that only audits', row({ verdict: 'escapes', wall: MISSING, mode: 'audit' }), []],
  ['a pod that only warns', row({ verdict: 'escapes', mode: 'warn' }), []],
  ['a preview', row({ verdict: 'escapes', mode: 'preview' }), ['escape', 'wall', 'promise']],
  ['a pod that opts in', row({ verdict: 'short', mode: 'opt-in' }), ['promise']],
])('a scan fails by %s only at the named values of --fail-on', (_, only, failing) => {
  expect(SCAN_FAIL_ON.filter((failOn) => failsScan(report([only]), failOn))).toEqual(failing);
});
