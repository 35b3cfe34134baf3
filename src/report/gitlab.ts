import { entriesOf } from './entries.ts';
import type { CheckReport } from './report.ts';
import type { Severity } from './severity.ts';

const SEVERITIES: Readonly<Record<Severity, string>> = {
  wall: 'blocker',
  device: 'critical',
  escape: 'critical',
  promise: 'minor',
  unknown: 'info',
};

/**
 * A Code Quality report of GitLab.
 * Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
 */
export function printGitlab(report: CheckReport): string {
  const violations = entriesOf(report).map(({ pod, finding, severity, message, fingerprint }) => ({
    description: message,
    check_name: finding.rule,
    fingerprint,
    severity: SEVERITIES[severity],
    location: { path: pod.file, lines: { begin: finding.line, end: finding.endLine } },
  }));
  return `${JSON.stringify(violations, null, 2)}\n`;
}
