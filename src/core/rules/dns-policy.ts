import { flagAt, quote, textAt } from '../cel.ts';
import { specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/**
 * `ClusterFirstWithHostNet` lets a pod in its node's network resolve cluster names. Without hostNetwork it has no purpose.
 *
 * Fields: spec.dnsPolicy, where spec.hostNetwork is true
 * Allowed: anything but ClusterFirstWithHostNet
 * Fix: ClusterFirst, which means the same for a pod without hostNetwork.
 */
export const dnsPolicy: Rule = {
  id: 'dns-policy',
  summary: 'The DNS policy fits a pod without host network.',
  fields: ['spec.dnsPolicy'],
  checkPod(pod, report) {
    const spec = specOf(pod);
    if (spec.hostNetwork !== true || spec.dnsPolicy !== 'ClusterFirstWithHostNet') return;
    report({ path: ['spec', 'dnsPolicy'], message: 'dnsPolicy is ClusterFirstWithHostNet', fix: { set: 'ClusterFirst' } });
  },
  inTree: {
    pod: ({ spec }) => [
      {
        where: `${flagAt(spec, 'hostNetwork')} && ${textAt(spec, 'dnsPolicy')} == 'ClusterFirstWithHostNet'`,
        says: quote('dnsPolicy is ClusterFirstWithHostNet'),
        remedy: quote('set it to ClusterFirst'),
      },
    ],
  },
  inTreeFixes: {
    pod: ({ spec }) => [
      {
        path: 'spec.dnsPolicy',
        where: `${flagAt(spec, 'hostNetwork')} && ${textAt(spec, 'dnsPolicy')} == 'ClusterFirstWithHostNet'`,
        edit: () => quote('ClusterFirst'),
      },
    ],
  },
};
