import { CONTROL_PLANE_LABELS } from '../known-names.ts';
import { type NodeSelectorTerm, orEmpty, specOf } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

const REMEDY = 'remove it, or name a label of worker nodes';

/**
 * From a workspace on a control-plane node, one kernel bug leads to the whole cluster.
 *
 * Fields: spec.nodeSelector, spec.affinity.nodeAffinity
 * Allowed: anything that does not ask for a control-plane node (`NotIn` and `DoesNotExist` are allowed)
 * Fix: none.
 */
export const nodeSelection: Rule = {
  id: 'node-selection',
  summary: 'The pod does not ask for a control-plane node.',
  fields: [
    'spec.nodeSelector.*',
    'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*].matchExpressions[*]',
    'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[*].preference.matchExpressions[*]',
  ],
  checkPod(pod, report) {
    const { nodeSelector, affinity } = specOf(pod);
    for (const key of Object.keys(nodeSelector ?? {})) {
      if (CONTROL_PLANE_LABELS.has(key))
        report({ path: ['spec', 'nodeSelector', key], message: `nodeSelector asks for ${key}`, remedy: REMEDY });
    }
    const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution: preferred } =
      affinity?.nodeAffinity ?? {};
    const path = ['spec', 'affinity', 'nodeAffinity'];
    for (const [index, term] of orEmpty(required?.nodeSelectorTerms).entries()) {
      checkTerm(term, [...path, 'requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms', index], report);
    }
    for (const [index, term] of orEmpty(preferred).entries()) {
      checkTerm(term.preference, [...path, 'preferredDuringSchedulingIgnoredDuringExecution', index, 'preference'], report);
    }
  },
};

function checkTerm(term: NodeSelectorTerm | null | undefined, path: (string | number)[], report: Reporter): void {
  for (const [index, { key, operator }] of orEmpty(term?.matchExpressions).entries()) {
    if (!CONTROL_PLANE_LABELS.has(key ?? '') || operator === 'NotIn' || operator === 'DoesNotExist') continue;
    report({ path: [...path, 'matchExpressions', index], message: `node affinity asks for ${key}`, remedy: REMEDY });
  }
}
