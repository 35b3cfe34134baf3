import type { Rule } from './rule.ts';

const PREFIX = 'kubernetes.io/config.';

/**
 * A mirror pod is the kubelet's picture of a static pod, which no admission can stop: it is left alone (`mirror.ts`). Anyone else who
 * writes these annotations wants to be left alone too.
 *
 * Fields: metadata.annotations["kubernetes.io/config.*"]
 * Allowed: absent, unless a kubelet writes its own node's mirror pod
 * Fix: none; a pod that poses as another kind of pod has no intent to keep.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
 */
export const mirrorPod: Rule = {
  id: 'mirror-pod',
  summary: 'Only a kubelet makes mirror pods.',
  fields: [`metadata.annotations["${PREFIX}*"]`],
  checkPod({ metadata }, report) {
    for (const key of Object.keys(metadata?.annotations ?? {})) {
      if (!key.startsWith(PREFIX)) continue;
      report({ path: ['metadata', 'annotations', key], message: `annotation ${key} marks a static pod`, remedy: 'remove the annotation' });
    }
  },
};
