import { entryOf } from '../../core/pod.ts';
import type { FindingCheck } from '../check.ts';
import { type NodeFacts, nodeOf, type WallFacts } from '../facts.ts';
import { isBefore, runtimeVersionOf } from '../versions.ts';

const NODE_LABEL = 'sysbox-runtime';

/** The node of a pod whose wall is Sysbox. */
function sysboxNodeOf(facts: WallFacts): NodeFacts | undefined {
  return facts.profile.isRequested && facts.profile.backend === 'sysbox' ? nodeOf(facts) : undefined;
}

export const sysboxNode: FindingCheck = {
  id: 'sysbox-node',
  summary: 'The installer of Sysbox does not mark the node as ready.',
  severity: 'warning',
  answer: 'claimed',
  reads: ['Node metadata.labels'],
  run(facts) {
    const node = sysboxNodeOf(facts);
    const label = node && entryOf(node.labels, NODE_LABEL);
    if (node === undefined || label === 'running') return undefined;
    const state = label === undefined ? `has no label ${NODE_LABEL}=running` : `has the label ${NODE_LABEL}=${label}`;
    return {
      message: `node ${node.name} ${state}: Sysbox is being installed or removed there, or its installer does not know the node`,
      remedy: 'wait for sysbox-deploy-k8s, or label a node on which you installed Sysbox by hand',
    };
  },
};

export const sysboxContainerd: FindingCheck = {
  id: 'sysbox-containerd',
  summary: 'Mounts of sysfs fail in Sysbox with the version of containerd on the node.',
  severity: 'warning',
  reads: ['Node status.nodeInfo.containerRuntimeVersion'],
  run(facts) {
    const node = sysboxNodeOf(facts);
    const { name, version } = runtimeVersionOf(node?.runtime) ?? {};
    if (node === undefined || name !== 'containerd' || version === undefined) return undefined;
    if (isBefore(version, 2, 0) || !isBefore(version, 2, 0, 5)) return undefined;
    return {
      message: `node ${node.name} has ${node.runtime}: mounts of sysfs fail in Sysbox pods with containerd 2.0.0 to 2.0.4`,
      remedy: 'update containerd to 2.0.5 or later',
    };
  },
};

export const sysboxSharedIds: FindingCheck = {
  id: 'sysbox-shared-ids',
  summary: 'All Sysbox pods of the node share one range of user ids.',
  severity: 'error',
  answer: 'missing',
  reads: ['Pod spec.hostUsers', 'Node status.nodeInfo.containerRuntimeVersion'],
  run(facts) {
    const node = sysboxNodeOf(facts);
    if (node === undefined || facts.pod.hostUsers === false || runtimeVersionOf(node.runtime)?.name !== 'containerd') return undefined;
    return {
      message: `the pod has no hostUsers: false, and node ${node.name} runs containerd: all Sysbox pods of the node share one range of user ids`,
      remedy: 'remove `identity: crio-annotation` from the profile, so that pods get hostUsers: false, and recreate the pod',
    };
  },
};
