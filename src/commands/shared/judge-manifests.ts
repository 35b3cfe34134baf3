import type { Readable } from 'node:stream';
import { printable } from '../../core/printable.ts';
import { type JudgedPod, type JudgedSource, judgeSource, type LabelsOf } from '../../judging/judge-source.ts';
import { filesOf, readSource, readStreams, readSurroundings } from '../../manifests/files.ts';
import { printInputProblem } from '../../manifests/problem.ts';
import type { SkippedInput } from '../../manifests/read.ts';
import { storageByClaim } from '../../manifests/storage.ts';
import { printPolicy } from '../../report/text.ts';
import type { ManifestFlags } from './manifest-flags.ts';
import type { ManifestSettings } from './policy-settings.ts';

/** What reading and judging all files gave, besides the pods. */
export interface InputSummary {
  /** Number of files that a pattern ignores. */
  readonly ignored: number;
  /** Files, and the rests of files, that are no manifests. */
  readonly skipped: readonly SkippedInput[];
  /** What cannot be used, one per line. */
  readonly problems: readonly string[];
  /** Number of objects, with pods and without. */
  readonly objects: number;
  /** For each namespace in which the choice of the profile is not obvious, a line with the policy of its pods, and what chose that policy. */
  readonly choices: readonly string[];
}

/** What pods are judged by, and the time of the judgement. */
export interface JudgingContext {
  readonly settings: ManifestSettings;
  readonly flags: ManifestFlags;
  readonly stdin: Readable;
  readonly now: Date;
}

/**
 * Reads manifests and judges the pods in them as new pods, file by file: of files that can be read again, only one is in memory. Namespaces, and
 * what shows the storage of claims, may be in any file and are read first.
 * @param visit called with each file whose manifests can be used, in the order of the files
 */
export async function judgeManifests(
  names: readonly string[],
  { stdin, settings, flags, now }: JudgingContext,
  visit: (judged: JudgedSource) => void | Promise<void>,
): Promise<InputSummary> {
  const { files, ignored, problems: unread } = filesOf(names, settings.ignore);
  const streams = await readStreams(files, stdin);
  const { namespaces, storage } = readSurroundings(files, streams);
  const labelsOf: LabelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  const claims = storageByClaim(storage, flags.namespace);
  const problems = unread.map(printInputProblem);
  const skipped: SkippedInput[] = [];
  const choices = new Set<string>();
  let objects = 0;
  for (const file of files) {
    const content = readSource(file, streams.get(file));
    streams.delete(file);
    if ('problems' in content) {
      for (const problem of content.problems) problems.push(printInputProblem(problem));
      continue;
    }
    if (content.skipped !== undefined) skipped.push(content.skipped);
    if (!('source' in content)) continue;
    for (const { pods, unjudged, withoutPod } of content.source.documents) objects += pods.length + unjudged.length + withoutPod;
    const judged = judgeSource(content.source, { settings, namespace: flags.namespace, now, labelsOf, claims });
    for (const pod of judged.pods) if (!pod.choice.isObvious) choices.add(printChoice(pod));
    if (judged.problems.length === 0) await visit(judged);
    else problems.push(...judged.problems);
  }
  const whole = problemsOf({ objects, skipped, hasProblems: problems.length > 0 }, flags);
  return { ignored, skipped, problems: [...problems, ...whole], objects, choices: [...choices] };
}

function printChoice({ choice: { mode, chosenBy }, input: { namespace, policy } }: JudgedPod): string {
  const { grant, profile } = policy;
  return printable(`namespace ${namespace}: judged by ${printPolicy({ profile: profile.id, mode, grant, chosenBy })}`, 1_000);
}

/** Problems of the input as a whole. */
function problemsOf(
  { objects, skipped, hasProblems }: Pick<InputSummary, 'objects' | 'skipped'> & { readonly hasProblems: boolean },
  { strict, allowEmpty }: ManifestFlags,
): string[] {
  if (strict && skipped.length > 0) return skipped.map((each) => `${printInputProblem(each)} (--strict)`);
  if (objects > 0 || allowEmpty || hasProblems) return [];
  const details = skipped.length === 0 ? '' : `: ${skipped.map(printInputProblem).join('\n')}`;
  return [
    `the input has no Kubernetes object${details}${skipped.length === 0 ? '; check the command that writes the input, or set --allow-empty' : ''}`,
  ];
}
