import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import { type JudgeInput, judge, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import { labelOf } from '../../core/pod.ts';
import { type PolicyConfig, printConfigured, printUnknownProfile, selectPolicy } from '../../core/policy.ts';
import type { Profile } from '../../core/profiles/profile.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { type FoundPod, printInputProblem, readManifests, type Source } from '../../manifests/read.ts';
import { configOption } from './flags.ts';

/** A pod of a manifest and its verdict. */
export interface JudgedPod {
  readonly source: Source;
  /** Index of its document in the source. */
  readonly document: number;
  readonly found: FoundPod;
  readonly input: JudgeInput;
  readonly verdict: Verdict;
}

export interface JudgedManifests {
  readonly sources: readonly Source[];
  readonly judgements: readonly JudgedPod[];
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
      'profile to judge by; without it, the profile in the cloister.dev/profile label of each pod, or else the only configured profile',
    )
    .addOption(configOption())
    .option('-n, --namespace <name>', 'namespace of objects without one; exemptions depend on it', 'default');
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

  const judgements: JudgedPod[] = [];
  for (const source of read.value) {
    for (const [document, { pods }] of source.documents.entries()) {
      for (const found of pods) {
        const input = makeInput(found, config.value, flags, now);
        if (input.ok) judgements.push({ source, document, found, input: input.value, verdict: judge(input.value) });
        else problems.push(`${source.file}:${found.line}: ${input.error}`);
      }
    }
  }
  return problems.length > 0 ? err(problems) : ok({ sources: read.value, judgements });
}

function makeInput(
  { subject }: FoundPod,
  config: PolicyConfig,
  { profile: asked, namespace = 'default' }: ManifestFlags,
  now: Date,
): Result<JudgeInput, string> {
  const profile = selectProfile(asked, labelOf(subject.pod, PROFILE_LABEL), config.profiles);
  if (!profile.ok) return profile;
  const policy = selectPolicy(profile.value, subject.pod, { profiles: config.profiles, obeysProfileLabel: true });
  return ok({ subject, policy, namespace: subject.namespace ?? namespace, exemptions: config.exemptions, now });
}

/** The rule `pod-labels` reports a label that names no profile, if there is a profile to judge the pod by. */
function selectProfile(
  asked: string | undefined,
  label: string | undefined,
  profiles: ReadonlyMap<string, Profile>,
): Result<Profile, string> {
  const [first, ...others] = profiles.values();
  const only = others.length === 0 ? first : undefined;
  const profile = asked === undefined ? (profiles.get(label ?? '') ?? only) : profiles.get(asked);
  if (profile !== undefined) return ok(profile);
  const known = printConfigured(profiles);
  if (asked !== undefined) return err(`--profile: ${printUnknownProfile(asked)}; ${known}`);
  if (label !== undefined) return err(`label ${PROFILE_LABEL} of the pod: ${printUnknownProfile(label)}; ${known}`);
  return err(`no profile is named to judge by: set --profile, or label the pod ${PROFILE_LABEL}; ${known}`);
}
