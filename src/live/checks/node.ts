import { CONTROL_PLANE_LABELS } from '../../core/known-names.ts';
import { entryOf, type Toleration } from '../../core/pod.ts';
import type { FindingCheck } from '../check.ts';
import { hasLabel, nodeOf, type Taint } from '../facts.ts';

/** Taints that keep pods away. A taint of a condition (`node.kubernetes.io/...`) says how the node is now, and comes after the pods. */
const keepsAway = ({ key, effect }: Taint): boolean =>
  (effect === 'NoSchedule' || effect === 'NoExecute') && !/^node\.(?:cloudprovider\.)?kubernetes\.io\//.test(key);

export const misplaced: FindingCheck = {
  id: 'misplaced',
  summary: 'The scheduler would not put the pod on its node.',
  severity: 'warning',
  reads: ['Pod spec.tolerations', 'Pod spec.nodeSelector', 'Node spec.taints', 'Node metadata.labels'],
  run(facts) {
    const node = nodeOf(facts);
    if (node === undefined) return undefined;
    const { tolerations, nodeSelector } = facts.pod;
    const taint = node.taints.find((each) => keepsAway(each) && !tolerations.some((toleration) => tolerates(toleration, each)));
    const [label] = Object.entries(nodeSelector).find(([key, value]) => entryOf(node.labels, key) !== value) ?? [];
    if (taint === undefined && label === undefined) return undefined;
    const why = taint === undefined ? `the pod selects another value of label ${label}` : `the pod does not tolerate taint ${taint.key}`;
    return {
      message: `no scheduler would put this pod on node ${node.name}, because ${why}: the node was named in a request, or has changed since`,
      remedy: 'recreate the pod, and check who may create pods with a nodeName or bind them',
    };
  },
};

/** Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (!key) return operator === 'Exists';
  if (key !== taint.key) return false;
  // Newer operators compare numbers: whether they match is not decided here.
  return !operator || operator === 'Equal' ? (value ?? '') === taint.value : true;
}

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
