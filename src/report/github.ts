import { entriesOf } from './entries.ts';
import { type CheckReport, countUnenforced, countVerdicts, printOthers } from './report.ts';
import type { Severity } from './severity.ts';

/** The number of annotations of each level that GitHub shows for a step. It drops the others. */
const MAX_ANNOTATIONS = 10;

const LEVELS: Readonly<Record<Severity, 'error' | 'warning'>> = {
  wall: 'error',
  device: 'error',
  escape: 'error',
  promise: 'warning',
  unknown: 'warning',
};

/**
 * Commands of a GitHub workflow that annotate the lines of the files: the worst findings, and how many others there are.
 * Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
 */
export function printGithub(report: CheckReport): string {
  const byLevel = Map.groupBy(entriesOf(report), ({ severity }) => LEVELS[severity]);
  const shown = [...byLevel.values()].flatMap((entries) => entries.slice(0, MAX_ANNOTATIONS));
  const lines = shown.map(({ pod, finding, severity, message }) => {
    const { line, column, endLine, endColumn } = finding;
    const range = line === endLine ? { line, endLine, col: column, endColumn } : { line, endLine };
    const properties = Object.entries({ file: pod.file, ...range, title: finding.rule });
    return `::${LEVELS[severity]} ${properties.map(([name, value]) => `${name}=${escapeProperty(String(value))}`).join(',')}::${escapeData(message)}`;
  });
  const total = [...byLevel.values()].reduce((sum, { length }) => sum + length, 0);
  const { refused, repairable, clean } = countVerdicts(report.pods);
  const unenforced = countUnenforced(report.pods);
  const counts = [`${refused} refused`, `${repairable} repairable`, `${clean} clean`];
  if (unenforced > 0) counts.push(`${unenforced} admitted without enforcement`);
  const parts = [counts.join(', '), ...printOthers(report)];
  if (total > shown.length) parts.push(`${total - shown.length} findings are not annotated, \`cloister check\` lists them`);
  return [...lines, `::notice title=cloister check::${parts.join('; ')}`].map((line) => `${line}\n`).join('');
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
