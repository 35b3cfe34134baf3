import { quote, text, textAt } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import { specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

const REMEDY = 'remove it; use nodeSelector or affinity to select nodes';

/**
 * `nodeName` bypasses the scheduler, and with it taints and the node selector of the runtime class.
 *
 * Fields: spec.nodeName
 * Allowed: absent when the pod is made
 * Fix: none, because the author means one specific node.
 * Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename
 */
export const nodeName: Rule = {
  id: 'node-name',
  summary: 'The scheduler picks the node.',
  fields: ['spec.nodeName'],
  checkPod(pod, report) {
    const name = specOf(pod).nodeName;
    if (name)
      report({
        path: ['spec', 'nodeName'],
        message: `nodeName is ${excerptOf(name)}`,
        remedy: REMEDY,
      });
  },
  inTree: {
    pod({ spec }) {
      const name = textAt(spec, 'nodeName');
      return [{ where: `${name} != ''`, says: text`nodeName is ${name}`, remedy: quote(REMEDY) }];
    },
  },
};
