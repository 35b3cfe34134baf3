import type { ParsedConfig } from '../config/parse.ts';
import type { Governance } from '../core/governance.ts';
import { type PolicyConfig, printConfigured, printUnknownProfile } from '../core/policy.ts';
import { backends } from '../core/profiles/index.ts';
import { makeProfile, type Profile } from '../core/profiles/profile.ts';
import type { Grant } from '../core/requirements.ts';
import { err, ok, type Result } from '../core/result.ts';
import { didYouMean } from '../did-you-mean.ts';

/** What manifests are judged by. */
export interface PolicySettings extends PolicyConfig {
  readonly governance: Governance;
  /** Where the configuration comes from, for people: the name of a file or of a ConfigMap. */
  readonly origin: string;
  /** The namespace of Cloister, which it never governs. undefined: not known, because the configuration is not that of a cluster. */
  readonly ownNamespace: string | undefined;
  /** The flag that sets the grant of every profile. */
  readonly grantOrigin?: string;
  /** The profile that `--profile` names. */
  readonly profile?: Profile;
}

/** A configuration, and where it comes from. */
export interface KnownConfiguration extends Pick<PolicySettings, 'origin' | 'ownNamespace'> {
  readonly config: ParsedConfig;
  /** Whether there is no configuration. */
  readonly isDefault: boolean;
}

/** The flags that choose among the profiles. */
export interface ProfileFlags {
  readonly profile?: string;
  readonly grant?: Grant;
}

export const DEFAULTS = 'the defaults of Cloister';

/** @returns the settings, or all problems of the flags, one per line */
export function settingsOf(known: KnownConfiguration, flags: ProfileFlags): Result<PolicySettings, readonly string[]> {
  const selected = selectProfiles(known, flags);
  if (!selected.ok) return selected;
  const { config, origin, ownNamespace } = known;
  const { exemptions, governance } = config;
  const grantOrigin = flags.grant === undefined ? {} : { grantOrigin: '--grant' };
  return ok({ ...selected.value, exemptions, governance, origin, ownNamespace, ...grantOrigin });
}

/** The profiles to judge by: those of the configuration or, without one, what `--profile` may name; each with the grant of `--grant`. */
export function selectProfiles(
  { config, origin, isDefault }: KnownConfiguration,
  { profile: named, grant }: ProfileFlags,
): Result<Pick<PolicySettings, 'profiles' | 'profile'>, readonly string[]> {
  const offered = isDefault && named !== undefined ? builtInProfiles() : config.profiles;
  const profiles = grant === undefined ? offered : new Map([...offered].map(([id, profile]) => [id, { ...profile, grant }]));
  if (named === undefined) return ok({ profiles });
  const profile = profiles.get(named);
  if (profile !== undefined) return ok({ profiles, profile });
  const guess = didYouMean(named, profiles.keys());
  if (!isDefault) return err([`--profile: ${printUnknownProfile(named)} in ${origin}${guess}; ${printConfigured(profiles)}`]);
  const known = [...profiles.keys()].join(', ');
  return err([`--profile: there is no built-in profile "${named}"${guess}: use one of ${known}, or name a configuration with --config`]);
}

/** Every backend as a profile of its own, with the defaults of its options. */
const builtInProfiles = (): Map<string, Profile> => new Map(backends.map((each) => [each.id, makeProfile(each.id, each, {})]));
