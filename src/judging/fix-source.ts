import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { printPlace } from '../core/finding-text.ts';
import { pointerOf } from '../core/pointer.ts';
import { printable } from '../core/printable.ts';
import { remedyOf } from '../core/remedy.ts';
import { err, ok, type Result } from '../core/result.ts';
import type { Finding } from '../core/rules/rule.ts';
import { edit } from '../manifests/edit/edit.ts';
import type { Source } from '../manifests/read.ts';
import type { JudgedPod, JudgedSource } from './judge-source.ts';
import { differenceOf, operationsOf, type RepairedPod, repairPod } from './repair-source.ts';

export interface FixedPod extends RepairedPod {
  /** What a person must change before the pod can be fixed. */
  readonly byHand: readonly Finding[];
}

export interface EditedSource {
  readonly source: Source;
  readonly text: string;
}

/**
 * If an object has the fields of a pod next to fields of its own kind, a person must change the pod: the kind may not have the field that a fix sets.
 */
export function repairJudged(judged: JudgedPod): FixedPod {
  const { subject: _, ...made } = repairPod(judged);
  return { ...judged, repair: made, byHand: made.unresolved.length > 0 || !judged.found.isMixed ? made.unresolved : made.repaired };
}

export const needsPerson = ({ byHand }: FixedPod): boolean => byHand.length > 0;

/**
 * The text of a source with the fixes in it. This function reads and judges the text again before it is printed, because the editor could have made a
 * mistake.
 */
export function editSource({ source }: JudgedSource, all: readonly FixedPod[]): Result<EditedSource, string> {
  const repaired = all.filter((each) => !needsPerson(each));
  const patches = source.documents.map((_, document) =>
    repaired
      .filter((each) => each.document === document)
      .flatMap(({ found, repair: { patch } }) =>
        operationsOf(found, patch).map((operation) => ({ ...operation, path: pointerOf(found.at) + operation.path })),
      ),
  );
  if (patches.every((patch) => patch.length === 0)) return ok({ source, text: source.text });

  const documents = source.documents.map(({ yaml }) => yaml);
  const text = edit(source.text, documents, patches);
  if (!text.ok) return err(`${source.file}: the file cannot be fixed in place, and is unchanged: ${text.error}`);
  const difference = differenceOf(source.file, text.value, repaired);
  if (difference !== undefined) {
    return err(
      `${source.file}: the file is unchanged, because ${difference}: this is a bug in cloister; fix the file by hand, and report the bug with the file`,
    );
  }
  return ok({ source, text: text.value });
}

export function printDiff({ source, text }: EditedSource): string {
  if (source.text === text) return '';
  return createTwoFilesPatch(source.file, source.file, source.text, text, undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

export function patchOf(each: FixedPod): object {
  return {
    file: each.source.file,
    line: each.found.headRange().line,
    kind: each.found.subject.kind,
    name: each.found.subject.name,
    namespace: each.input.namespace,
    profile: each.input.policy.profile.id,
    mode: each.choice.mode,
    grant: each.input.policy.grant,
    patch: needsPerson(each) ? [] : operationsOf(each.found, each.repair.patch),
  };
}

export function printUnfixed({ source, found, byHand }: FixedPod): string {
  const { kind, name } = found.subject;
  const lines = byHand.map((finding) => {
    const { line, column } = found.rangeOf(finding.path);
    const place = printPlace({ ...finding, path: found.pathOf(finding.path) });
    return `  ${source.file}:${line}:${column}: ${finding.rule}: ${place}: ${finding.message}; ${remedyOf(finding)}`;
  });
  return [`${source.file}: ${kind} ${name} is unchanged; fix by hand first:`, ...lines]
    .map((line) => `${printable(line, 1_000)}\n`)
    .join('');
}
