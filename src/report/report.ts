import type { ExemptionUse } from '../core/exemptions.ts';
import { escapesOf } from '../core/judge.ts';
import type { Finding } from '../core/rules/rule.ts';

/** The result of `cloister check`, for people and programs. */
export interface CheckReport {
  readonly pods: readonly PodReport[];
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
  readonly grant: string;
  readonly findings: readonly PlacedFinding[];
  readonly exempted: readonly ExemptionUse[];
}

export interface PlacedFinding extends Finding {
  /** Line of the field, or of the nearest parent that the file has. */
  readonly line: number;
}

/** Whether the pod would be denied as written. */
export function isDenied({ findings }: PodReport): boolean {
  return escapesOf(findings).length > 0;
}
