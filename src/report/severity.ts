import type { Finding } from '../core/rules/rule.ts';

/** How bad a finding is, from the worst. */
export const SEVERITIES = ['wall', 'device', 'escape', 'promise', 'unknown'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Rules about the wall itself, and about what reaches the host past it. */
const WALL: ReadonlySet<string> = new Set([
  'user-namespace',
  'runtime-class',
  'runtime-annotations',
  'sysbox-mode',
  'host-namespaces',
  'privileged',
  'volume-types',
  'mount-propagation',
  'mirror-pod',
  'windows',
]);
/** Rules about capabilities and devices. */
const DEVICES: ReadonlySet<string> = new Set(['capabilities', 'block-devices', 'extended-resources', 'resource-claims', 'huge-pages']);
/** Rules whose findings are no escapes. */
const GRANTS: ReadonlySet<string> = new Set(['capability-grant', 'image-storage', 'rootful-engine', 'workspace-container']);
const WARNINGS: ReadonlySet<string> = new Set(['unknown-fields']);

export const RANKED_RULES: readonly string[] = [...WALL, ...DEVICES, ...GRANTS, ...WARNINGS];

/** The worst that a finding of a rule can be. */
export function severityOfRule(rule: string): Severity {
  if (WALL.has(rule)) return 'wall';
  if (DEVICES.has(rule)) return 'device';
  if (GRANTS.has(rule)) return 'promise';
  return WARNINGS.has(rule) ? 'unknown' : 'escape';
}

export function severityOf({ rule, kind }: Pick<Finding, 'rule' | 'kind'>): Severity {
  if (kind !== 'escape') return kind;
  const severity = severityOfRule(rule);
  return severity === 'wall' || severity === 'device' ? severity : 'escape';
}
