import { quote, text } from '../cel.ts';
import { excerptOf } from '../excerpt.ts';
import type { Rule } from './rule.ts';

const PREFIX = 'kubernetes.io/config.';

/**
 * A mirror pod represents a static pod, which admission cannot stop, so it is not judged (`core/mirror-pod.ts`). Other pods with these annotations
 * would claim the same exception.
 *
 * Fields: metadata.annotations["kubernetes.io/config.*"]
 * Allowed: absent, unless a kubelet writes its own node's mirror pod
 * Fix: none; a pod that pretends to be a mirror pod has no intent that a fix could keep.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
 */
export const mirrorPod: Rule = {
  id: 'mirror-pod',
  summary: 'Only a kubelet makes mirror pods.',
  fields: [`metadata.annotations["${PREFIX}*"]`],
  checkPod({ metadata }, report) {
    for (const key of Object.keys(metadata?.annotations ?? {})) {
      if (!key.startsWith(PREFIX)) continue;
      report({
        path: ['metadata', 'annotations', key],
        message: `annotation ${excerptOf(key)} marks a static pod`,
        remedy: 'remove the annotation',
      });
    }
  },
  inTree: {
    pod: ({ annotationKeys }) => [
      {
        each: [annotationKeys, 'k'],
        where: `k.startsWith(${quote(PREFIX)})`,
        says: text`annotation ${'k'} marks a static pod`,
        remedy: quote('remove the annotation'),
      },
    ],
  },
};
