import { expect, test } from 'vitest';
import { printScanMetrics } from '../../../src/report/scan/metrics.ts';
import { goldenFiles } from '../../support/golden.ts';
import { ROWS, reportOf, rowOf } from '../../support/scan-reports.ts';

const linesOf = async (...rows: Parameters<typeof reportOf>): Promise<readonly string[]> =>
  (await printScanMetrics(reportOf(...rows))).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('the metrics equal those that were read', async () => {
  const text = await printScanMetrics(reportOf(ROWS, { incomplete: ['pods of namespace team-d cannot be read'] }));
  expect(await goldenFiles('scan-reports').text('metrics.prom', text)).toBe(text);
});

test('each row counts by mode, profile and verdict, and each pod once for the wall of a profile', async () => {
  const pod = rowOf({ name: 'twice' });
  const lines = await linesOf([
    pod,
    { ...pod, mode: 'audit', profile: 'gvisor', verdict: 'escapes', wall: { state: 'none', findings: [] } },
    { ...pod, mode: 'warn' },
    rowOf(),
  ]);
  expect(lines.filter((line) => !/ 0$/.test(line) && /_(?:pods|walls)\{/.test(line))).toEqual([
    'cloister_scan_pods{mode="enforce",profile="userns",verdict="clean"} 2',
    'cloister_scan_pods{mode="audit",profile="gvisor",verdict="escapes"} 1',
    'cloister_scan_pods{mode="warn",profile="userns",verdict="clean"} 1',
    'cloister_scan_walls{profile="userns",wall="stands"} 2',
    'cloister_scan_walls{profile="gvisor",wall="none"} 1',
  ]);
});

test('a mode and a profile that a pod has come with every verdict and every state of the wall', async () => {
  const lines = await linesOf([rowOf()]);
  expect(lines.filter((line) => line.startsWith('cloister_scan_pods'))).toHaveLength(4);
  expect(lines.filter((line) => line.startsWith('cloister_scan_walls'))).toHaveLength(5);
});

test('the profile of a pod that is not judged is no label, because a tenant may have written it', async () => {
  const lines = await linesOf([rowOf({ profile: 'tenant-text', grant: '', verdict: 'unjudged' })]);
  expect(lines.join('\n')).toContain('cloister_scan_pods{mode="enforce",profile="unknown",verdict="unjudged"} 1');
  expect(lines.join('\n')).not.toContain('tenant-text');
});

test('no name of a pod, a namespace or a node is in the metrics', async () => {
  const text = await printScanMetrics(reportOf(ROWS));
  for (const { name, namespace, uid, node = name } of ROWS)
    for (const each of [name, namespace, uid, node]) expect(text).not.toContain(each);
});

test('time, duration and completeness are those of the scan', async () => {
  const rest = async (incomplete: readonly string[]) => (await linesOf([], { incomplete })).join('\n');
  expect(await rest([])).toBe(
    'cloister_scan_incomplete 0\ncloister_scan_timestamp_seconds 1796029200.25\ncloister_scan_duration_seconds 1.5',
  );
  expect(await rest(['x'])).toContain('cloister_scan_incomplete 1\n');
});
