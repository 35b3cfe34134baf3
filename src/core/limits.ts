/** Bounds on the work that one pod can cause. The rule `pod-size` reports pods beyond them. */

/** Real pods have tens of containers, and etcd stores no object above 1.5 MB. */
export const MAX_CONTAINERS = 1_000;

/** The API server allows 63 characters, but validates a name only after admission. Every finding repeats the container's name. */
export const MAX_NAME_CHARS = 253;

/** More escapes than a person can fix by hand. */
export const MAX_ESCAPES = 1_000;

/** Characters of the paths and messages of all escapes together. A thousand ordinary ones have 100,000. */
export const MAX_ESCAPES_CHARS = 128 * 1024;

/**
 * Limits for findings that do not refuse a pod, such as a grant that has no effect yet. A plain container has seven of them. MAX_PATCH_BYTES limits
 * the repair of such findings; these two limit the work before the size of the patch is known.
 */
export const MAX_OTHER_FINDINGS = 3 * MAX_ESCAPES;
export const MAX_OTHER_FINDINGS_CHARS = 3 * MAX_ESCAPES_CHARS;

/** As JSON. Encoded in base64, and with all warnings and annotations that it can have, an answer with this patch stays below 256 KiB. */
export const MAX_PATCH_BYTES = 144 * 1024;
