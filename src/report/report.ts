import type { ExemptionUse } from '../core/exemptions.ts';
import type { Path } from '../core/path.ts';
import { printable } from '../core/printable.ts';
import type { EnforcementOutcome, Mode } from '../core/request-record.ts';
import type { Finding } from '../core/rules/rule.ts';

/** The result of `cloister check`, for people and programs. */
export interface CheckReport {
  readonly pods: readonly PodReport[];
  /** Objects that may have a pod and are not judged. */
  readonly unjudged: readonly UnjudgedReport[];
  /** Files, and the rests of files, that are no manifests. */
  readonly skipped: readonly SkippedFile[];
  /** Number of pods in namespaces that nothing governs. */
  readonly ungoverned: number;
  /** Number of objects without a pod. */
  readonly withoutPod: number;
  /** Number of files that a pattern ignores. */
  readonly ignored: number;
}

/** A range of a file. Lines and columns start at 1; `endColumn` is the one behind the last. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A pod, or a workload with a pod template, and its place in the manifests. */
export interface PodReport extends Place {
  readonly file: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly profile: string;
  /** The mode that is in force in its namespace. */
  readonly mode: Mode;
  readonly grant: string;
  /** What chose the profile and the grant, such as `--profile`, `governs[0] (lab) of config.yaml` or the name of a configuration file. */
  readonly chosenBy: readonly string[];
  /** What a cluster that enforces the profile does with the pod. */
  readonly verdict: EnforcementOutcome;
  readonly findings: readonly PlacedFinding[];
  readonly exempted: readonly ExemptionUse[];
  /** Paths that are not judged, because nothing proves that the author wrote them. */
  readonly unattributed?: readonly string[];
}

/** A finding with the place of the field, or of the container or pod that lacks it. Its path starts at the object. */
export interface PlacedFinding extends Finding, Place {
  /** The other fields that its fix changes. */
  readonly related?: readonly RelatedField[];
}

export interface RelatedField extends Place {
  readonly path: Path;
}

export interface UnjudgedReport extends Place {
  readonly file: string;
  readonly kind: string;
  readonly name: string;
  readonly reason: string;
}

export interface SkippedFile {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
  /** Whether the documents above the place are judged. */
  readonly isRest?: true;
}

/** Why a pod is not judged completely, and why an object or a file is not judged, with a place: for formats that know nothing but places. */
export function notJudgedOf({
  pods,
  unjudged,
  skipped,
}: CheckReport): readonly (Place & { readonly file: string; readonly message: string })[] {
  return [
    ...pods.filter(isUnattributed).map((pod) => {
      const { file, line, column, endLine, endColumn } = pod;
      return {
        file,
        line,
        column,
        endLine,
        endColumn,
        message: `${printable(titleOf(pod))}: ${printable(describeUnattributed(pod), 1_000)}`,
      };
    }),
    ...unjudged.map(({ file, line, column, endLine, endColumn, reason, ...object }) => {
      const message = `${printable(titleOf(object))} is not judged: ${printable(reason)}`;
      return { file, line, column, endLine, endColumn, message };
    }),
    ...skipped.map(({ file, line = 1, column = 1, message, remedy, isRest }) => {
      const what = isRest ? 'The rest of the file' : 'The file';
      return { file, line, column, endLine: line, endColumn: column, message: `${what} is skipped: ${message}; ${remedy}` };
    }),
  ];
}

/** What a format may print besides the report. */
export interface ReportContext {
  readonly stream: NodeJS.WriteStream;
  /** Version of Cloister. */
  readonly version: string;
  /** Where the repository of Cloister is on the web. */
  readonly sources: string;
  /** Distinguishes several reports of one commit. */
  readonly category: string | undefined;
  /** How long the run took. */
  readonly seconds: number;
  /** The page of a rule, as Markdown. */
  helpOf(rule: string): string;
}

/** From the worst to the best. */
export const VERDICTS: readonly EnforcementOutcome[] = ['refused', 'repairable', 'clean'];

/** Modes that do not enforce admit every pod as it is. */
export const isEnforced = ({ mode }: PodReport): boolean => mode === 'enforce';

/** Of the pods in namespaces that enforce. */
export function countVerdicts(pods: readonly PodReport[]): Readonly<Record<EnforcementOutcome, number>> {
  const counts = { clean: 0, repairable: 0, refused: 0 };
  for (const { verdict } of pods.filter(isEnforced)) counts[verdict] += 1;
  return counts;
}

/** Of the pods in namespaces that only warn or audit. */
export function countUnenforced(pods: readonly PodReport[]): number {
  return pods.filter((pod) => !isEnforced(pod)).length;
}

export const isUnattributed = ({ unattributed = [] }: PodReport): boolean => unattributed.length > 0;

/** Why a part of the pod is not judged. */
export function describeUnattributed({ unattributed = [] }: PodReport): string {
  return `not judged: ${unattributed.join(', ')}: the pod has a uid and a status, and nothing proves whether its author or the cluster wrote this`;
}

/** What has no verdict, each with its number: `1 object not judged`. */
export function printOthers({ pods, unjudged, skipped, ungoverned, withoutPod, ignored }: CheckReport): readonly string[] {
  const others = [
    [ungoverned, 'pod not judged, because nothing governs its namespace', 'pods not judged, because nothing governs their namespaces'],
    [withoutPod, 'object without a pod', 'objects without a pod'],
    [pods.filter(isUnattributed).length, 'pod not judged completely', 'pods not judged completely'],
    [unjudged.length, 'object not judged', 'objects not judged'],
    [skipped.length, 'file skipped', 'files skipped'],
    [ignored, 'file ignored', 'files ignored'],
  ] as const;
  return others.filter(([count]) => count > 0).map(([count, one, several]) => `${count} ${count === 1 ? one : several}`);
}

/** `Deployment web`, or `Pod (no name)`. */
export function titleOf({ kind, name }: Pick<PodReport, 'kind' | 'name'>): string {
  return `${kind} ${name || '(no name)'}`;
}

/** From when on a command fails. */
export const FAIL_ON = ['refused', 'repairable', 'promise', 'unjudged', 'never'] as const;
export type FailOn = (typeof FAIL_ON)[number];

/** Whether the pod decides that the command fails. */
export function isFailing(pod: PodReport, failOn: FailOn): boolean {
  const { verdict, findings } = pod;
  if (!isEnforced(pod)) return false;
  switch (failOn) {
    case 'never':
      return false;
    case 'refused':
    case 'unjudged':
      return verdict === 'refused';
    case 'repairable':
      return verdict !== 'clean';
    case 'promise':
      return verdict !== 'clean' || findings.some(({ kind }) => kind === 'promise');
    default:
      return failOn satisfies never;
  }
}

/** Whether the command fails because of the report. */
export function failsBy({ pods, unjudged }: CheckReport, failOn: FailOn): boolean {
  return pods.some((pod) => isFailing(pod, failOn)) || (failOn === 'unjudged' && (unjudged.length > 0 || pods.some(isUnattributed)));
}
