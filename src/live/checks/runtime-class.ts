import { bytesOf } from '../../core/quantity.ts';
import type { AnswerCheck, FindingCheck } from '../check.ts';
import { type ClassFacts, classOf, handlerOf, type NodeFacts, nodeOf, type WallFacts } from '../facts.ts';
import { HYPERVISORS, isHandlerOf, isOfOtherHypervisor, isOrdinary } from '../handlers.ts';
import { runtimeVersionOf } from '../versions.ts';

const HANDLER_READS = ['Pod spec.runtimeClassName', 'RuntimeClass handler', 'Node status.runtimeHandlers[*].name'];

/** Whether the wall is what a RuntimeClass leads to: of every backend but user namespaces. */
export const needsRuntimeClass = ({ profile }: WallFacts): boolean => profile.isRequested && profile.backend !== 'userns';

interface Placed {
  readonly class: ClassFacts;
  readonly node: NodeFacts;
}

/** The class and the node of a pod with a class, where both are known. */
function placedOf(facts: WallFacts): Placed | undefined {
  const found = facts.profile.isRequested ? classOf(facts) : undefined;
  const node = nodeOf(facts);
  return found === undefined || node === undefined ? undefined : { class: found, node };
}

export const classGone: FindingCheck = {
  id: 'class-gone',
  summary: 'The RuntimeClass of the pod does not exist any more.',
  severity: 'error',
  answer: 'claimed',
  reads: ['Pod spec.runtimeClassName', 'RuntimeClass metadata.name'],
  run(facts) {
    const { pod, profile, classes } = facts;
    if (!profile.isRequested || pod.runtimeClass === undefined || classes === undefined || classes.has(pod.runtimeClass)) return undefined;
    return {
      message: `RuntimeClass ${pod.runtimeClass} does not exist any more: new pods with it are refused, and what runs this one cannot be read`,
      remedy: 'create the RuntimeClass again',
    };
  },
};

export const handlerAbsent: FindingCheck = {
  id: 'handler-absent',
  summary: 'The runtime of the node has no handler of the RuntimeClass.',
  severity: 'error',
  answer: 'missing',
  reads: HANDLER_READS,
  run(facts) {
    const { class: found, node } = placedOf(facts) ?? {};
    if (found === undefined || node === undefined || node.handlers.size === 0 || node.handlers.has(found.handler)) return undefined;
    const known = [...node.handlers.keys()].filter((name) => name !== '');
    return {
      message: `node ${node.name} has no handler ${found.handler} (it has: ${known.join(', ') || 'only the default'})`,
      remedy: `install the runtime on the node, or keep pods of RuntimeClass ${found.name} from it with scheduling.nodeSelector`,
    };
  },
};

export const handlerListed: AnswerCheck = {
  id: 'handler-listed',
  summary: 'The runtime of the node lists the handler of the RuntimeClass.',
  severity: 'none',
  answer: 'stands',
  proves: 'runtime class',
  reads: [...HANDLER_READS, 'Node status.nodeInfo.containerRuntimeVersion'],
  run(facts) {
    const { class: found, node } = placedOf(facts) ?? {};
    if (found === undefined || node === undefined || !node.handlers.has(found.handler)) return false;
    // Only CRI-O reads the annotation that replaces `hostUsers`.
    return facts.profile.wall.annotations.length === 0 || runtimeVersionOf(node.runtime)?.name === 'cri-o';
  },
};

export const handlersUnreported: FindingCheck = {
  id: 'handlers-unreported',
  summary: 'The node does not publish the handlers of its runtime.',
  severity: 'info',
  answer: 'claimed',
  reads: HANDLER_READS,
  run(facts) {
    const { class: found, node } = placedOf(facts) ?? {};
    if (found === undefined || node === undefined || node.handlers.size > 0) return undefined;
    return {
      message: `node ${node.name} does not publish the handlers of its runtime, so whether it has ${found.handler} is not known`,
      remedy: 'update the kubelet to 1.30 or later, or check the configuration of the runtime on the node',
    };
  },
};

