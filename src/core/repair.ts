import { escapesOf, judge, type Question, type Verdict } from './judge.ts';
import { APPLIED_ANNOTATION } from './labels.ts';
import { type Change, type PatchOp, patchOf } from './patch.ts';
import { annotationOf, each, specOf } from './pod.ts';
import type { Finding } from './rules/rule.ts';
import type { Subject } from './subject.ts';

/**
 * Applies operations to a document in place, and throws when one does not fit.
 * It is given, not imported, so that what we send is checked by code that is not ours.
 */
export type Apply = (document: object, operations: readonly PatchOp[]) => void;

export interface Repair {
  /** Repairs every finding that has a fix; empty where one has none that may be made. */
  readonly patch: readonly PatchOp[];
  /** What it ends, if nothing else undoes it. */
  readonly repaired: readonly Finding[];
  /** The escapes that the patch leaves: a person must change them. Not empty: the patch is not to be sent. */
  readonly unresolved: readonly Finding[];
}

/**
 * Repairs what can be repaired, and judges the outcome.
 * @param apply gets the question's own document, and changes it: no copy is made, so nothing may need the pod as it came after this
 * @param stamp whether the pod is told which profile and grant it was put under; for pods that are about to be stored
 */
export function repair(question: Question, verdict: Verdict, apply: Apply, stamp: boolean): Repair {
  const isMutable = mutability(question.old);
  const repaired: Finding[] = [];
  const stuck: Finding[] = [];
  const changes: Change[] = [];
  for (const finding of verdict.findings) {
    const { fix, path, kind } = finding;
    if (fix !== undefined && isMutable(finding)) {
      repaired.push(finding);
      changes.push({ path, fix });
    } else if (kind === 'escape') stuck.push(finding);
  }
  if (stamp) changes.push(...stampOf(question));

  // Half a repair is of no use to anybody.
  if (changes.length === 0 || stuck.length > 0) return { patch: [], repaired: [], unresolved: stuck };
  const { document } = question.subject;
  const patch = patchOf(document, changes);
  apply(document, patch);
  return { patch, repaired, unresolved: escapesOf(judge(question).findings) };
}

/** A new pod is ours to repair; of an old one only the ephemeral containers that were just added, the API server takes nothing else. */
function mutability(old: Subject | undefined): (finding: Finding) => boolean {
  if (old === undefined) return () => true;
  const before = new Set(each(specOf(old.pod).ephemeralContainers).map(({ name }) => name));
  return ({ path, container }) => path[1] === 'ephemeralContainers' && !before.has(container);
}

function stampOf({ subject, policy }: Question): Change[] {
  const value = `${policy.profile.id}/${policy.grant}`;
  if (annotationOf(subject.pod, APPLIED_ANNOTATION) === value) return [];
  return [{ path: [...subject.at, 'metadata', 'annotations', APPLIED_ANNOTATION], fix: { set: value } }];
}
