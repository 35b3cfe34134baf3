import { printGithub } from './github.ts';
import { printGitlab } from './gitlab.ts';
import { printJson } from './json.ts';
import { printJunit } from './junit.ts';
import type { CheckReport, ReportContext } from './report.ts';
import { printSarif } from './sarif.ts';
import { printText } from './text.ts';

export type Format = (report: CheckReport, context: ReportContext) => string;

/** The output formats of `cloister check`, by the name that selects them. */
export const formats: ReadonlyMap<string, Format> = new Map<string, Format>([
  ['text', (report, { stream }) => printText(report, stream)],
  ['json', printJson],
  ['sarif', printSarif],
  ['junit', printJunit],
  ['github', printGithub],
  ['gitlab', printGitlab],
]);

/** Formats whose readers show findings in the files of a repository, so that standard input has no place in them. */
export const FILE_FORMATS: ReadonlySet<string> = new Set(['sarif', 'github', 'gitlab']);
