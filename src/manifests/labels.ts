import { PREFIX } from '../core/labels.ts';

/** The API group of the permissions to label namespaces and to manage the webhook configurations. */
export const API_GROUP = PREFIX.slice(0, -1);
/** The ClusterRole with the permission to label namespaces. */
export const LABELER = 'cloister-labeler';
/** The ClusterRole with the permission to change and delete the webhook configurations. */
export const MANAGER = 'cloister-manager';

/**
 * Labels of every object that Cloister creates. `app.kubernetes.io/managed-by` is left to Helm, which sets it to its own name: with another
 * value on an object that `ensure` created again, the next `helm upgrade` would fail with a conflict.
 */
export const LABELS = { 'app.kubernetes.io/name': 'cloister' } as const;
/** Of the policies that enforce profiles, and of their bindings, so that one command can select them all. */
export const BACKSTOP_LABELS = { ...LABELS, 'app.kubernetes.io/component': 'backstop' } as const;
