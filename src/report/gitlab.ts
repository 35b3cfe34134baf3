import { createHash } from 'node:crypto';
import { entriesOf } from './entries.ts';
import { type CheckReport, notJudgedOf } from './report.ts';
import type { Severity } from './severity.ts';

const SEVERITIES: Readonly<Record<Severity, string>> = {
  wall: 'blocker',
  device: 'critical',
  escape: 'critical',
  promise: 'minor',
  unknown: 'info',
};

/**
 * A Code Quality report of GitLab. What is not judged is a violation of its own, named `not-judged`.
 * Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
 */
export function printGitlab(report: CheckReport): string {
  const findings = entriesOf(report).map(({ pod, finding, severity, message, fingerprint }) => ({
    description: message,
    check_name: finding.rule,
    fingerprint,
    severity: SEVERITIES[severity],
    location: { path: pod.file, lines: { begin: finding.line, end: finding.endLine } },
  }));
  const others = notJudgedOf(report).map(({ file, line, endLine, message }) => ({
    description: message,
    check_name: 'not-judged',
    fingerprint: createHash('sha256')
      .update(JSON.stringify([file, line, message]))
      .digest('hex'),
    severity: SEVERITIES.unknown,
    location: { path: file, lines: { begin: line, end: endLine } },
  }));
  return `${JSON.stringify([...findings, ...others], null, 2)}\n`;
}
