import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { loadConfig } from '../../config.ts';
import { judge, type Question, type Verdict } from '../../core/judge.ts';
import { PROFILE_LABEL } from '../../core/labels.ts';
import { labelOf } from '../../core/pod.ts';
import { type Offer, policyFor } from '../../core/policy.ts';
import type { Profile } from '../../core/profiles/profile.ts';
import type { Result } from '../../core/result.ts';
import { type FoundPod, printInputProblem, readManifests, type Source } from '../../manifests/read.ts';

/** A pod of a manifest, and what is to be said about it. */
export interface Judgement {
  readonly source: Source;
  /** Index of its document in the source. */
  readonly document: number;
  readonly found: FoundPod;
  readonly question: Question;
  readonly verdict: Verdict;
}

export interface Judged {
  readonly sources: readonly Source[];
  readonly judgements: readonly Judgement[];
}

export interface ManifestFlags {
  readonly filename: readonly string[];
  readonly profile?: string;
  readonly config?: string;
  readonly namespace?: string;
}

/** What every command that judges manifests can be told. */
export function addManifestFlags(command: Command): Command {
  return command
    .requiredOption(
      '-f, --filename <file...>',
      'manifests: files, folders (searched to the bottom for *.yaml, *.yml, *.json), or - for standard input',
    )
    .option('--profile <id>', "profile to judge by (default: each pod's own cloister.dev/profile label, else the only profile there is)")
    .addOption(new Option('--config <file>', 'configuration file (without one: userns alone, with its defaults)').env('CLOISTER_CONFIG'))
    .option('-n, --namespace <name>', 'namespace of objects that name none; exemptions go by it', 'default');
}

/**
 * Reads manifests and judges the pods in them as if they were just made.
 * @returns the verdicts in the order of the files, or all that is wrong with the input, a line each
 */
export async function judgeManifests(flags: ManifestFlags, stdin: Readable, now: Date): Promise<Result<Judged, readonly string[]>> {
  const config = await loadConfig(flags.config, { now });
  const read = await readManifests(flags.filename, stdin);
  const problems = [...(config.ok ? [] : config.error), ...(read.ok ? [] : read.error.map(printInputProblem))];
  if (!config.ok || !read.ok) return { ok: false, error: problems };

  const judgements: Judgement[] = [];
  for (const source of read.value) {
    for (const [document, { pods }] of source.documents.entries()) {
      for (const found of pods) {
        const question = questionOf(found, config.value, flags, now);
        if (question.ok) judgements.push({ source, document, found, question: question.value, verdict: judge(question.value) });
        else problems.push(`${source.file}:${found.line}: ${question.error}`);
      }
    }
  }
  return problems.length > 0 ? { ok: false, error: problems } : { ok: true, value: { sources: read.value, judgements } };
}

function questionOf(
  { subject }: FoundPod,
  offer: Offer,
  { profile: asked, namespace = 'default' }: ManifestFlags,
  now: Date,
): Result<Question, string> {
  const profile = profileFor(asked, labelOf(subject.pod, PROFILE_LABEL), offer.profiles);
  if (!profile.ok) return profile;
  const policy = policyFor(profile.value, subject.pod, offer, true);
  return { ok: true, value: { subject, policy, namespace: subject.namespace ?? namespace, exemptions: offer.exemptions, now } };
}

/** A label that names no profile is left to `pod-labels`, if there is a profile to judge the pod by. */
function profileFor(asked: string | undefined, label: string | undefined, profiles: ReadonlyMap<string, Profile>): Result<Profile, string> {
  const [first, ...others] = profiles.values();
  const only = others.length === 0 ? first : undefined;
  const profile = asked === undefined ? (profiles.get(label ?? '') ?? only) : profiles.get(asked);
  if (profile !== undefined) return { ok: true, value: profile };
  const known = `configured are: ${[...profiles.keys()].join(', ')}`;
  if (asked !== undefined) return { ok: false, error: `--profile: profile "${asked}" is not configured; ${known}` };
  if (label !== undefined)
    return { ok: false, error: `profile "${label}" of the pod's ${PROFILE_LABEL} label is not configured; ${known}` };
  return { ok: false, error: `nothing says which profile to judge by: give --profile, or label the pod ${PROFILE_LABEL}; ${known}` };
}
