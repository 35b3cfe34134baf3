import { BASELINE_CAPABILITIES } from '../requirements.ts';
import { type Backend, KUBERNETES_WITH_USER_NAMESPACES, wallOf } from './profile.ts';

/**
 * Capabilities that rootless and rootful engines need in the pod. They were found by leaving out one at a time. Pod Security baseline allows all of
 * them.
 */
const ENGINE_CAPABILITIES = [
  'SETUID',
  'SETGID',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'SETFCAP',
  'SETPCAP',
  'KILL',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
];

/**
 * Kubernetes user namespaces: root in the pod is an unprivileged id on the node, from a range that belongs to this pod. The kernel is shared.
 * Source: KEP-127, https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
 */
export const userns: Backend = {
  id: 'userns',
  summary: "Root in the pod is an unprivileged user of the node: the pod has a user namespace of its own. The node's kernel is shared.",
  requires: [
    KUBERNETES_WITH_USER_NAMESPACES,
    'Linux 6.3 or later, containerd 2.0 or CRI-O 1.25 or later, runc 1.2 or crun 1.9 or later',
    'for `grant: containers` with `nesting: seccomp`: the profile of `seccompProfile` on every node',
  ],
  options: ['nesting', 'seccompProfile', 'idsPerPod'],
  makeWall: (options) => wallOf(options, { hostUsers: false }),
  makePodRequirements: ({ idsPerPod = 65536 }) => ({ idsPerPod, allowsHugePages: false }),
  makeWorkspaceRequirements(grant, { nesting = 'seccomp', seccompProfile = 'cloister/workspace.json', storage = ['/var/lib/containers'] }) {
    if (grant !== 'containers') return {};
    const isSysadmin = nesting === 'sysadmin';
    return {
      addedCapabilities: isSysadmin ? [...ENGINE_CAPABILITIES, 'SYS_ADMIN'] : ENGINE_CAPABILITIES,
      allowedCapabilities: new Set([...BASELINE_CAPABILITIES, ...(isSysadmin ? ['SYS_ADMIN'] : [])]),
      unmasksProc: true,
      seccompProfile: isSysadmin ? undefined : { type: 'Localhost', localhostProfile: seccompProfile },
      storage,
    };
  },
};
