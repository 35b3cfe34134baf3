import { entryOf, type Toleration } from '../core/pod.ts';
import type { NodeFacts, Taint } from './facts.ts';

/** Taints that keep pods away. A taint of a condition (`node.kubernetes.io/...`) says how the node is now, and comes after the pods. */
const keepsAway = ({ key, effect }: Taint): boolean =>
  (effect === 'NoSchedule' || effect === 'NoExecute') && !/^node\.(?:cloudprovider\.)?kubernetes\.io\//.test(key);

/** The first taint that keeps a pod with these tolerations from the node. */
export function untoleratedTaintOf({ taints }: NodeFacts, tolerations: readonly Toleration[]): Taint | undefined {
  return taints.find((each) => keepsAway(each) && !tolerations.some((toleration) => tolerates(toleration, each)));
}

/** Source: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (!key) return operator === 'Exists';
  if (key !== taint.key) return false;
  // Newer operators compare numbers: whether they match is not decided here.
  return !operator || operator === 'Equal' ? (value ?? '') === taint.value : true;
}

/** The first label of a node selector that the node lacks. */
export function missingLabelOf({ labels }: NodeFacts, selector: Readonly<Record<string, string>>): string | undefined {
  return Object.entries(selector).find(([key, value]) => entryOf(labels, key) !== value)?.[0];
}
