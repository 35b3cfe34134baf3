import { excerptOf } from './excerpt.ts';
import type { Exemption } from './exemptions.ts';
import { GRANT_LABEL, PROFILE_LABEL } from './labels.ts';
import { labelOf, type Pod } from './pod.ts';
import type { Profile } from './profiles/profile.ts';
import { exceeds, GRANTS, type Grant, isGrant } from './requirements.ts';
import type { RuleFinding } from './rules/rule.ts';

/** The operator's configuration, read once at start. */
export interface PolicyConfig {
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly exemptions: readonly Exemption[];
}

/** What applies to one pod. Every pod has a policy: an invalid label is reported, and never gives the pod more. */
export interface Policy {
  readonly profile: Profile;
  readonly grant: Grant;
  readonly labelProblems: readonly RuleFinding[];
}

export interface PolicyOptions {
  readonly profiles: PolicyConfig['profiles'];
  /** Whether the pod's `profile` label counts: it does in mode enforce, and not in warn and audit. */
  readonly obeysProfileLabel: boolean;
}

/** @param profile the profile that the API server's selector chose: the namespace's, or the one that the pod opted into */
export function selectPolicy(profile: Profile, pod: Pod, { profiles, obeysProfileLabel }: PolicyOptions): Policy {
  const problems: RuleFinding[] = [];
  const label = obeysProfileLabel ? labelOf(pod, PROFILE_LABEL) : undefined;
  const selected = selectProfile(profile, label, profiles, problems);
  const grant = selectGrant(selected, labelOf(pod, GRANT_LABEL), problems);
  return { profile: selected, grant, labelProblems: problems };
}

function selectProfile(base: Profile, label: string | undefined, profiles: PolicyConfig['profiles'], problems: RuleFinding[]): Profile {
  if (label === undefined || label === base.id) return base;
  const selected = profiles.get(label);
  if (selected !== undefined && base.mayChoose.includes(label)) return selected;
  const message =
    selected === undefined ? printUnknownProfile(label) : `profile "${excerptOf(label)}" may not be chosen instead of ${base.id}`;
  const remedy = `remove the label, or set it to ${[base.id, ...base.mayChoose].join(' or ')}`;
  problems.push({ path: ['metadata', 'labels', PROFILE_LABEL], message, remedy });
  return base;
}

function selectGrant({ id, grant }: Profile, label: string | undefined, problems: RuleFinding[]): Grant {
  if (label === undefined) return grant;
  if (isGrant(label) && !exceeds(label, grant)) return label;
  const message = isGrant(label) ? `grant "${label}" is more than ${id} gives` : `grant "${excerptOf(label)}" is unknown`;
  const remedy = `remove the label, or set it to ${GRANTS.filter((each) => !exceeds(each, grant)).join(' or ')}`;
  problems.push({ path: ['metadata', 'labels', GRANT_LABEL], message, remedy });
  return grant;
}

/** For messages about a name that no profile has. */
export function printUnknownProfile(name: string): string {
  return `profile "${excerptOf(name)}" is not configured`;
}

/** The names to choose from, for the same messages. */
export function printConfigured(profiles: PolicyConfig['profiles']): string {
  return `the configured profiles are: ${profiles.size === 0 ? 'none' : [...profiles.keys()].join(', ')}`;
}
