import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHART } from './helm.ts';

/** What an expression of PromQL asks for. */
export interface Asked {
  readonly metric: string;
  /** Labels that it selects or groups by. */
  readonly labels: readonly string[];
}

/** Labels that scraping adds, and those of a histogram's buckets. */
const GIVEN = ['instance', 'le'];

/** The metrics of an expression: each with the labels in its own braces and those that the expression groups by. */
export function askedBy(expression: string): readonly Asked[] {
  const groups = [...expression.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((each) => each.trim()),
  );
  const selections = expression.matchAll(/\b((?:cloister|apiserver|process|nodejs)_\w+)(?:\{([^}]*)\})?/g);
  return [...selections].map(([, metric = '', selected = '']) => {
    const own = [...selected.matchAll(/(\w+)\s*[=!]~?/g)].map(([, label = '']) => label);
    return { metric, labels: [...new Set([...own, ...groups])].filter((label) => !GIVEN.includes(label)) };
  });
}

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export function dashboardPanels(): readonly Panel[] {
  return JSON.parse(readFileSync(join(CHART, 'dashboards/cloister.json'), 'utf8')).panels;
}

/** Metrics in Prometheus' text format: of each, the labels of its series. */
export function labelsIn(exposition: string): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const line of exposition.split('\n')) {
    const [, metric, labels = ''] = /^([a-z_:][\w:]*)(?:\{(.*)\})? /i.exec(line) ?? [];
    if (metric === undefined) continue;
    const known = found.get(metric) ?? new Set<string>();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    found.set(metric, known);
  }
  return found;
}

/** Of the API server's own metrics, those that alerts and dashboard use. A test holds them against a real one's. */
export const API_SERVER_METRICS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['apiserver_admission_webhook_fail_open_count', new Set(['name', 'type'])],
  ['apiserver_validating_admission_policy_check_total', new Set(['policy', 'policy_binding', 'enforcement_action', 'error_type'])],
  ['apiserver_admission_webhook_rejection_count', new Set(['name', 'type', 'operation', 'error_type', 'rejection_code'])],
]);
