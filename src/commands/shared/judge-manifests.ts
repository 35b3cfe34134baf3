import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { type Config, loadConfig } from '../../config/load.ts';
import { type JudgeInput, judge, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import { labelOf } from '../../core/pod.ts';
import { selectPolicy } from '../../core/policy.ts';
import { printable } from '../../core/printable.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { type FoundNamespace, type FoundPod, printInputProblem, readManifests, type Source } from '../../manifests/read.ts';
import { chooseProfile, NOT_JUDGED, type ProfileChoice } from './choose-profile.ts';
import { configOption } from './flags.ts';

/** A pod of a manifest and its verdict. */
export interface JudgedPod {
  readonly source: Source;
  /** Index of its document in the source. */
  readonly document: number;
  readonly found: FoundPod;
  readonly choice: ProfileChoice;
  readonly input: JudgeInput;
  readonly verdict: Verdict;
}

export interface JudgedManifests {
  readonly sources: readonly Source[];
  readonly judgements: readonly JudgedPod[];
  /** Number of pods that the webhook does not judge. */
  readonly notJudged: number;
}

export interface ManifestFlags {
  readonly filename: readonly string[];
  readonly profile?: string;
  readonly config?: string;
  readonly namespace?: string;
}

/** The flags of every command that judges manifests. */
export function addManifestFlags(command: Command): Command {
  return command
    .requiredOption(
      '-f, --filename <file...>',
      'manifests: files, folders (searched recursively for *.yaml, *.yml, *.json), or - for standard input (required)',
    )
    .option(
      '--profile <id>',
      'profile to judge by, in mode enforce; without it, the profile that the webhook would use: that of the labels of the Namespace object in ' +
        'the manifests, of `governs` or `default` of the configuration, or of the cloister.dev/profile label of the pod; or else the only configured profile',
    )
    .addOption(configOption())
    .option('-n, --namespace <name>', 'namespace of objects without one; exemptions, `governs` and `default` depend on it', 'default');
}

/**
 * Reads manifests and judges the pods in them as new pods.
 * @returns the verdicts in the order of the files, or all problems of the input, one per line
 */
export async function judgeManifests(
  flags: ManifestFlags,
  stdin: Readable,
  now: Date,
): Promise<Result<JudgedManifests, readonly string[]>> {
  const config = await loadConfig(flags.config, { now });
  const read = await readManifests(flags.filename, stdin);
  const problems = [...(config.ok ? [] : config.error), ...(read.ok ? [] : read.error.map(printInputProblem))];
  if (!config.ok || !read.ok) return err(problems);

  const namespaces = read.value.flatMap(({ documents }) => documents).flatMap((document) => document.namespaces);
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  const judgements: JudgedPod[] = [];
  let notJudged = 0;
  for (const source of read.value) {
    for (const [document, { pods }] of source.documents.entries()) {
      for (const found of pods) {
        const made = makeInput(found, config.value, flags, { labelsOf, now });
        if (!made.ok) problems.push(`${source.file}:${found.line}: ${made.error}`);
        else if (made.value === NOT_JUDGED) notJudged += 1;
        else judgements.push({ source, document, found, ...made.value, verdict: judge(made.value.input) });
      }
    }
  }
  return problems.length > 0 ? err(problems) : ok({ sources: read.value, judgements, notJudged });
}

/** For each namespace in which the choice of the profile is not obvious, a line that says which profile its pods are judged by, and why. */
export function printChoices(judgements: readonly JudgedPod[]): readonly string[] {
  const lines = judgements.flatMap(({ choice: { profile, mode, because }, input: { namespace } }) =>
    because === undefined ? [] : [`namespace ${namespace}: judged by profile ${profile.id} in mode ${mode}, because ${because}`],
  );
  return [...new Set(lines)].map((line) => printable(line, 1_000));
}

function makeInput(
  { subject }: FoundPod,
  config: Config,
  { profile: asked, namespace: given = 'default' }: ManifestFlags,
  { labelsOf, now }: { readonly labelsOf: ReadonlyMap<string, FoundNamespace['labels']>; readonly now: Date },
): Result<Pick<JudgedPod, 'input' | 'choice'> | typeof NOT_JUDGED, string> {
  const namespace = subject.namespace ?? given;
  const circumstances = { asked, label: labelOf(subject.pod, PROFILE_LABEL), namespace, namespaceLabels: labelsOf.get(namespace) };
  const choice = chooseProfile(circumstances, config);
  if (!choice.ok) return choice;
  if (choice.value === NOT_JUDGED) return ok(NOT_JUDGED);
  const { profile, mode } = choice.value;
  const policy = selectPolicy(profile, subject.pod, { profiles: config.profiles, obeysProfileLabel: mode === 'enforce' });
  return ok({ choice: choice.value, input: { subject, policy, namespace, exemptions: config.exemptions, now } });
}
