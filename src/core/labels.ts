/** The names of labels and annotations. */
export const PREFIX = 'cloister.dev/';

/** On a namespace: the profile that its pods are enforced, warned about or audited against. */
export const NAMESPACE_LABELS = { enforce: 'cloister.dev/enforce', warn: 'cloister.dev/warn', audit: 'cloister.dev/audit' } as const;

/** On a pod, by its author: the requested profile, where the namespace's profile allows a choice. */
export const PROFILE_LABEL = 'cloister.dev/profile';
/** On a pod, by its author: a smaller grant than the profile's. */
export const GRANT_LABEL = 'cloister.dev/grant';
/** On a pod, by Cloister: `<profile>/<grant>` that were applied. */
export const APPLIED_ANNOTATION = 'cloister.dev/profile-applied';
/** On an object that `cloister ensure` manages, by an operator: ensure reports how the object differs, and does not change it. */
export const HANDS_OFF_ANNOTATION = 'cloister.dev/hands-off';
