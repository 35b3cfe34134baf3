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

/**
 * @param profile the profile that the API server's selector chose: the namespace's, or the one that the pod opted into
 * @param chooses whether the pod's `profile` label counts: it does in mode enforce, and not in warn and audit
 */
export function selectPolicy(profile: Profile, pod: Pod, offer: PolicyConfig, chooses: boolean): Policy {
  const problems: RuleFinding[] = [];
  const chosen = chooses ? selectProfile(profile, labelOf(pod, PROFILE_LABEL), offer, problems) : profile;
  const grant = selectGrant(chosen, labelOf(pod, GRANT_LABEL), problems);
  return { profile: chosen, grant, labelProblems: problems };
}

function selectProfile(offered: Profile, asked: string | undefined, { profiles }: PolicyConfig, problems: RuleFinding[]): Profile {
  if (asked === undefined || asked === offered.id) return offered;
  const path = ['metadata', 'labels', PROFILE_LABEL];
  const choices = [offered.id, ...offered.mayChoose];
  const remedy = `remove the label, or set it to ${choices.join(' or ')}`;
  const chosen = profiles.get(asked);
  if (chosen === undefined) problems.push({ path, message: `profile "${asked}" is not configured`, remedy });
  else if (offered.mayChoose.includes(asked)) return chosen;
  else problems.push({ path, message: `profile "${asked}" may not be chosen here`, remedy });
  return offered;
}

function selectGrant({ id, grant }: Profile, asked: string | undefined, problems: RuleFinding[]): Grant {
  if (asked === undefined) return grant;
  const path = ['metadata', 'labels', GRANT_LABEL];
  if (isGrant(asked) && !exceeds(asked, grant)) return asked;
  const remedy = `remove the label, or set it to ${GRANTS.filter((each) => !exceeds(each, grant)).join(' or ')}`;
  const message = isGrant(asked) ? `grant "${asked}" is more than ${id} gives` : `grant "${asked}" is unknown`;
  problems.push({ path, message, remedy });
  return grant;
}
