import { type Exemption, type ExemptionUse, findActiveExemptions } from './exemptions.ts';
import { withoutInherited } from './inherited-findings.ts';
import { inspect } from './inspect.ts';
import { makePod } from './made-pod.ts';
import { selectNewFindings } from './new-findings.ts';
import { type Pod, specOf } from './pod.ts';
import { findAddedProgram, findStart } from './pod-update.ts';
import { findSettledChanges, type Policy } from './policy.ts';
import type { ProfileRequirements } from './requirements.ts';
import { nodeName } from './rules/node-name.ts';
import type { Finding } from './rules/rule.ts';
import type { Subject } from './subject.ts';
import { isIsolated } from './wall.ts';

export interface JudgeInput {
  readonly subject: Subject;
  /**
   * On an update: the stored object. Findings that it already has are not reported again, unless the update adds a program to the pod, or starts the
   * pod. A grant applies only if the stored pod is isolated.
   */
  readonly old?: Subject | undefined;
  readonly policy: Policy;
  readonly namespace: string;
  /** What is known about the claims of the namespace: the storage of each, by its name. Absent: nothing, as in the webhook. */
  readonly claims?: ReadonlyMap<string, string> | undefined;
  readonly exemptions: readonly Exemption[];
  readonly now: Date;
}

export interface Verdict {
  /** In reading order; on an update only those that the stored object did not have, unless `wholeBecause` is set. */
  readonly findings: readonly Finding[];
  /** Why the findings of the stored object also count on this update, as text that follows "the update"; undefined: they do not. */
  readonly wholeBecause?: string | undefined;
  /** The values that exemptions let through. */
  readonly exempted: readonly ExemptionUse[];
}

/** Judges a pod. A pure function: equal inputs have equal verdicts, and nothing is changed. */
export function judge({ subject, old, policy, namespace, claims, exemptions, now }: JudgeInput): Verdict {
  const active = findActiveExemptions(exemptions, namespace, serviceAccountOf(subject.pod), now);
  const requirements = requirementsFor(policy, old?.pod);
  // Exemptions, like grants, apply only to isolated pods.
  const exempts = requirements === policy.profile.withoutIsolation ? () => false : active.exempts;
  const circumstances = { namespace, claims, isUpdate: old !== undefined, labelProblems: policy.labelProblems, exempts };
  const settled = old === undefined ? [] : findSettledChanges(subject.pod, old.pod);
  const withChanges = settled.length === 0 ? circumstances : { ...circumstances, labelProblems: [...policy.labelProblems, ...settled] };
  const findings = withoutInherited(inspect(makePod(subject), subject.at, requirements, withChanges), subject);
  if (old === undefined || findings.length === 0) return { findings, exempted: active.used };

  const before = inspect(old.pod, old.at, requirements, circumstances);
  const added = selectNewFindings(findings, subject.document, before, old.document);
  const start = findStart(subject.pod, old.pod);
  const wholeBecause = start ?? findAddedProgram(subject.pod, old.pod);
  if (wholeBecause === undefined) return { findings: added, exempted: active.used };
  const isAdded = new Set(added);
  // Promises of a running pod are left out: an update cannot repair them. The node is left out, because the scheduler assigns a node to every pod.
  const counts = (finding: Finding): boolean =>
    isAdded.has(finding) || (finding.rule !== nodeName.id && (start !== undefined || finding.kind === 'escape'));
  return { findings: findings.filter(counts), exempted: active.used, wholeBecause };
}

/** As the API server reads it: `serviceAccount`, the older field, counts where `serviceAccountName` is empty. */
function serviceAccountOf(pod: Pod): string {
  const { serviceAccountName, serviceAccount } = specOf(pod);
  return serviceAccountName || serviceAccount || 'default';
}

/** The findings for which a pod may not run. */
export const escapesOf = (findings: readonly Finding[]): Finding[] => findings.filter(({ kind }) => kind === 'escape');

/**
 * The requirements of the grant, or those without isolation if the existing pod is not isolated, because it may be older than the label of its
 * namespace. A new pod without isolation is denied anyway.
 */
function requirementsFor({ profile, grant }: Policy, old: Pod | undefined): ProfileRequirements {
  const requirements = profile.requirementsFor(grant);
  return old === undefined || isIsolated(old, requirements.wall) ? requirements : profile.withoutIsolation;
}
