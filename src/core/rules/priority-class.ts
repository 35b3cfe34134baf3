import { numberAt, quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/** The highest priority of a user-defined class. Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/ */
const HIGHEST_USER_PRIORITY = 1_000_000_000;

const REMEDY = 'use a priority class of your own, or none';

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
        remedy: REMEDY,
      });
    } else if ((priority ?? 0) > HIGHEST_USER_PRIORITY) {
      report({
        path: ['spec', 'priority'],
        message: `priority ${priority} is reserved for the system`,
        remedy: REMEDY,
      });
    }
  },
  inTree: {
    pod({ spec }) {
      const name = textAt(spec, 'priorityClassName');
      const priority = numberAt(spec, 'priority');
      return [
        { where: `${name}.startsWith('system-')`, says: text`priorityClassName is ${name}`, remedy: quote(REMEDY) },
        {
          where: `!${name}.startsWith('system-') && ${priority} > ${HIGHEST_USER_PRIORITY}`,
          says: text`priority ${`string(${priority})`} is reserved for the system`,
          remedy: quote(REMEDY),
        },
      ];
    },
  },
};
