import { type Governance, isExcluded, type ProfileByMode, profilesInForce } from '../core/governance.ts';
import { PROFILE_LABEL } from '../core/labels.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { didYouMean } from '../did-you-mean.ts';
import type { Context } from './check.ts';
import type { GovernedPod, Labels, Namespace } from './facts.ts';

type Place = Pick<Context, 'service' | 'only'> & { readonly governance: Governance };

interface Named {
  readonly name: string;
  readonly labels: Labels;
}

/** For a namespace to check: the profile of each mode that is in force, also one that is not configured. */
export function profileByModeIn({ name, labels }: Named, { governance, service, only }: Place): ProfileByMode {
  if (name === service.namespace || only?.includes(name) === false) return {};
  return Object.fromEntries(profilesInForce(name, (key) => labels[key], governance).map(({ mode, profile }) => [mode, profile]));
}

/** Whether no label and no configuration can govern a namespace. */
export const isNeverGoverned = (name: string, { governance, service }: Omit<Place, 'only'>): boolean =>
  name === service.namespace || isExcluded(name, governance);

/** Why the namespaces that the user named cannot be checked. */
export function problemsOfNamed(namespaces: readonly Named[], { only = [], ...place }: Place): readonly string[] {
  const names = namespaces.map(({ name }) => name);
  return only.flatMap((name) => {
    if (!names.includes(name)) return [`--namespace ${name}: the cluster has no such namespace${didYouMean(name, names)}`];
    return isNeverGoverned(name, place) ? [`--namespace ${name}: Cloister never governs this namespace: name another one`] : [];
  });
}

/** The namespaces that enforce a profile. */
export function enforcing<Namespace extends Named>(profile: string, namespaces: readonly Namespace[], place: Place): readonly Namespace[] {
  return namespaces.filter((each) => profileByModeIn(each, place).enforce === profile);
}

/** The profile that a pod is created under: its own label counts where the profile of its namespace lets it choose, or where none is enforced. */
export function profileOfPod(pod: GovernedPod, enforced: string | undefined, profiles: Context['profiles']): Profile | undefined {
  const chosen = pod.labels[PROFILE_LABEL];
  const base = enforced === undefined ? undefined : profiles.get(enforced);
  if (enforced === undefined) return chosen === undefined ? undefined : profiles.get(chosen);
  return chosen !== undefined && base?.mayChoose.includes(chosen) ? profiles.get(chosen) : base;
}

/** A governed pod with the profile that it is created under. */
export interface PodUnderProfile {
  readonly pod: GovernedPod;
  readonly namespace: Namespace;
  /** The profile that its namespace enforces. */
  readonly enforce: string | undefined;
  readonly profile: Profile;
}

export function podsUnderProfile(
  pods: readonly GovernedPod[],
  namespaces: readonly Namespace[],
  context: Context,
): readonly PodUnderProfile[] {
  const byName = new Map(namespaces.map((each) => [each.name, each]));
  return pods.flatMap((pod) => {
    const namespace = byName.get(pod.namespace) ?? {
      name: pod.namespace,
      labels: {},
      annotations: {},
      isTerminating: false,
      enforcedSince: undefined,
    };
    const { enforce } = profileByModeIn(namespace, context);
    const profile = profileOfPod(pod, enforce, context.profiles);
    return profile === undefined ? [] : [{ pod, namespace, enforce, profile }];
  });
}
