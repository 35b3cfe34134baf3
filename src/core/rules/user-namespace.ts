import { annotationOf, specOf } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * In a user namespace root is root of the pod alone. Runtimes that bring a kernel of their own (Kata, gVisor) refuse the field.
 *
 * Fields: spec.hostUsers, and the annotation that says the same on nodes too old for it
 * Allowed: what the profile's wall says: false, or absent
 * Fix: set it, or drop it.
 * Source: KEP-127, https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
 */
export const userNamespace: Rule = {
  id: 'user-namespace',
  summary: 'The pod has a user namespace of its own, or a runtime with a kernel of its own.',
  fields: ['spec.hostUsers', 'metadata.annotations["io.kubernetes.cri-o.userns-mode"]'],
  checkPod(pod, report, { terms: { wall } }) {
    const { hostUsers } = specOf(pod);
    if (wall.hostUsers === false && hostUsers !== false) {
      const message = hostUsers == null ? 'hostUsers is not set, so the pod shares its users with the node' : 'hostUsers is true';
      report({ path: ['spec', 'hostUsers'], message, fix: { set: false } });
    }
    if (wall.hostUsers === undefined && hostUsers != null) {
      report({
        path: ['spec', 'hostUsers'],
        message: `hostUsers is ${hostUsers}, which this profile's runtime does not take`,
        fix: REMOVE,
      });
    }
    for (const [key, value] of wall.annotations) {
      if (annotationOf(pod, key) === value) continue;
      report({ path: ['metadata', 'annotations', key], message: `annotation ${key} is not "${value}"`, fix: { set: value } });
    }
  },
};
