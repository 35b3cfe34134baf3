import type { AnswerCheck, FindingCheck } from '../check.ts';
import { handlerOf, type NodeFacts, nodeOf, type WallFacts } from '../facts.ts';
import { isKataHandler } from '../handlers.ts';
import { type KubeletSupport, kubeletSupportOf } from '../versions.ts';

const READS = ['Pod spec.hostUsers', 'Node status.nodeInfo.kubeletVersion', 'Node status.runtimeHandlers[*].features.userNamespaces'];

/** What is known of the user namespaces of a pod's node. */
interface Support {
  readonly node: NodeFacts;
  readonly kubelet: KubeletSupport | undefined;
  /** Whether the pod's handler has user namespaces; undefined: the node does not say. */
  readonly feature: boolean | undefined;
}

/** @returns undefined: the pod's wall is no user namespace, or its node is not known */
function supportOf(facts: WallFacts): Support | undefined {
  const node = needsUserNamespace(facts) ? nodeOf(facts) : undefined;
  if (node === undefined) return undefined;
  const handler = handlerOf(facts);
  return {
    node,
    kubelet: kubeletSupportOf(node.kubelet),
    feature: handler === undefined ? undefined : node.handlers.get(handler),
  };
}

/** Whether the wall is a user namespace that the node makes. */
export function needsUserNamespace(facts: WallFacts): boolean {
  return asksForUserNamespace(facts) && !runsInGuest(facts);
}

function asksForUserNamespace({ profile }: WallFacts): boolean {
  return profile.isRequested && profile.wall.hostUsers === false;
}

/** Whether the handler is one of Kata's, as its name says. */
export const runsInGuest = (facts: WallFacts): boolean => isKataHandler(handlerOf(facts) ?? '');

export const usernsSupported: AnswerCheck = {
  id: 'userns-supported',
  summary: 'The node reports that the runtime of the pod has user namespaces.',
  severity: 'none',
  answer: 'stands',
  proves: 'user namespace',
  reads: READS,
  run(facts) {
    const { kubelet, feature } = supportOf(facts) ?? {};
    return kubelet === 'since' && feature === true;
  },
};

export const usernsUnsupported: FindingCheck = {
  id: 'userns-unsupported',
  summary: 'The node reports that the runtime of the pod has no user namespaces.',
  severity: 'error',
  answer: 'missing',
  reads: READS,
  run(facts) {
    const { node, kubelet, feature } = supportOf(facts) ?? {};
    if (node === undefined || kubelet !== 'since' || feature !== false) return undefined;
    return {
      message: `the runtime of node ${node.name} has no user namespaces, so its kubelet should not have started this pod: the pod may be older than the configuration of the runtime`,
      remedy:
        'give the node Linux 6.3 or later, and containerd 2.0 or later with runc 1.2 or later, or CRI-O 1.31 or later with crun; then recreate the pod',
    };
  },
};

export const usernsUnreported: FindingCheck = {
  id: 'userns-unreported',
  summary: 'The node does not say whether the runtime of the pod has user namespaces.',
  severity: 'info',
  answer: 'claimed',
  reads: READS,
  run(facts) {
    const { node, kubelet, feature } = supportOf(facts) ?? {};
    if (node === undefined || kubelet === 'before' || kubelet === 'gated') return undefined;
    if (kubelet === undefined) {
      return {
        message: `the version of the kubelet of node ${node.name} cannot be read: ${node.kubelet ?? 'it has none'}`,
        remedy: 'check on the node that its kubelet is 1.33 or later',
      };
    }
    // A class that could not be read hides which handler is meant.
    if (feature !== undefined || handlerOf(facts) === undefined) return undefined;
    return {
      message: `the runtime of node ${node.name} does not say whether it has user namespaces; a kubelet of this version fails a pod that cannot have one`,
      remedy: 'update the runtime: containerd 2.0 or later, or CRI-O 1.31 or later',
    };
  },
};

export const usernsIgnored: FindingCheck = {
  id: 'userns-ignored',
  summary: 'The kubelet is too old to give the pod a user namespace.',
  severity: 'error',
  answer: 'missing',
  reads: READS,
  run(facts) {
    const { node, kubelet } = supportOf(facts) ?? {};
    if (node === undefined || kubelet !== 'before') return undefined;
    return {
      message: `the kubelet of node ${node.name} is ${node.kubelet}: kubelets before 1.30 ignore hostUsers`,
      remedy: 'replace the node with one whose kubelet is 1.33 or later, and recreate the pod',
    };
  },
};

export const usernsGated: FindingCheck = {
  id: 'userns-gated',
  summary: 'User namespaces are off by default in the kubelet of the node.',
  severity: 'warning',
  answer: 'claimed',
  reads: READS,
  run(facts) {
    const { node, kubelet } = supportOf(facts) ?? {};
    if (node === undefined || kubelet !== 'gated') return undefined;
    return {
      message: `the kubelet of node ${node.name} is ${node.kubelet}, where the feature gate UserNamespacesSupport is off by default, and the node does not publish it`,
      remedy: 'check `featureGates` of the kubelet, or update it to 1.33 or later',
    };
  },
};

export const usernsWithHostNamespaces: FindingCheck = {
  id: 'userns-with-host-namespaces',
  summary: 'The pod asks for a user namespace and shares a namespace of the host.',
  severity: 'error',
  answer: 'missing',
  reads: ['Pod spec.hostUsers', 'Pod spec.hostNetwork', 'Pod spec.hostPID', 'Pod spec.hostIPC'],
  run({ pod, profile }) {
    const [shared] = pod.hostNamespaces;
    if (profile.wall.hostUsers !== false || pod.hostUsers !== false || shared === undefined) return undefined;
    return {
      message: `the pod has hostUsers: false together with ${shared}: true, which the API server refuses by default`,
      remedy: `delete the pod, and check the feature gate UserNamespacesHostNetworkSupport of the API server and who writes pods past it`,
    };
  },
};

export const usernsInGuest: FindingCheck = {
  id: 'userns-in-guest',
  summary: 'A virtual machine is the wall of the pod, and the user namespace is inside it.',
  severity: 'info',
  answer: 'stands',
  reads: ['Pod spec.hostUsers', 'RuntimeClass handler'],
  run(facts) {
    if (!asksForUserNamespace(facts) || !runsInGuest(facts)) return undefined;
    return {
      message: `handler ${handlerOf(facts)} runs the pod in a virtual machine, so a user namespace is inside the machine`,
      remedy: 'nothing has to be done; the label of the namespace could name a Kata profile, which describes this wall',
    };
  },
};
