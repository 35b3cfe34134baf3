import { plural } from '../../core/plural.ts';
import { printable } from '../../core/printable.ts';
import type { ScanReport, ScanRow } from './scan-report.ts';
import { isNoteworthy, notesOf, summaryOf } from './summary.ts';

export interface TextOptions {
  readonly isWide: boolean;
  /** Whether rows with nothing to say are printed, too. */
  readonly all: boolean;
}

/** Columns are separated as kubectl separates them. */
const GAP = '   ';
const MAX_NAMED = 3;
const MAX_CELL_CHARS = 100;

/** The table of pods for people; '': there is no pod to print. `printScanSummary` has the rest. */
export function printScanTable(report: ScanReport, { isWide, all }: TextOptions): string {
  const rows = report.rows.filter((row) => all || isNoteworthy(row));
  if (rows.length === 0) return '';
  const columns = isWide ? [...COLUMNS, ...WIDE_COLUMNS] : COLUMNS;
  const head = columns.map(([title]) => title);
  const cells = rows.map((row) => columns.map(([, cellOf]) => printable(cellOf(row, report), MAX_CELL_CHARS) || '<none>'));
  const table = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  return table
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join('');
}

type Column = readonly [title: string, cellOf: (row: ScanRow, report: ScanReport) => string];

const COLUMNS: readonly Column[] = [
  ['NAMESPACE', ({ namespace }) => namespace],
  ['POD', ({ name }) => name],
  ['MODE', ({ mode }) => mode],
  ['PROFILE', ({ profile, grant }) => (grant === '' ? profile : `${profile}/${grant}`)],
  ['VERDICT', ({ verdict }) => verdict],
  ['WALL', ({ wall }) => wall.state],
  ['FINDINGS', namesOfFindings],
];

const WIDE_COLUMNS: readonly Column[] = [
  ['NODE', ({ node }) => node ?? ''],
  ['RUNTIME CLASS', ({ runtimeClass }) => runtimeClass ?? ''],
  ['AGE', ({ created }, { time }) => ageOf(created, time)],
  ['OWNER', ({ owner }) => owner ?? ''],
];

/** Rules in their order, then checks of the wall; a name that is meant several times has the number behind it. */
function namesOfFindings({ findings, wall }: ScanRow): string {
  const names = [
    ...findings.map(({ rule }) => rule),
    ...wall.findings.filter(({ severity }) => severity !== 'info').map(({ check }) => check),
  ];
  const counts = [...Map.groupBy(names, (name) => name)].map(([name, { length }]) => (length === 1 ? name : `${name} (${length})`));
  const rest = counts.length - MAX_NAMED;
  return counts.slice(0, MAX_NAMED).join(', ') + (rest > 0 ? ` +${rest}` : '');
}

/** As kubectl prints an age: in its largest unit. */
function ageOf(created: Date, now: Date): string {
  const minutes = Math.max(0, Math.floor((now.getTime() - created.getTime()) / 60_000));
  if (minutes < 120) return `${minutes}m`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)}h` : `${Math.floor(minutes / 1_440)}d`;
}

/** What stands beside the table: counts, notes of pods each with their number, and notes of the whole scan. One per line. */
export function printScanSummary(report: ScanReport): string {
  const { cluster } = report;
  const { pods, namespaces, escapes, promises, wallsMissing, unjudged } = summaryOf(report);
  const counts = [
    [escapes, escapes === 1 ? 'escape' : 'escapes'],
    [promises, 'short of a grant'],
    [wallsMissing, wallsMissing === 1 ? 'wall missing' : 'walls missing'],
    [unjudged, 'not judged'],
  ] as const;
  const counted = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const verdicts = pods === 0 ? '' : `: ${counted.join(', ') || 'nothing found'}`;
  return [
    `${plural(pods, 'pod')} in ${plural(namespaces, 'namespace')}${verdicts}.`,
    ...notesOf(report),
    ...describeConfiguration(cluster.configuration),
    ...(pods === 0 ? [] : ['What is known of a node is what the node says of itself. `cloister explain NAME` explains a finding.']),
  ]
    .map((line) => `${printable(line, 1_000)}\n`)
    .join('');
}

/** Where the serving pods could not be asked, a note says so. */
function describeConfiguration({ sha256, matchesWebhook }: ScanReport['cluster']['configuration']): readonly string[] {
  if (matchesWebhook === undefined) return [];
  const configuration = matchesWebhook ? 'the configuration' : 'another configuration than the one';
  return [`The webhook runs ${configuration} that was scanned with (${sha256.slice(0, 12)}…).`];
}
