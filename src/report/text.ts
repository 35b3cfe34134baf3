import { styleText } from 'node:util';
import { printPlace } from '../core/finding-text.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import {
  type CheckReport,
  countUnenforced,
  countVerdicts,
  isEnforced,
  type PlacedFinding,
  type PodReport,
  printOthers,
  type SkippedFile,
  titleOf,
  type UnjudgedReport,
  VERDICTS,
} from './report.ts';

/**
 * The report for people: each pod with its findings, one per line with its place, as compilers print it, and a summary in the last line.
 * @param stream the output; colours are used only if it is a terminal and `NO_COLOR` is not set
 */
export function printText(report: CheckReport, stream: NodeJS.WriteStream): string {
  const paragraphs = [...printPods(report.pods, stream), printNotes(report)].filter((each) => each !== '');
  return [...paragraphs, `${printSummary(report)}\n`].join('\n');
}

/** The pods with their findings, without a summary. */
export function printFindings(pods: readonly PodReport[], stream: NodeJS.WriteStream): string {
  return printPods(pods, stream).join('\n');
}

type Style = Parameters<typeof styleText>[0];
type Styled = (style: Style, text: string) => string;

function printPods(pods: readonly PodReport[], stream: NodeJS.WriteStream): string[] {
  const styled = stylesOf(stream);
  return pods.flatMap((pod) => (pod.findings.length === 0 ? [] : [printPod(pod, styled)]));
}

/** Whether a stream has colours is asked once: the answer needs the environment, which is slow to read. */
function stylesOf(stream: NodeJS.WriteStream): Styled {
  if (styleText('bold', 'a', { stream }) === 'a') return (_, text) => text;
  return (style, text) => styleText(style, text, { validateStream: false });
}

function printPod(pod: PodReport, styled: Styled): string {
  const title = `${placeOf(pod)}: ${printable(`${titleOf(pod)}`)}`;
  const policy = `under profile ${pod.profile}, grant ${pod.grant}`;
  const rest = isEnforced(pod) ? `${pod.verdict} ${policy}` : `admitted ${policy}, in mode ${pod.mode}; enforcing gives: ${pod.verdict}`;
  const lines = [`${styled('bold', title)}: ${printable(rest)}`, ...pod.findings.map((finding) => printFinding(pod, finding, styled))];
  return lines.map((line) => `${line}\n`).join('');
}

function printFinding({ file }: PodReport, finding: PlacedFinding, styled: Styled): string {
  const { kind, rule, line, column, message } = finding;
  const label = styled(kind === 'escape' ? 'red' : 'yellow', kind.padEnd('promise'.length));
  const place = placeOf({ file, line, column });
  return `${place}: ${label}  ${rule}  ${styled('dim', printPlace(finding))}: ${printable(message)}; ${printable(remedyOf(finding))}`;
}

function printNotes({ unjudged, skipped }: CheckReport): string {
  return [...unjudged.map(printUnjudged), ...skipped.map(printSkipped)].map((line) => `${line}\n`).join('');
}

function printUnjudged(object: UnjudgedReport): string {
  return `${placeOf(object)}: ${printable(titleOf(object))}: not judged: ${printable(object.reason)}`;
}

function printSkipped(skipped: SkippedFile): string {
  return `${placeOf(skipped)}: skipped: ${skipped.message}; ${skipped.remedy}`;
}

/** The longest path of a file on Linux. */
const MAX_FILE_CHARS = 4_096;

/** `file:line:column`, which terminals and editors open. */
function placeOf({ file, line, column }: { readonly file: string; readonly line?: number; readonly column?: number }): string {
  return [printable(file, MAX_FILE_CHARS), line, column].filter((part) => part !== undefined).join(':');
}

/** How many pods there are, what enforcing does with them, what they are judged by, and what is not judged. */
function printSummary(report: CheckReport): string {
  const { pods } = report;
  const others = printOthers(report);
  if (pods.length === 0) return ['no pod judged', ...others].join('; ');
  const counts = countVerdicts(pods);
  const verdicts = VERDICTS.filter((verdict) => counts[verdict] > 0).map((verdict) => `${counts[verdict]} ${printVerdict(verdict)}`);
  const unenforced = countUnenforced(pods);
  if (unenforced > 0) verdicts.push(`${unenforced} admitted without enforcement`);
  return [`${pods.length} ${pods.length === 1 ? 'pod' : 'pods'}: ${verdicts.join(', ')}`, printPolicies(pods), ...others].join('; ');
}

function printVerdict(verdict: PodReport['verdict']): string {
  if (verdict === 'refused') return 'refused (change by hand)';
  return verdict === 'repairable' ? 'repairable (by `cloister fix`, or at admission)' : verdict;
}

/** `profile userns in mode warn, grant sudo (from governs[0] (lab) of config.yaml)`; the mode enforce is not named */
export function printPolicy({ profile, mode, grant, chosenBy }: Pick<PodReport, 'profile' | 'mode' | 'grant' | 'chosenBy'>): string {
  const inMode = mode === 'enforce' ? '' : ` in mode ${mode}`;
  return `profile ${profile}${inMode}, grant ${grant} (from ${chosenBy.join(' and ')})`;
}

function printPolicies(pods: readonly PodReport[]): string {
  const byPolicy = Map.groupBy(pods, printPolicy);
  const policies = [...byPolicy].map(([policy, { length }]) => (byPolicy.size === 1 ? policy : `${policy}: ${length}`));
  return `judged by ${policies.map((policy) => printable(policy, MAX_FILE_CHARS)).join('; by ')}`;
}
