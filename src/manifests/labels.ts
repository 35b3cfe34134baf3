import { PREFIX } from '../core/labels.ts';

/** The API group of the right to label. */
export const API_GROUP = PREFIX.slice(0, -1);
/** The ClusterRole of those who hold it. */
export const LABELER = 'cloister-labeler';

/** On every object that Cloister makes. */
export const LABELS = { 'app.kubernetes.io/name': 'cloister', 'app.kubernetes.io/managed-by': 'cloister' } as const;
