import type { ExemptionUse } from '../core/exemptions.ts';
import { escapesOf } from '../core/judge.ts';
import type { Mode } from '../core/request-record.ts';
import type { Finding } from '../core/rules/rule.ts';

/** The result of `cloister check`, for people and programs. */
export interface CheckReport {
  readonly pods: readonly PodReport[];
  /** Which profile pods are judged by, and why, where that is not obvious. */
  readonly choices: readonly string[];
  /** Number of pods in namespaces that nothing governs. */
  readonly notJudged: number;
  /** Number of objects without a pod. */
  readonly withoutPod: number;
}

/** A pod, or a workload with a pod template, and its place in the manifests. */
export interface PodReport {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly profile: string;
  readonly mode: Mode;
  /** Why this profile in this mode; undefined: it is obvious. */
  readonly because: string | undefined;
  readonly grant: string;
  readonly findings: readonly PlacedFinding[];
  readonly exempted: readonly ExemptionUse[];
}

export interface PlacedFinding extends Finding {
  /** Line of the field, or of the nearest parent that the file has. */
  readonly line: number;
}

/** Whether the pod would be denied as written: modes that do not enforce admit every pod. */
export function isDenied({ mode, findings }: PodReport): boolean {
  return mode === 'enforce' && escapesOf(findings).length > 0;
}
