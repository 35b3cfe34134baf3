import { escapesOf, type JudgeInput, judge, type Verdict } from './judge.ts';
import { APPLIED_ANNOTATION } from './labels.ts';
import { MAX_PATCH_BYTES } from './limits.ts';
import { makePatch, type PatchIntent, type PatchOp } from './patch.ts';
import { annotationOf, orEmpty, specOf } from './pod.ts';
import type { PointerLookup } from './pointer.ts';
import { printApplied } from './policy.ts';
import { blockDevices } from './rules/block-devices.ts';
import { makeSizeFinding } from './rules/pod-size.ts';
import type { Finding } from './rules/rule.ts';
import { windows } from './rules/windows.ts';
import { type Subject, withDocument } from './subject.ts';
import { isLongerThan } from './utf8.ts';

/**
 * Returns the document with the operations applied; throws if an operation does not fit. It may change and return the given document.
 * Passed in, not imported: an independent library applies our patch, and so verifies it.
 */
export type Apply = (document: object, operations: readonly PatchOp[]) => object;

export interface Repair {
  /**
   * Fixes every finding that has a fix which may be made. Empty if an escape has none, unless the repair may be partial, or if the patch would be too
   * large.
   */
  readonly patch: readonly PatchOp[];
  /** The same as JSON. */
  readonly patchText: string;
  /** The findings that the patch fixes. */
  readonly repaired: readonly Finding[];
  /** The escapes that remain, for a person to fix. If there is one, the pod may not run. */
  readonly unresolved: readonly Finding[];
  /** The subject with the patch applied. */
  readonly subject: Subject;
}

export interface RepairOptions {
  readonly apply: Apply;
  /** Whether to annotate the pod with its profile and grant: for pods that are about to be stored. */
  readonly addsAnnotation: boolean;
  /** Whether a pod that a person must change is repaired as far as possible. Absent: it is left as it is. */
  readonly isPartial?: boolean;
  readonly pointerOf?: PointerLookup | undefined;
}

/**
 * Makes a patch of all fixes, applies it, and judges the result.
 * @returns also the repaired subject. Do not read the subject of the input afterwards: `apply` may have changed its document.
 */
export function repair(
  input: JudgeInput,
  { findings }: Verdict,
  { apply, addsAnnotation, isPartial = false, pointerOf }: RepairOptions,
): Repair {
  const { subject, old } = input;
  const isMutable = makeMutabilityCheck(old);
  const repaired: Finding[] = [];
  const unresolved: Finding[] = [];
  const intents: PatchIntent[] = [];
  for (const finding of findings) {
    const { fix, path, kind, also = [] } = finding;
    if (fix !== undefined && isMutable(finding)) {
      repaired.push(finding);
      intents.push({ path, fix }, ...also);
    } else if (kind === 'escape') unresolved.push(finding);
  }
  if (addsAnnotation) intents.push(...annotate(input));

  // With one escape left unfixed, the pod is rejected whatever else is fixed.
  const isHopeless = unresolved.length > 0 && !(isPartial && !unresolved.some(({ rule }) => CONTRADICTED.has(rule)));
  if (intents.length === 0 || isHopeless) return { ...NO_PATCH, unresolved, subject };
  const patch = makePatch(subject.document, intents, pointerOf);
  const patchText = JSON.stringify(patch);
  if (isLongerThan(patchText, MAX_PATCH_BYTES)) {
    return { ...NO_PATCH, unresolved: [makeSizeFinding('patch', subject.at)], subject };
  }
  const after = withDocument(subject, apply(subject.document, patch));
  return { patch, patchText, repaired, unresolved: escapesOf(judge({ ...input, subject: after }).findings), subject: after };
}

/**
 * Rules whose findings the API server itself refuses in a repaired pod, before any policy is asked and in words that name the repair: block devices in a
 * user namespace, and Linux fields in a pod for Windows.
 */
const CONTRADICTED: ReadonlySet<string> = new Set([blockDevices.id, windows.id]);

const NO_PATCH = { patch: [], patchText: '[]', repaired: [] } as const;

/** Of a new pod every field can be fixed. Of an existing pod the API server accepts changes of newly added ephemeral containers only. */
function makeMutabilityCheck(old: Subject | undefined): (finding: Finding) => boolean {
  if (old === undefined) return () => true;
  const before = new Set(orEmpty(specOf(old.pod).ephemeralContainers).map(({ name }) => name));
  return ({ path, container }) => path[1] === 'ephemeralContainers' && !before.has(container);
}

/** The intent to add the annotation, unless the pod has it. */
function annotate({ subject, policy }: JudgeInput): PatchIntent[] {
  const value = printApplied(policy.profile, policy.grant);
  if (annotationOf(subject.pod, APPLIED_ANNOTATION) === value) return [];
  return [{ path: [...subject.at, 'metadata', 'annotations', APPLIED_ANNOTATION], fix: { set: value } }];
}
