/** The label and annotation names, once. */
export const PREFIX = 'cloister.dev/';

/** On a namespace: the profile that its pods are enforced, warned about or audited as. */
export const NAMESPACE_LABELS = { enforce: 'cloister.dev/enforce', warn: 'cloister.dev/warn', audit: 'cloister.dev/audit' } as const;

/** On a pod, by its author: which profile it asks for, where it may choose. */
export const PROFILE_LABEL = 'cloister.dev/profile';
/** On a pod, by its author: a smaller grant than the profile's. */
export const GRANT_LABEL = 'cloister.dev/grant';
/** On a pod, by Cloister: `<profile>/<grant>` that it was put under. */
export const APPLIED_ANNOTATION = 'cloister.dev/profile-applied';
/** On what `cloister ensure` keeps, by an operator: it is told how the object differs, and leaves it. */
export const HANDS_OFF_ANNOTATION = 'cloister.dev/hands-off';
