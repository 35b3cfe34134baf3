import { PREFIX } from '../core/labels.ts';

/** The API group of the permission to label namespaces. */
export const API_GROUP = PREFIX.slice(0, -1);
/** The ClusterRole with that permission. */
export const LABELER = 'cloister-labeler';

/** Labels of every object that Cloister creates. */
export const LABELS = { 'app.kubernetes.io/name': 'cloister', 'app.kubernetes.io/managed-by': 'cloister' } as const;
