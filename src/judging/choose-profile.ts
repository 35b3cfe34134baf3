import { governsAny, isExcluded, profilesInForce } from '../core/governance.ts';
import { NAMESPACE_LABELS, PROFILE_LABEL } from '../core/labels.ts';
import { printConfigured, printUnknownProfile } from '../core/policy.ts';
import type { Profile } from '../core/profiles/profile.ts';
import type { Mode } from '../core/request-record.ts';
import { err, ok, type Result } from '../core/result.ts';
import type { PolicySettings } from './settings.ts';

/** The profile that a pod is judged by. Its own label may still choose another one, if the profile lets it. */
export interface ProfileChoice {
  readonly profile: Profile;
  readonly mode: Mode;
  /** What chose profile and grant: `--profile`, a label, or a configuration or its part, such as `governs[0] (lab) of config.yaml`. */
  readonly chosenBy: readonly string[];
  /**
   * Whether the choice needs no explanation: `--profile` or the label of the pod names the profile, or the configuration has only one and governs no
   * namespace by name.
   */
  readonly isObvious: boolean;
}

export interface Circumstances {
  /** The profile label of the pod. */
  readonly label: string | undefined;
  readonly namespace: string;
  /** undefined: the manifests have no such namespace, so that its labels are not known. */
  readonly namespaceLabels: ReadonlyMap<string, string> | undefined;
}

type Profiled = Pick<PolicySettings, 'profiles' | 'governance' | 'profile' | 'origin' | 'ownNamespace' | 'grantOrigin'>;

/**
 * The webhook does not judge the pod: the configuration excludes its namespace, or the namespace is known to have no label, and the configuration
 * governs others by their names.
 */
export const UNGOVERNED = 'ungoverned';

/**
 * Chooses the same profile as the webhook entries, as far as manifests and configuration show it. If a namespace has several modes, the strictest
 * counts. A pod that nothing known governs is judged by the only configured profile.
 * @returns an error if a profile is named that is not configured (the text says where), or if no profile is named
 */
export function chooseProfile(circumstances: Circumstances, config: Profiled): Result<ProfileChoice | typeof UNGOVERNED, string> {
  const { label } = circumstances;
  const asked = config.profile;
  if (asked !== undefined) return ok({ profile: asked, mode: 'enforce', chosenBy: chosenBy('--profile', config), isObvious: true });
  if (config.governance.excluded?.includes(circumstances.namespace)) return ok(UNGOVERNED);
  const [governing] = governingOf(circumstances, config);
  if (governing?.mode === 'enforce') return findProfile(governing, config);
  // A pod opts in by its label where no profile is enforced.
  const chosen = config.profiles.get(label ?? '');
  if (chosen !== undefined) return ok({ profile: chosen, mode: 'enforce', chosenBy: chosenBy("the pod's label", config), isObvious: true });
  if (label === undefined && governing !== undefined) return findProfile(governing, config);
  if (label === undefined && isKnownUngoverned(circumstances, config)) return ok(UNGOVERNED);
  return fallBack(circumstances, config);
}

/** @param chooser what chose the profile. It is not the configuration, so the grant has an origin of its own. */
function chosenBy(chooser: string, { origin, grantOrigin = origin }: Profiled): readonly string[] {
  return [chooser, grantOrigin];
}

/** @param part the part of the configuration that chose the profile, followed by ` of `; '': the whole configuration */
function chosenByPart(part: string, { origin, grantOrigin }: Profiled): readonly string[] {
  return [`${part}${origin}`, ...(grantOrigin === undefined ? [] : [grantOrigin])];
}

/** Something that names a profile. */
interface Governing extends Omit<ProfileChoice, 'profile'> {
  readonly profile: string;
  /** For the message about a profile that is not configured. */
  readonly where: string;
}

function findProfile({ where, profile: name, ...choice }: Governing, { profiles }: Profiled): Result<ProfileChoice, string> {
  const profile = profiles.get(name);
  return profile === undefined ? err(`${where}: ${printUnknownProfile(name)}; ${printConfigured(profiles)}`) : ok({ profile, ...choice });
}

/** For each mode that is in force in the namespace: the label of the namespace, or without it the configuration. */
function governingOf({ namespace, namespaceLabels }: Circumstances, config: Profiled): readonly Governing[] {
  if (isNeverGoverned(namespace, config)) return [];
  return profilesInForce(namespace, (key) => namespaceLabels?.get(key), config.governance).map(({ mode, profile, by }) => {
    const where = by ?? `label ${NAMESPACE_LABELS[mode]} of namespace ${namespace}`;
    return {
      mode,
      profile,
      chosenBy: by === undefined ? chosenBy(where, config) : chosenByPart(`${by} of `, config),
      isObvious: false,
      where,
    };
  });
}

function isKnownUngoverned({ namespace, namespaceLabels }: Circumstances, config: Profiled): boolean {
  return governsAny(config.governance) && (namespaceLabels !== undefined || isNeverGoverned(namespace, config));
}

function isNeverGoverned(namespace: string, { governance, ownNamespace }: Profiled): boolean {
  return isExcluded(namespace, governance) || namespace === ownNamespace;
}

/** The rule `pod-labels` reports a label that names no profile, if there is a profile to judge the pod by. */
function fallBack({ label, namespace }: Circumstances, config: Profiled): Result<ProfileChoice, string> {
  const { profiles, governance } = config;
  const [only, ...others] = profiles.values();
  const known = printConfigured(profiles);
  if (only !== undefined && others.length === 0) {
    const isObvious = !governsAny(governance) || label !== undefined;
    return ok({ profile: only, mode: 'enforce', chosenBy: chosenByPart(isObvious ? '' : 'the only profile of ', config), isObvious });
  }
  if (label !== undefined) return err(`label ${PROFILE_LABEL} of the pod: ${printUnknownProfile(label)}; ${known}`);
  return err(
    `nothing names the profile to judge by: set --profile, label the pod ${PROFILE_LABEL}, or name namespace ${namespace} in \`governs\` of the configuration; ${known}`,
  );
}
