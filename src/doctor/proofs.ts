import type { ClassFacts, NodeFacts } from '../live/facts.ts';
import type { Proof, ProofOutcome } from './facts.ts';
import { whyNotOn } from './landings.ts';

export type RanProof = Proof & { readonly node: NodeFacts; readonly outcome: Extract<ProofOutcome, { readonly is: 'ran' }> };

export function hasRun(proof: Proof): proof is RanProof {
  return proof.outcome.is === 'ran' && proof.node !== undefined;
}

/** How many nodes run a pod of each profile: one of each kind, all, or a number of them. */
export type NodeChoice = 'kinds' | 'all' | number;

/** The ready nodes that the scheduler could choose for a pod with this scheduling. With a number, at first one of each kind. */
export function chooseNodes(
  nodes: readonly NodeFacts[],
  pod: Pick<ClassFacts, 'nodeSelector' | 'tolerations'>,
  choice: NodeChoice,
): readonly NodeFacts[] {
  const candidates = nodes.filter((node) => node.isReady && whyNotOn(node, pod) === undefined);
  if (choice === 'all') return candidates;
  const kinds = [...Map.groupBy(candidates, kindOf).values()];
  const firsts = kinds.flatMap(([first]) => first ?? []);
  return choice === 'kinds' ? firsts : [...firsts, ...kinds.flatMap(([, ...rest]) => rest)].slice(0, choice);
}

/** Nodes with the same versions are expected to behave in the same way. */
const kindOf = ({ kubelet, runtime, osImage }: NodeFacts): string => [kubelet, runtime, osImage].join(' ');

/** Whether the pod had a kernel other than that of its node; undefined: not known. Two kernels of one release differ in their boot ids alone. */
export function hasOwnKernel({ node, outcome: { report } }: RanProof): boolean | undefined {
  if (node.bootId && report.bootId) return node.bootId !== report.bootId;
  return node.kernel && report.kernelRelease && node.kernel !== report.kernelRelease ? true : undefined;
}
