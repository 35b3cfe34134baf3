import { styleText } from 'node:util';
import { printPath } from '../core/path.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { isRefused, type PlacedFinding, type PodReport, type Report } from './report.ts';

/**
 * For people: each pod with its findings, a line each, and a sentence at the end.
 * @param stream where it goes: colours only if that is a terminal, and `NO_COLOR` is not set
 */
export function textOf(report: Report, stream: NodeJS.WriteStream): string {
  const styled = (style: Style, text: string): string => styleText(style, text, { stream });
  const pods = report.pods.flatMap((pod) => (pod.findings.length === 0 ? [] : [podText(pod, styled), '']));
  return `${[...pods, summaryOf(report)].join('\n')}\n`;
}

type Style = Parameters<typeof styleText>[0];
type Styled = (style: Style, text: string) => string;

function podText(pod: PodReport, styled: Styled): string {
  const title = `${pod.file}: ${pod.kind} ${pod.name || '(no name)'} (line ${pod.line})`;
  const rest = `${isRefused(pod) ? 'refused' : 'may run'} under profile ${pod.profile}, grant ${pod.grant}`;
  return [`${styled('bold', printable(title))}: ${printable(rest)}`, ...pod.findings.map((finding) => findingText(finding, styled))].join(
    '\n',
  );
}

function findingText(finding: PlacedFinding, styled: Styled): string {
  const { kind, rule, path, container, message } = finding;
  const where = `${printPath(path)}${container === undefined ? '' : ` (container ${container})`}`;
  const label = styled(kind === 'escape' ? 'red' : 'yellow', kind.padEnd('promise'.length));
  return `  ${label}  ${rule}  ${styled('dim', printable(where))}: ${printable(message)}; ${printable(remedyOf(finding))}`;
}

function summaryOf({ pods, withoutPod }: Report): string {
  const refused = pods.filter(isRefused);
  const byHand = refused.filter(({ findings }) => findings.some(({ kind, fix }) => kind === 'escape' && fix === undefined));
  const passedOver = withoutPod === 0 ? '' : `; ${count(withoutPod, 'object')} without a pod passed over`;
  if (pods.length === 0) return `no pod found${passedOver}`;
  if (refused.length === 0) return `${count(pods.length, 'pod')}, none refused${passedOver}`;
  const repairable = refused.length - byHand.length;
  const means = [
    ...(repairable > 0 ? [`${repairable} can be repaired (\`cloister fix\`, or at admission)`] : []),
    ...(byHand.length > 0 ? [`${byHand.length} must be changed by hand`] : []),
  ];
  return `${count(pods.length, 'pod')}, ${refused.length} refused as written: ${means.join(', ')}${passedOver}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
