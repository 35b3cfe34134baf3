import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeMetrics } from '../../src/telemetry/metrics.ts';
import { API_SERVER_METRICS, askedBy, dashboardPanels, labelsIn } from '../support/expressions.ts';
import { CHART } from '../support/helm.ts';

/** Dashboard and alerts ask for what is there: every metric by its name, and by labels that it has. */

const metrics = makeMetrics({ profiles: ['userns'], version: '0.0.0', configuration: '' });
// Whatever can be counted once, so that each series is there with its labels.
metrics.countAnswer(
  {
    phase: 'validate',
    mode: 'enforce',
    profile: 'userns',
    outcome: 'denied',
    verdict: 'refused',
    dryRun: true,
    counts: [{ rule: 'privileged', kind: 'escape', count: 1 }],
    exempted: [{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'a test' }],
  },
  0.001,
);
metrics.countRejection(413);
metrics.countShed('late');
metrics.countWorkerLoss('ended');
metrics.observeBodyBytes(() => 0);
metrics.countFailure();
const exported = new Map([...labelsIn(await metrics.expose()), ...API_SERVER_METRICS]);

/** As the template has them: without what helm fills in, which is never the name of a metric or of a label. */
const alerts = readFileSync(join(CHART, 'templates/monitoring.yaml'), 'utf8')
  .split(/^ {8}- alert: /m)
  .slice(1)
  .map((rule) => [rule.split('\n')[0] ?? '', /expr: (?:\|-\n)?([\s\S]*?)\n {10}\w/.exec(rule)?.[1] ?? ''] as const);
const panels = dashboardPanels().flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const));

test('this test finds alerts, panels and metrics', () => {
  expect([alerts.length, panels.length]).toEqual([14, 26]);
  expect(exported.get('cloister_requests_total')).toEqual(new Set(['phase', 'mode', 'profile', 'outcome']));
  expect(askedBy('sum by (a, b) (rate(cloister_x{c="d", e=~"f"}[5m]))')).toEqual([{ metric: 'cloister_x', labels: ['c', 'e', 'a', 'b'] }]);
});

test.each([...alerts, ...panels])('%s uses only exported metrics and labels: %s', (_, expression) => {
  const asked = askedBy(expression);
  expect(asked.length).toBeGreaterThan(0);
  for (const { metric, labels } of asked) {
    expect(exported.has(metric), metric).toBe(true);
    expect(
      labels.filter((label) => exported.get(metric)?.has(label) !== true),
      metric,
    ).toEqual([]);
  }
});

test('the legend of a panel contains the labels that distinguish its lines', () => {
  for (const { title, targets } of dashboardPanels()) {
    for (const { expr, legendFormat } of targets) {
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      const known = [...askedBy(expr).flatMap(({ labels }) => labels), 'instance'];
      expect(
        named.filter((label) => !known.includes(label)),
        title,
      ).toEqual([]);
    }
  }
});
