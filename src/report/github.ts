import { entriesOf } from './entries.ts';
import { type CheckReport, countUnenforced, countVerdicts, notJudgedOf, type Place, printOthers } from './report.ts';
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
 * Commands of a GitHub workflow that annotate the lines of the files: the worst findings, what is not judged, and how many others there are.
 * Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
 */
export function printGithub(report: CheckReport): string {
  const byLevel = Map.groupBy(entriesOf(report), ({ severity }) => LEVELS[severity]);
  const shown = [...byLevel.values()].flatMap((entries) => entries.slice(0, MAX_ANNOTATIONS));
  const lines = shown.map(({ pod, finding, severity, message }) =>
    annotate({ level: LEVELS[severity], file: pod.file, place: finding, title: finding.rule, message }),
  );
  const notJudged = notJudgedOf(report);
  // The summary is a notice too.
  for (const each of notJudged.slice(0, MAX_ANNOTATIONS - 1)) {
    lines.push(annotate({ level: 'notice', file: each.file, place: each, title: 'not judged', message: each.message }));
  }
  const total = [...byLevel.values()].reduce((sum, { length }) => sum + length, 0);
  const { refused, repairable, clean } = countVerdicts(report.pods);
  const unenforced = countUnenforced(report.pods);
  const counts = [`${refused} refused`, `${repairable} repairable`, `${clean} clean`];
  if (unenforced > 0) counts.push(`${unenforced} admitted without enforcement`);
  const parts = [counts.join(', '), ...printOthers(report)];
  if (total > shown.length) parts.push(`${total - shown.length} findings are not annotated, \`cloister check\` lists them`);
  return [...lines, `::notice title=cloister check::${parts.join('; ')}`].map((line) => `${line}\n`).join('');
}

interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  readonly file: string;
  readonly place: Place;
  readonly title: string;
  readonly message: string;
}

function annotate({ level, file, place: { line, column, endLine, endColumn }, title, message }: Annotation): string {
  const range = line === endLine ? { line, endLine, col: column, endColumn } : { line, endLine };
  const properties = Object.entries({ file, ...range, title });
  return `::${level} ${properties.map(([name, value]) => `${name}=${escapeProperty(String(value))}`).join(',')}::${escapeData(message)}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
