import { printScanHtml } from './html.ts';
import { printScanJson } from './json.ts';
import { openReportsOf, printOpenReports } from './open-reports.ts';
import type { ScanReport } from './scan-report.ts';
import { printScanTable } from './text.ts';

export interface ScanFormatOptions {
  /** Whether tables print rows with nothing to say, too. */
  readonly all: boolean;
  /** Number of Reports of OpenReports. */
  readonly maxReports: number;
}

export interface ScanFormat {
  /** What is printed on standard output, in pieces. A text is an `Iterable` of its characters, but no `object`. */
  print(report: ScanReport, options: ScanFormatOptions): Iterable<string> & object;
  /** Whether people read it, so that the summary stands beside it on standard error. */
  readonly isForPeople: boolean;
}

/** The output formats of `cloister scan`, by the name that selects them. */
export const scanFormats: ReadonlyMap<string, ScanFormat> = new Map<string, ScanFormat>([
  ['text', { print: (report, { all }) => [printScanTable(report, { isWide: false, all })], isForPeople: true }],
  ['wide', { print: (report, { all }) => [printScanTable(report, { isWide: true, all })], isForPeople: true }],
  ['json', { print: printScanJson, isForPeople: false }],
  ['html', { print: (report) => [printScanHtml(report)], isForPeople: false }],
  ['openreports', { print: (report, options) => [printOpenReports(openReportsOf(report, options))], isForPeople: false }],
]);

/** From when on a scan fails. */
export const SCAN_FAIL_ON = ['escape', 'wall', 'promise', 'never'] as const;
export type ScanFailOn = (typeof SCAN_FAIL_ON)[number];

/**
 * Whether the report fails. Rows in mode warn or audit do not count: what they name is not in force yet. A pod that cannot be judged counts as an
 * escape.
 */
export function failsScan({ rows }: ScanReport, failOn: ScanFailOn): boolean {
  const enforced = rows.filter(({ mode }) => mode !== 'warn' && mode !== 'audit');
  const has = (...verdicts: readonly string[]): boolean => enforced.some(({ verdict }) => verdicts.includes(verdict));
  const isWallMissing = enforced.some(({ wall }) => wall.state === 'missing');
  switch (failOn) {
    case 'never':
      return false;
    case 'escape':
      return has('escapes', 'unjudged');
    case 'wall':
      return has('escapes', 'unjudged') || isWallMissing;
    case 'promise':
      return has('escapes', 'unjudged', 'short') || isWallMissing;
    default:
      return failOn satisfies never;
  }
}
