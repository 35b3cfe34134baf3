import { escapesOf, type JudgeInput, judge, type Verdict } from './judge.ts';
import { APPLIED_ANNOTATION } from './labels.ts';
import { makePatch, type PatchIntent, type PatchOp } from './patch.ts';
import { annotationOf, orEmpty, specOf } from './pod.ts';
import type { Finding } from './rules/rule.ts';
import type { Subject } from './subject.ts';

/**
 * Applies operations to a document in place, and throws if one does not fit.
 * Passed in, not imported: an independent library applies our patch, and so verifies it.
 */
export type Apply = (document: object, operations: readonly PatchOp[]) => void;

export interface Repair {
  /** Fixes every finding; empty if an escape has no fix that may be made. */
  readonly patch: readonly PatchOp[];
  /** The findings that the patch fixes. */
  readonly repaired: readonly Finding[];
  /** The escapes that remain, for a person to fix. If there is one, the patch must not be sent. */
  readonly unresolved: readonly Finding[];
}

/**
 * Makes a patch of all fixes, applies it, and judges the result.
 * @param apply changes the input's document itself: no copy is made, so callers must not need the original pod afterwards
 * @param stamp whether to annotate the pod with its profile and grant; for pods that are about to be stored
 */
export function repair(input: JudgeInput, verdict: Verdict, apply: Apply, stamp: boolean): Repair {
  const isMutable = makeMutabilityCheck(input.old);
  const repaired: Finding[] = [];
  const stuck: Finding[] = [];
  const changes: PatchIntent[] = [];
  for (const finding of verdict.findings) {
    const { fix, path, kind } = finding;
    if (fix !== undefined && isMutable(finding)) {
      repaired.push(finding);
      changes.push({ path, fix });
    } else if (kind === 'escape') stuck.push(finding);
  }
  if (stamp) changes.push(...makeStamp(input));

  // All or nothing: with one escape left unfixed, the pod is rejected whatever else is fixed.
  if (changes.length === 0 || stuck.length > 0) return { patch: [], repaired: [], unresolved: stuck };
  const { document } = input.subject;
  const patch = makePatch(document, changes);
  apply(document, patch);
  return { patch, repaired, unresolved: escapesOf(judge(input).findings) };
}

/** Of a new pod every field can be fixed. Of an existing pod the API server accepts changes of newly added ephemeral containers only. */
function makeMutabilityCheck(old: Subject | undefined): (finding: Finding) => boolean {
  if (old === undefined) return () => true;
  const before = new Set(orEmpty(specOf(old.pod).ephemeralContainers).map(({ name }) => name));
  return ({ path, container }) => path[1] === 'ephemeralContainers' && !before.has(container);
}

function makeStamp({ subject, policy }: JudgeInput): PatchIntent[] {
  const value = `${policy.profile.id}/${policy.grant}`;
  if (annotationOf(subject.pod, APPLIED_ANNOTATION) === value) return [];
  return [{ path: [...subject.at, 'metadata', 'annotations', APPLIED_ANNOTATION], fix: { set: value } }];
}
