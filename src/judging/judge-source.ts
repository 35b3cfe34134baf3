import { type JudgeInput, judge, type Verdict } from '../core/judge.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import { labelOf } from '../core/pod.ts';
import { selectPolicy } from '../core/policy.ts';
import type { Result } from '../core/result.ts';
import type { FoundNamespace, FoundPod, Source } from '../manifests/read.ts';
import type { StorageByClaim } from '../manifests/storage.ts';
import { chooseProfile, type ProfileChoice, UNGOVERNED } from './choose-profile.ts';
import type { PolicySettings } from './settings.ts';

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

export interface JudgedSource {
  readonly source: Source;
  readonly pods: readonly JudgedPod[];
  /** Number of pods that the webhook does not judge. */
  readonly ungoverned: number;
  /** Pods that have no profile to be judged by, one per line. */
  readonly problems: readonly string[];
}

/** The labels of the namespaces that are known, by the name of the namespace. */
export type LabelsOf = ReadonlyMap<string, FoundNamespace['labels']>;

export interface SourceContext {
  readonly settings: PolicySettings;
  /** Of objects without a namespace. */
  readonly namespace: string;
  readonly now: Date;
  readonly labelsOf?: LabelsOf;
  /** The storage of the claims that is known. */
  readonly claims?: StorageByClaim;
}

/** Judges the pods of a source as new pods. */
export function judgeSource(
  source: Source,
  { settings, namespace: defaultNamespace, now, labelsOf = new Map(), claims = new Map() }: SourceContext,
): JudgedSource {
  const judged: JudgedPod[] = [];
  const problems: string[] = [];
  let ungoverned = 0;
  for (const [document, { pods }] of source.documents.entries()) {
    for (const found of pods) {
      const { subject } = found;
      const namespace = subject.namespace ?? defaultNamespace;
      const choice = choose(found, namespace, settings, labelsOf);
      if (!choice.ok) problems.push(`${source.file}:${found.headRange().line}: ${choice.error}`);
      else if (choice.value === UNGOVERNED) ungoverned += 1;
      else {
        const { profile, mode } = choice.value;
        const policy = selectPolicy(profile, subject.pod, { profiles: settings.profiles, obeysProfileLabel: mode === 'enforce' });
        const input = { subject, policy, namespace, claims: claims.get(namespace), exemptions: settings.exemptions, now };
        judged.push({ source, document, found, choice: choice.value, input, verdict: judge(input) });
      }
    }
  }
  return { source, pods: judged, ungoverned, problems };
}

function choose(
  { subject }: FoundPod,
  namespace: string,
  settings: PolicySettings,
  labelsOf: LabelsOf,
): Result<ProfileChoice | typeof UNGOVERNED, string> {
  const label = labelOf(subject.pod, PROFILE_LABEL);
  return chooseProfile({ label, namespace, namespaceLabels: labelsOf.get(namespace) }, settings);
}
