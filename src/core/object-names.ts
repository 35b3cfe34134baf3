/**
 * The names of the webhook configurations. The API server calls mutating webhooks in the order of the names of their configurations; `zz-` puts
 * this one after most others.
 */
export const MUTATING_CONFIGURATION = 'zz-cloister';
export const VALIDATING_CONFIGURATION = 'cloister';

/** The name of the policy with which the API server itself enforces a profile. */
export const backstopNameOf = (profile: string): string => `cloister-profile-${profile}`;
