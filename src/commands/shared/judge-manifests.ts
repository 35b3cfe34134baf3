import type { Readable } from 'node:stream';
import { type JudgeInput, judge, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import { labelOf } from '../../core/pod.ts';
import { printConfigured, printUnknownProfile, selectPolicy } from '../../core/policy.ts';
import type { Profile } from '../../core/profiles/profile.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { filesOf } from '../../manifests/files.ts';
import { type InputProblem, printInputProblem } from '../../manifests/problem.ts';
import { type FoundPod, readSource, type Source } from '../../manifests/read.ts';
import type { ManifestFlags } from './manifest-flags.ts';
import type { PolicySettings } from './policy-settings.ts';

/** A pod of a manifest and its verdict. */
export interface JudgedPod {
  readonly source: Source;
  /** Index of its document in the source. */
  readonly document: number;
  readonly found: FoundPod;
  readonly input: JudgeInput;
  readonly verdict: Verdict;
  /** What chose its profile and its grant, such as `--profile` or the name of a configuration file. */
  readonly chosenBy: readonly string[];
}

export interface JudgedSource {
  readonly source: Source;
  readonly pods: readonly JudgedPod[];
}

/** What reading and judging all files gave, besides the pods. */
export interface InputSummary {
  /** Number of files that a pattern ignores. */
  readonly ignored: number;
  readonly skipped: readonly InputProblem[];
  /** What cannot be used, one per line. */
  readonly problems: readonly string[];
  /** Number of objects, with pods and without. */
  readonly objects: number;
}

/**
 * Reads manifests and judges the pods in them as new pods, file by file: only one file is in memory.
 * @param visit called with each file whose manifests can be used, in the order of the files
 */
export async function judgeManifests(
  names: readonly string[],
  {
    settings,
    flags,
    stdin,
    now,
  }: { readonly settings: PolicySettings; readonly flags: ManifestFlags; readonly stdin: Readable; readonly now: Date },
  visit: (judged: JudgedSource) => void | Promise<void>,
): Promise<InputSummary> {
  const { files, ignored, problems: unread } = await filesOf(names, settings.ignore);
  const problems = unread.map(printInputProblem);
  const skipped: InputProblem[] = [];
  let objects = 0;
  for (const file of files) {
    const content = await readSource(file, stdin);
    if ('problems' in content) for (const problem of content.problems) problems.push(printInputProblem(problem));
    else if ('skipped' in content) skipped.push(content.skipped);
    else {
      const { source } = content;
      for (const { pods, unjudged, withoutPod } of source.documents) objects += pods.length + unjudged.length + withoutPod;
      const judged = judgeSource(source, settings, flags, now);
      if (judged.ok) await visit({ source, pods: judged.value });
      else problems.push(...judged.error);
    }
  }
  return {
    ignored,
    skipped,
    problems: [...problems, ...problemsOf({ objects, skipped, hasProblems: problems.length > 0 }, flags)],
    objects,
  };
}

/** Problems of the input as a whole. */
function problemsOf(
  { objects, skipped, hasProblems }: Pick<InputSummary, 'objects' | 'skipped'> & { readonly hasProblems: boolean },
  { strict, allowEmpty }: ManifestFlags,
): string[] {
  if (strict && skipped.length > 0) return skipped.map((each) => `${printInputProblem(each)} (--strict)`);
  if (objects > 0 || allowEmpty || hasProblems) return [];
  const details = skipped.length === 0 ? '' : `: ${skipped.map(printInputProblem).join('\n')}`;
  return [`the input has no Kubernetes object${details}${skipped.length === 0 ? '; check what writes it, or set --allow-empty' : ''}`];
}

/** @returns the pods with their verdicts, or those that have no profile to be judged by, one per line */
export function judgeSource(
  source: Source,
  settings: PolicySettings,
  flags: ManifestFlags,
  now: Date,
): Result<JudgedPod[], readonly string[]> {
  const judged: JudgedPod[] = [];
  const problems: string[] = [];
  for (const [document, { pods }] of source.documents.entries()) {
    for (const found of pods) {
      const chosen = choose(found, settings);
      if (!chosen.ok) {
        problems.push(`${source.file}:${found.range.line}: ${chosen.error}`);
        continue;
      }
      const { subject } = found;
      const { profile, chosenBy } = chosen.value;
      const policy = selectPolicy(profile, subject.pod, { profiles: settings.profiles, obeysProfileLabel: true });
      const namespace = subject.namespace ?? flags.namespace;
      const input = { subject, policy, namespace, exemptions: settings.exemptions, now };
      judged.push({ source, document, found, input, verdict: judge(input), chosenBy });
    }
  }
  return problems.length > 0 ? err(problems) : ok(judged);
}

/** The rule `pod-labels` reports a label that names no profile, if there is a profile to judge the pod by. */
function choose(
  { subject }: FoundPod,
  { profiles, profile: asked, origin, grantOrigin }: PolicySettings,
): Result<{ readonly profile: Profile; readonly chosenBy: readonly string[] }, string> {
  const grantedBy = grantOrigin ?? origin;
  if (asked !== undefined) return ok({ profile: asked, chosenBy: [...new Set(['--profile', grantedBy])] });
  const label = labelOf(subject.pod, PROFILE_LABEL);
  const labelled = profiles.get(label ?? '');
  if (labelled !== undefined) return ok({ profile: labelled, chosenBy: ["the pod's label", grantedBy] });
  const [only, ...others] = profiles.values();
  if (only !== undefined && others.length === 0) return ok({ profile: only, chosenBy: [...new Set([origin, grantedBy])] });
  const known = printConfigured(profiles);
  if (label !== undefined) return err(`label ${PROFILE_LABEL} of the pod: ${printUnknownProfile(label)}; ${known}`);
  return err(`no profile is named to judge by: set --profile, or label the pod ${PROFILE_LABEL}; ${known}`);
}
