import { CONTROL_PLANE_LABELS } from '../known-names.ts';
import { orEmpty, specOf } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * A toleration without a key tolerates every taint, including those of the control plane and of other tenants' nodes.
 *
 * Fields: spec.tolerations[*]
 * Allowed: a key, and not a control-plane one
 * Fix: drop the toleration.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
export const tolerations: Rule = {
  id: 'tolerations',
  summary: 'The pod tolerates no taint of the control plane, and not all taints at once.',
  fields: ['spec.tolerations[*]'],
  checkPod(pod, report) {
    for (const [index, { key }] of orEmpty(specOf(pod).tolerations).entries()) {
      const path = ['spec', 'tolerations', index];
      if (!key) report({ path, message: 'a toleration without a key tolerates every taint', fix: REMOVE });
      else if (CONTROL_PLANE_LABELS.has(key)) report({ path, message: `taint ${key} is tolerated`, fix: REMOVE });
    }
  },
};
