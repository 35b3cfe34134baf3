import { CONTROL_PLANE_LABELS } from '../../core/known-names.ts';
import type { FindingCheck } from '../check.ts';
import { hasLabel, nodeOf } from '../facts.ts';
import { missingLabelOf, untoleratedTaintOf } from '../scheduling.ts';

export const misplaced: FindingCheck = {
  id: 'misplaced',
  summary: 'The scheduler would not put the pod on its node.',
  severity: 'warning',
  reads: ['Pod spec.tolerations', 'Pod spec.nodeSelector', 'Node spec.taints', 'Node metadata.labels'],
  run(facts) {
    const node = nodeOf(facts);
    if (node === undefined) return undefined;
    const { tolerations, nodeSelector } = facts.pod;
    const taint = untoleratedTaintOf(node, tolerations);
    const label = missingLabelOf(node, nodeSelector);
    if (taint === undefined && label === undefined) return undefined;
    const why = taint === undefined ? `the pod selects another value of label ${label}` : `the pod does not tolerate taint ${taint.key}`;
    return {
      message: `no scheduler would put this pod on node ${node.name}, because ${why}: the node was named in a request, or has changed since`,
      remedy: 'recreate the pod, and check who may create pods with a nodeName or bind them',
    };
  },
};

export const controlPlaneNode: FindingCheck = {
  id: 'control-plane-node',
  summary: 'The pod runs on a node of the control plane.',
  severity: 'warning',
  reads: ['Node metadata.labels'],
  run(facts) {
    const node = nodeOf(facts);
    const label = node && [...CONTROL_PLANE_LABELS].find((each) => hasLabel(node, each));
    if (node === undefined || label === undefined) return undefined;
    return {
      message: `the pod runs on node ${node.name}, which has the label ${label}`,
      remedy: 'taint the nodes of the control plane, and recreate the pod',
    };
  },
};
