import type { Profile } from '../../core/profiles/profile.ts';
import type { NodeFacts } from '../../live/facts.ts';
import { missingLabelOf } from '../../live/scheduling.ts';
import { type Check, checkProfiles, LEFT_OUT, type Problem, printObjects } from '../check.ts';
import type { GovernedPod } from '../facts.ts';
import { distinct, nodesProblem } from '../grouping.ts';
import { enforcing, podsUnderProfile } from '../in-force.ts';
import { hasClass, kindsOf, type Landing, landingsOf, printSelector, selectorOf, whyNotOn } from '../landings.ts';
import { needsHostUsers, seccompProfileOf } from '../profiles.ts';

interface LandingCheck extends Pick<Check, 'id' | 'summary'> {
  readonly levels: readonly Exclude<Problem['level'], 'unknown'>[];
  appliesTo(profile: Profile): boolean;
  /** Whether the check is about a node; absent: about every one. */
  concerns?(node: NodeFacts, landing: Landing): boolean;
  /** @param landing with the nodes that the check is about, at least one */
  judge(landing: Landing, profile: Profile): readonly Problem[];
}

/** A check of the nodes that pods of a profile can land on. Where there is none, `no-candidate` and the checks of the classes say so. */
export function checkLandings({ concerns = () => true, judge, ...definition }: LandingCheck): Check {
  return checkProfiles({
    ...definition,
    reads: ['nodes', 'classes', 'namespaces'],
    run(profile, values, context) {
      const landings = landingsOf(profile, values, context)
        .map((landing) => ({ ...landing, nodes: landing.nodes.filter((node) => concerns(node, landing)) }))
        .filter(({ nodes }) => nodes.length > 0);
      return landings.length === 0 ? LEFT_OUT : distinct(landings.flatMap((landing) => judge(landing, profile)));
    },
  });
}

export const noCandidate = checkProfiles({
  id: 'no-candidate',
  summary: 'Pods of the profile can land on a node, in each namespace that enforces it.',
  reads: ['nodes', 'classes', 'namespaces'],
  levels: ['error'],
  run(profile, { nodes, classes, namespaces }, context) {
    // A class that does not exist is reported by `class-there`, and one whose selector matches no node by `class-selector`.
    const kinds = kindsOf(profile, classes).filter(
      (each) => nodes.length === 0 || nodes.some((node) => missingLabelOf(node, each?.nodeSelector ?? {}) === undefined),
    );
    if (kinds.length === 0) return LEFT_OUT;
    return kinds.flatMap((runtimeClass): Problem[] => {
      const what = runtimeClass === undefined ? 'pods of the profile' : `pods of RuntimeClass ${runtimeClass.name}`;
      const open = nodes.filter((node) => whyNotOn(node, runtimeClass) === undefined);
      if (open.length === 0) {
        const reasons = Map.groupBy(nodes, (node) => whyNotOn(node, runtimeClass));
        const printed = [...reasons].map(([reason, found]) => `${printObjects(found.map(({ name }) => name))} ${reason}`).join('; ');
        return [
          {
            level: 'error',
            objects: nodes.map(({ name }) => name),
            message: `${what} can land on no node: ${printed || 'the cluster has no nodes'}`,
            remedy: 'Add nodes for workspaces, or let the RuntimeClass tolerate their taint. Where an autoscaler adds them, start one.',
          },
        ];
      }
      const closed = enforcing(profile.id, namespaces, context).filter((namespace) => {
        const selector = selectorOf(namespace);
        return open.every((node) => missingLabelOf(node, selector) !== undefined);
      });
      return closed.map((namespace) => ({
        level: 'error',
        objects: [namespace.name],
        message: `${what} can land on no node in ${namespace.name}: its node selector is ${printSelector(selectorOf(namespace))}, and no node that takes such pods matches it`,
        remedy: 'Correct the annotation with the node selector of the namespace, or label nodes.',
      }));
    });
  },
});

export const runtimeHandler = checkLandings({
  id: 'runtime-handler',
  summary: 'Each node that lists the handlers of its runtime has the handler of the RuntimeClass.',
  levels: ['error'],
  appliesTo: hasClass,
  concerns: ({ handlers }, { runtimeClass }) => runtimeClass !== undefined && handlers.size > 0,
  judge: ({ runtimeClass, handler, nodes }) =>
    nodesProblem({
      level: 'error',
      found: nodes.filter(({ handlers }) => !handlers.has(handler)),
      of: nodes.length,
      what: `that pods of RuntimeClass ${runtimeClass?.name} can land on do not have handler "${handler}", and pods do not start there`,
      remedy: `Install the runtime on them, or give RuntimeClass ${runtimeClass?.name} a scheduling.nodeSelector that only the other nodes match.`,
    }),
});

export const handlersUnknown = checkLandings({
  id: 'handlers-unknown',
  summary: 'Each node lists the handlers of its runtime.',
  levels: [],
  appliesTo: hasClass,
  concerns: (_, { runtimeClass }) => runtimeClass !== undefined,
  judge: ({ handler, nodes }) =>
    nodesProblem({
      level: 'unknown',
      found: nodes.filter(({ handlers }) => handlers.size === 0),
      of: nodes.length,
      what: `do not list the handlers of their runtime, so whether they have "${handler}" is not known`,
      remedy:
        'Upgrade the kubelets to 1.30 or later and containerd to 2.0 or CRI-O to 1.30, or check the configuration of the runtime on the nodes.',
    }),
});

