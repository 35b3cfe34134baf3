import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { describe } from './entries.ts';
import { type CaseOutcome, printSuites } from './junit-xml.ts';
import {
  type CheckReport,
  describeUnattributed,
  isEnforced,
  isUnattributed,
  type PodReport,
  type ReportContext,
  type SkippedFile,
  titleOf,
  type UnjudgedReport,
} from './report.ts';

/**
 * JUnit's XML, which most CI systems read: a suite for each file, and a case for each pod. Escapes fail a case; promises alone, and what is not judged,
 * skip it. What `cloister fix` would do is the output of the case.
 */
export function printJunit({ pods, unjudged, skipped }: CheckReport, { seconds }: ReportContext): string {
  const cases = [
    ...pods.map((pod) => ({ file: pod.file, name: `${pod.kind} ${pod.namespace}/${pod.name || '(no name)'}`, ...outcomeOf(pod) })),
    ...unjudged.map((object) => ({ file: object.file, name: titleOf(object), ...outcomeOfUnjudged(object) })),
    ...skipped.map((each) => ({ file: each.file, name: each.isRest ? 'the rest of the file' : 'the file', ...outcomeOfSkipped(each) })),
  ];
  return printSuites('cloister check', cases, seconds);
}

function outcomeOf(pod: PodReport): CaseOutcome {
  const { findings, verdict, profile, grant } = pod;
  const fixes = findings.filter(({ fix }) => fix !== undefined).map((finding) => `${describe(finding)}`);
  const output = fixes.length === 0 ? [] : ['`cloister fix` changes:', ...fixes];
  if (isEnforced(pod) && findings.some(({ kind }) => kind === 'escape')) {
    const lines = findings.map(
      (finding) => `${pod.file}:${finding.line}:${finding.column}: ${finding.kind} ${finding.rule}: ${describe(finding)}`,
    );
    const message = `${verdict} under profile ${profile}, grant ${grant}`;
    return { outcome: 'failed', type: verdict, message, lines, output };
  }
  const parts = isUnattributed(pod) ? [describeUnattributed(pod)] : [];
  if (findings.length === 0)
    return parts.length === 0 ? { outcome: 'passed', output: [] } : { outcome: 'skipped', lines: parts, output: [] };
  const why = isEnforced(pod) ? [] : [`admitted in mode ${pod.mode} under profile ${profile}, grant ${grant}; ${verdict} in mode enforce`];
  const warnings = findings.map((finding) => `${finding.rule}: ${printable(finding.message)}; ${printable(remedyOf(finding))}`);
  return { outcome: 'skipped', lines: [...why, ...warnings, ...parts], output };
}

function outcomeOfUnjudged({ reason }: UnjudgedReport): CaseOutcome {
  return { outcome: 'skipped', lines: [`not judged: ${reason}`], output: [] };
}

function outcomeOfSkipped({ file, line, column, message, remedy }: SkippedFile): CaseOutcome {
  const place = line === undefined ? '' : `${file}:${line}:${column}: `;
  return { outcome: 'skipped', lines: [`${place}skipped: ${message}; ${remedy}`], output: [] };
}
