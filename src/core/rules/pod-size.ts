import { MAX_CONTAINERS, MAX_NAME_CHARS } from '../limits.ts';
import type { Rule } from './rule.ts';

/**
 * A pod of a few megabytes can have a hundred thousand findings. Judging and patching it would delay all other reviews.
 *
 * Fields: the number of containers in all lists, and of findings; containers' names
 * Allowed: 1,000 of each; 253 characters, which is more than the API server takes
 * Fix: none.
 */
export const podSize: Rule = {
  id: 'pod-size',
  summary: 'The pod is small enough to be judged and repaired while others wait.',
  fields: ['spec.containers[*]', 'spec.containers[*].name'],
  checkPod(_pod, report, { containers }) {
    if (containers.length > MAX_CONTAINERS)
      report({ path: ['spec', 'containers'], message: `the pod has more than ${MAX_CONTAINERS} containers`, remedy: REMEDY });
    for (const { list, index, spec } of containers) {
      const length = spec.name?.length ?? 0;
      if (length <= MAX_NAME_CHARS) continue;
      report({ path: ['spec', list, index, 'name'], message: `the container's name has ${length} characters`, remedy: 'shorten it' });
    }
  },
};

const REMEDY = 'split it into several pods';