/** The nodes on which a pod of a profile runs behind its wall: what would keep it from starting is not the case there. */
function provenNodes(profile: Profile, pods: readonly { readonly pod: GovernedPod }[]): ReadonlySet<string | undefined> {
  return new Set(pods.filter(({ pod }) => pod.isRunning && pod.walls.includes(profile.id)).map(({ pod }) => pod.node));
}

interface SystemCheck extends Pick<Check, 'id' | 'summary'> {
  appliesTo(profile: Profile): boolean;
  isMeant(node: NodeFacts): boolean;
  readonly what: string;
  readonly remedy: string;
}

/** A check for operating systems on which pods often do not start. */
const checkSystems = ({ isMeant, what, remedy, ...definition }: SystemCheck): Check =>
  checkProfiles({
    ...definition,
    reads: ['nodes', 'classes', 'namespaces', 'governedPods'],
    levels: ['warning'],
    run(profile, values, context) {
      const nodes = [...new Set(landingsOf(profile, values, context).flatMap((landing) => landing.nodes))];
      if (nodes.length === 0) return LEFT_OUT;
      const proven = provenNodes(profile, podsUnderProfile(values.governedPods, values.namespaces, context));
      const found = nodes.filter((node) => isMeant(node) && !proven.has(node.name));
      return nodesProblem({ level: 'warning', found, of: nodes.length, what, remedy });
    },
  });

export const osBottlerocket = checkSystems({
  id: 'os-bottlerocket',
  summary: 'No node has an operating system that allows no user namespaces by default, or a pod of the profile runs on it.',
  // The gofer of gVisor runs in a user namespace, too.
  appliesTo: (profile) => needsHostUsers(profile) || profile.backend.id === 'gvisor',
  isMeant: ({ osImage }) => /^(?:Bottlerocket|Talos)\b/.test(osImage ?? ''),
  what: 'run Bottlerocket or Talos, where the sysctl user.max_user_namespaces is 0 by default: pods then fail with "no space left on device"',
  remedy: 'Set user.max_user_namespaces on them, in the settings of Bottlerocket or the machine configuration of Talos.',
});

/** A node that is a container. Sources: kind, k3d, OrbStack and Docker Desktop name their nodes so. */
const isContainer = ({ name, providerId = '', osImage = '', kernel = '' }: NodeFacts): boolean =>
  providerId.startsWith('kind://') ||
  name.startsWith('k3d-') ||
  /^(?:K3s |OrbStack|Docker Desktop)/.test(osImage) ||
  /orbstack|linuxkit/.test(kernel);

export const osContainer = checkSystems({
  id: 'os-container',
  summary: 'No node is itself a container, or a pod of the profile runs on it.',
  appliesTo: (profile) => profile.backend.id === 'userns',
  isMeant: isContainer,
  what: 'are containers, as their names say: pods with a user namespace may fail there with error mounting "proc"',
  remedy: 'Use nodes that are machines, or start a pod of the profile to see whether they can.',
});

/** Nodes without a kubelet on a machine. Sources: virtual-kubelet, EKS Fargate. */
const isVirtual = ({ name, labels, taints, kubelet = '' }: NodeFacts): boolean =>
  labels.type === 'virtual-kubelet' ||
  labels['eks.amazonaws.com/compute-type'] === 'fargate' ||
  name.startsWith('fargate-') ||
  kubelet.includes('-vk-') ||
  taints.some(({ key }) => key === 'virtual-kubelet.io/provider');

/** Source: https://cloud.google.com/kubernetes-engine/docs/concepts/autopilot-security: nothing of the user writes to such a node. */
const isAutopilot = ({ name }: NodeFacts): boolean => name.startsWith('gk3-');

export const virtualNodes = checkProfiles({
  id: 'virtual-nodes',
  summary: 'No node for the profile is virtual, or managed so that nothing can be installed on it.',
  reads: ['nodes', 'classes', 'namespaces', 'governedPods'],
  levels: ['error', 'warning'],
  run(profile, values, context) {
    const used = new Set(
      podsUnderProfile(values.governedPods, values.namespaces, context)
        .filter((each) => each.profile === profile)
        .map(({ pod }) => pod.node),
    );
    const landings = landingsOf(profile, values, context).flatMap(({ nodes }) => nodes);
    const nodes = [...new Set([...landings, ...values.nodes.filter(({ name }) => used.has(name))])];
    if (nodes.length === 0) return LEFT_OUT;
    const needsInstallation = seccompProfileOf(profile) !== undefined || (hasClass(profile) && profile.backend.id !== 'gvisor');
    return [
      ...nodesProblem({
        level: 'error',
        found: nodes.filter(isVirtual),
        of: nodes.length,
        what: 'are virtual (virtual-kubelet, Fargate), and start no pod with hostUsers or a RuntimeClass of the cluster',
        remedy: 'Keep workspaces from them: by a taint, or by the selector of the Fargate profile.',
      }),
      ...nodesProblem({
        level: 'warning',
        found: needsInstallation ? nodes.filter(isAutopilot) : [],
        of: nodes.length,
        what: 'belong to GKE Autopilot, where no runtime and no seccomp profile can be installed',
        remedy: 'Use a Standard node pool for the profile; `probe-grant` shows what Autopilot refuses.',
      }),
    ];
  },
});
