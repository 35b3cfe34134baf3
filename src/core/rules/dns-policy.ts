import { specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/**
 * `ClusterFirstWithHostNet` says how a pod in its node's network still finds cluster names. It goes when that network goes.
 *
 * Fields: spec.dnsPolicy, where spec.hostNetwork is true
 * Allowed: anything but ClusterFirstWithHostNet
 * Fix: ClusterFirst, the same for a pod with a network of its own.
 */
export const dnsPolicy: Rule = {
  id: 'dns-policy',
  summary: "The pod's DNS policy is one of a pod with a network of its own.",
  fields: ['spec.dnsPolicy'],
  checkPod(pod, report) {
    const spec = specOf(pod);
    if (spec.hostNetwork !== true || spec.dnsPolicy !== 'ClusterFirstWithHostNet') return;
    report({ path: ['spec', 'dnsPolicy'], message: 'dnsPolicy is ClusterFirstWithHostNet', fix: { set: 'ClusterFirst' } });
  },
};
