import type { ExemptionUse } from '../core/exemptions.ts';
import type { Finding } from '../core/rules/rule.ts';

/** What judging manifests gave, for people and programs to read. */
export interface Report {
  readonly pods: readonly PodReport[];
  /** How many objects hold no pod. */
  readonly withoutPod: number;
}

/** One pod, or workload with one in it, and where it was read. */
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
  /** Of the field, or of the nearest thing around it that the file has. */
  readonly line: number;
}

/** Whether the pod may not run as it stands. */
export function isRefused({ findings }: PodReport): boolean {
  return findings.some(({ kind }) => kind === 'escape');
}
