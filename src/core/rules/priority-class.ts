import { excerptOf } from '../excerpt.ts';
import { specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/** The highest priority of a user-defined class. Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/ */
const HIGHEST_USER_PRIORITY = 1_000_000_000;

/**
 * The `system-` classes are for pods that a cluster needs to work. A workspace that uses one can preempt such pods.
 *
 * Fields: spec.priorityClassName, spec.priority
 * Allowed: user-defined classes
 * Fix: none.
 */
export const priorityClass: Rule = {
  id: 'priority-class',
  summary: 'The pod has no priority of the system.',
  fields: ['spec.priorityClassName', 'spec.priority'],
  checkPod(pod, report) {
    const { priorityClassName, priority } = specOf(pod);
    if (priorityClassName?.startsWith('system-')) {
      report({
        path: ['spec', 'priorityClassName'],
        message: `priorityClassName is ${excerptOf(priorityClassName)}`,
        remedy: 'use a priority class of your own, or none',
      });
    } else if ((priority ?? 0) > HIGHEST_USER_PRIORITY) {
      report({
        path: ['spec', 'priority'],
        message: `priority ${priority} is reserved for the system`,
        remedy: 'use a priority class of your own, or none',
      });
    }
  },
};
