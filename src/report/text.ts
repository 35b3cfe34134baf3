import { styleText } from 'node:util';
import { printPlace } from '../core/finding-text.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { type CheckReport, isDenied, type PlacedFinding, type PodReport } from './report.ts';

/**
 * The report for people: each pod with its findings, one per line, and a summary.
 * @param stream the output; colours are used only if it is a terminal and `NO_COLOR` is not set
 */
export function printText(report: CheckReport, stream: NodeJS.WriteStream): string {
  const styled = (style: Style, text: string): string => styleText(style, text, { stream });
  const pods = report.pods.flatMap((pod) => (pod.findings.length === 0 ? [] : [printPod(pod, styled), '']));
  const choices = report.choices.length === 0 ? [] : [...report.choices, ''];
  return `${[...pods, ...choices, printSummary(report)].join('\n')}\n`;
}

type Style = Parameters<typeof styleText>[0];
type Styled = (style: Style, text: string) => string;

function printPod(pod: PodReport, styled: Styled): string {
  const title = `${pod.file}: ${pod.kind} ${pod.name || '(no name)'} (line ${pod.line})`;
  const rest = `${isDenied(pod) ? 'refused' : 'admitted'} under profile ${pod.profile}, grant ${pod.grant}${pod.mode === 'enforce' ? '' : `, in mode ${pod.mode}`}`;
  return [`${styled('bold', printable(title))}: ${printable(rest)}`, ...pod.findings.map((finding) => printFinding(finding, styled))].join(
    '\n',
  );
}

function printFinding(finding: PlacedFinding, styled: Styled): string {
  const { kind, rule, message } = finding;
  const label = styled(kind === 'escape' ? 'red' : 'yellow', kind.padEnd('promise'.length));
  return `  ${label}  ${rule}  ${styled('dim', printPlace(finding))}: ${printable(message)}; ${printable(remedyOf(finding))}`;
}

function printSummary({ pods, notJudged, withoutPod }: CheckReport): string {
  const denied = pods.filter(isDenied);
  const byHand = denied.filter(({ findings }) => findings.some(({ kind, fix }) => kind === 'escape' && fix === undefined));
  const skipped = [
    ...(notJudged === 0 ? [] : [`; ${printCount(notJudged, 'pod')} in namespaces that nothing governs not judged`]),
    ...(withoutPod === 0 ? [] : [`; ${printCount(withoutPod, 'object')} without a pod skipped`]),
  ].join('');
  if (pods.length === 0) return `${notJudged === 0 ? 'no pod found' : 'no pod judged'}${skipped}`;
  if (denied.length === 0) return `${printCount(pods.length, 'pod')}, none refused${skipped}`;
  const fixable = denied.length - byHand.length;
  const means = [
    ...(fixable > 0 ? [`${fixable} can be fixed (\`cloister fix\`, or at admission)`] : []),
    ...(byHand.length > 0 ? [`${byHand.length} must be changed by hand`] : []),
  ];
  return `${printCount(pods.length, 'pod')}, ${denied.length} refused as written: ${means.join(', ')}${skipped}`;
}

function printCount(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
