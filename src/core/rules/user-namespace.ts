import { findUserNamespaceGaps } from '../wall.ts';
import type { Rule } from './rule.ts';

/**
 * In a user namespace root is root of the pod alone. Runtimes that bring their own kernel (Kata, gVisor) reject the field.
 *
 * Fields: spec.hostUsers, and the annotation that replaces it on nodes too old for it
 * Allowed: what the profile's wall requires: false, or absent
 * Fix: set it, or drop it.
 * Source: KEP-127, https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
 */
export const userNamespace: Rule = {
  id: 'user-namespace',
  summary: 'The pod has a user namespace of its own, or a runtime with a kernel of its own.',
  fields: ['spec.hostUsers', 'metadata.annotations["io.kubernetes.cri-o.userns-mode"]'],
  checkPod(pod, report, { requirements }) {
    for (const { finding } of findUserNamespaceGaps(pod, requirements.wall)) report(finding);
  },
};
