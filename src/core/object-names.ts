/**
 * The names of the webhook configurations. The API server calls mutating webhooks in the order of the names of their configurations; `zz-` puts
 * this one after most others.
 */
export const MUTATING_CONFIGURATION = 'zz-cloister';
export const VALIDATING_CONFIGURATION = 'cloister';

/** The name of the policy with which the API server itself enforces a profile. */
export const backstopNameOf = (profile: string): string => `cloister-profile-${profile}`;

/** The policy for labels that name no configured profile. */
export const UNKNOWN_PROFILE = 'cloister-unknown-profile';

/** The policy that refuses pods while the policy of their profile does not exist. */
export const MISSING_POLICY = 'cloister-missing-policy';
/** Whether a policy or a binding may be one of these. */
export const isOfBackstop = (name: string): boolean =>
  [backstopNameOf(''), UNKNOWN_PROFILE, MISSING_POLICY].some((beginning) => name.startsWith(beginning));

/** The pods of a profile that a binding selects: those of namespaces that enforce it, those that choose it there, and those that opt in elsewhere. */
export type PodsOfProfile = 'namespace' | 'chosen' | 'opted-in';

export const missingBindingOf = (profile: string, pods: PodsOfProfile): string => `${MISSING_POLICY}-${profile}-${pods}`;
