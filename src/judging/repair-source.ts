import { applyToCopy } from '../apply-patch.ts';
import { isEqualJson } from '../core/json.ts';
import { escapesOf, judge } from '../core/judge.ts';
import { withoutLeftovers } from '../core/leftovers.ts';
import type { PatchOp } from '../core/patch.ts';
import { pointerOf } from '../core/pointer.ts';
import { type Repair, repair } from '../core/repair.ts';
import type { EnforcementOutcome } from '../core/request-record.ts';
import { withDocument } from '../core/subject.ts';
import { type FoundPod, readText } from '../manifests/read.ts';
import type { JudgedPod } from './judge-source.ts';

/** A pod of a manifest with its repair. The repaired object, a copy of the document, is not kept: a stream may have thousands. */
export interface RepairedPod extends JudgedPod {
  readonly repair: Omit<Repair, 'subject'>;
}

/** The repair of a pod of a manifest, as the webhook repairs it, and without the empty maps and lists that this would leave in the text. */
export function repairPod({ input, verdict }: JudgedPod): Repair {
  const made = repair(input, verdict, { apply: applyToCopy, addsAnnotation: false });
  const patch = withoutLeftovers(made.patch, input.subject.document, made.subject.document);
  if (patch === made.patch) return made;
  return { ...made, patch, subject: withDocument(input.subject, applyToCopy(input.subject.document, patch)) };
}

/** What a cluster that enforces the profile does with the pod. */
export function outcomeOf(judged: JudgedPod): EnforcementOutcome {
  const { findings } = judged.verdict;
  if (escapesOf(findings).some(({ fix }) => fix === undefined)) return 'refused';
  if (findings.every(({ fix }) => fix === undefined)) return 'clean';
  const { patch, unresolved } = repairPod(judged);
  if (unresolved.length > 0) return 'refused';
  return patch.length > 0 ? 'repairable' : 'clean';
}

/** The operations with paths that start at the object. */
export function operationsOf(found: FoundPod, patch: readonly PatchOp[]): PatchOp[] {
  return patch.map((operation) => {
    const [first = ''] = /^\/[^/]*/.exec(operation.path) ?? [];
    return { ...operation, path: pointerOf(found.pathOf([first.slice(1)])) + operation.path.slice(first.length) };
  });
}

/**
 * Reads and judges a fixed text again, so that a text is printed only if it was judged.
 * @param repaired the pods that are fixed in the text
 * @returns in what the text is not as it must be; undefined: in nothing
 */
export function differenceOf(file: string, text: string, repaired: readonly RepairedPod[]): string | undefined {
  const read = readText(file, text);
  if (!('source' in read)) return 'the fixed text cannot be read';
  for (const { document, found, input, repair: made } of repaired) {
    const again = read.source.documents[document]?.pods.find((pod) => isEqualJson(placeOf(pod), placeOf(found)));
    if (again === undefined || !isEqualJson(again.subject.document, applyToCopy(input.subject.document, made.patch), ANY_DEPTH)) {
      return `the value of the fixed text differs from the fixed object of line ${found.headRange().line}`;
    }
    const escapes = escapesOf(judge({ ...input, subject: again.subject }).findings);
    if (escapes.length > 0) {
      const rules = escapes.map(({ rule }) => rule).join(', ');
      return `the fixed text of the object of line ${found.headRange().line} still has findings of ${rules}`;
    }
  }
  return undefined;
}

/** The reader refuses a text whose values are too deep for a comparison. */
const ANY_DEPTH = Number.POSITIVE_INFINITY;

/** Where a pod is in its document. */
const placeOf = ({ at, pathOf }: FoundPod): unknown => [at, pathOf(['spec'])];
