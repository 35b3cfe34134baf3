import { each } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * `Bidirectional` carries mounts made in the pod to the node and to other pods; the API server takes it from privileged containers only,
 * so it must go where `privileged` goes. `HostToContainer` brings the node's later mounts in.
 *
 * Fields: spec.containers[*].volumeMounts[*].mountPropagation
 * Allowed: absent or None
 * Fix: drop it.
 * Source: https://kubernetes.io/docs/concepts/storage/volumes/#mount-propagation
 */
export const mountPropagation: Rule = {
  id: 'mount-propagation',
  summary: 'Mounts stay on the side of the wall where they were made.',
  fields: ['spec.containers[*].volumeMounts[*].mountPropagation'],
  checkContainer({ spec }, report) {
    for (const [index, { mountPropagation: propagation }] of each(spec.volumeMounts).entries()) {
      if (!propagation || propagation === 'None') continue;
      report({ path: ['volumeMounts', index, 'mountPropagation'], message: `mountPropagation is ${propagation}`, fix: REMOVE });
    }
  },
};
