import { PREFIX } from '../core/labels.ts';

/** The API group of the permission to label namespaces. */
export const API_GROUP = PREFIX.slice(0, -1);
/** The ClusterRole with that permission. */
export const LABELER = 'cloister-labeler';

/**
 * Labels of every object that Cloister creates. `app.kubernetes.io/managed-by` is left to Helm, which sets it to its own name: with another
 * value on an object that `ensure` created again, the next `helm upgrade` would fail with a conflict.
 */
export const LABELS = { 'app.kubernetes.io/name': 'cloister' } as const;