export const handlerOrdinary: FindingCheck = {
  id: 'handler-ordinary',
  summary: 'The RuntimeClass leads to a runtime of ordinary containers.',
  severity: 'error',
  answer: 'missing',
  reads: ['Pod spec.runtimeClassName', 'RuntimeClass handler'],
  run(facts) {
    const found = needsRuntimeClass(facts) ? classOf(facts) : undefined;
    if (found === undefined || !isOrdinary(found.handler)) return undefined;
    return {
      message: `RuntimeClass ${found.name} leads to handler "${found.handler}", which runs ordinary containers: the pod has no wall`,
      remedy: `create RuntimeClass ${found.name} again with the handler of ${facts.profile.backend}, and recreate the pods`,
    };
  },
};

export const handlerUnknown: FindingCheck = {
  id: 'handler-unknown',
  summary: 'The name of the handler does not say that it is the runtime of the profile.',
  severity: 'warning',
  answer: 'claimed',
  reads: ['Pod spec.runtimeClassName', 'RuntimeClass handler'],
  run(facts) {
    const { backend, wall } = facts.profile;
    const found = needsRuntimeClass(facts) ? classOf(facts) : undefined;
    if (found === undefined || isOrdinary(found.handler) || found.handler === wall.runtimeClassName) return undefined;
    if (isHandlerOf(backend, found.handler)) return undefined;
    return {
      message: `RuntimeClass ${found.name} leads to handler ${found.handler}. The installers of ${backend} use no such name, so nothing shows which runtime it runs`,
      remedy: `check the configuration of the runtime on the nodes; if the handler runs ${backend}, name the RuntimeClass ${found.handler}, too, and set runtimeClassName of the profile to ${found.handler}`,
    };
  },
};

export const classRecreated: FindingCheck = {
  id: 'class-recreated',
  summary: 'The RuntimeClass is younger than the pod.',
  severity: 'warning',
  answer: 'claimed',
  reads: ['Pod metadata.creationTimestamp', 'RuntimeClass metadata.creationTimestamp'],
  run(facts) {
    const { pod, profile } = facts;
    const found = profile.isRequested ? classOf(facts) : undefined;
    if (found?.created === undefined || pod.created === undefined || found.created <= pod.created) return undefined;
    return {
      message: `RuntimeClass ${found.name} was created after the pod, which may run under the handler of an earlier class of this name`,
      remedy: 'recreate the pod',
    };
  },
};

export const classOverhead: FindingCheck = {
  id: 'class-overhead',
  summary: 'The overhead of the pod is not that of its RuntimeClass.',
  severity: 'warning',
  reads: ['Pod spec.overhead', 'RuntimeClass overhead.podFixed'],
  run(facts) {
    const found = needsRuntimeClass(facts) ? classOf(facts) : undefined;
    if (found === undefined) return undefined;
    const podFixed = found.podFixed ?? {};
    const resources = [...new Set([...Object.keys(podFixed), ...Object.keys(facts.pod.overhead)])];
    const differing = resources.find((resource) => !isSameQuantity(facts.pod.overhead[resource], podFixed[resource]));
    if (differing === undefined) return undefined;
    return {
      message: `the pod has an overhead of ${print(facts.pod.overhead[differing])} ${differing}, and RuntimeClass ${found.name} has ${print(podFixed[differing])}: the guest may have too little`,
      remedy: 'recreate the pod',
    };
  },
};

/** Equal texts are equal quantities of any resource; of others the numbers are compared. */
function isSameQuantity(left: unknown, right: unknown): boolean {
  return left === right || (bytesOf(left) !== undefined && bytesOf(left) === bytesOf(right));
}

const print = (quantity: unknown): string => (quantity === undefined ? 'no' : String(quantity));

export const kataHypervisor: FindingCheck = {
  id: 'kata-hypervisor',
  summary: 'The handler has the name of another hypervisor than the profile.',
  severity: 'warning',
  answer: 'claimed',
  reads: ['Pod spec.runtimeClassName', 'RuntimeClass handler'],
  run(facts) {
    const wanted = HYPERVISORS.get(facts.profile.backend);
    const handler = needsRuntimeClass(facts) ? handlerOf(facts) : undefined;
    if (wanted === undefined || handler === undefined) return undefined;
    if (!isOfOtherHypervisor(facts.profile.backend, handler)) return undefined;
    return {
      message: `the profile is ${facts.profile.id} with ${wanted}, and the handler is ${handler}`,
      remedy: 'correct runtimeClassName of the profile, or the handler of the RuntimeClass',
    };
  },
};
