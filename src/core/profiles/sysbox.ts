import { BASELINE_CAPABILITIES } from '../requirements.ts';
import { type Backend, KUBERNETES_WITH_USER_NAMESPACES, wallOf } from './profile.ts';

/**
 * Sysbox: a runtime that emulates what an engine expects of a machine, behind a user namespace.
 * Source: https://github.com/nestybox/sysbox/tree/master/docs/user-guide
 */
export const sysbox: Backend = {
  id: 'sysbox',
  summary: 'Sysbox gives the pod a user namespace and an emulated /proc and /sys, so that Docker runs unmodified. The kernel is shared.',
  requires: [
    'Sysbox 0.7.0 or later with containerd 2.0.5 or later, a RuntimeClass for its handler',
    `${KUBERNETES_WITH_USER_NAMESPACES}, or CRI-O with \`identity: crio-annotation\``,
  ],
  options: ['identity', 'idsPerPod'],
  makeWall: (options) =>
    wallOf(options, {
      runtimeClassName: 'sysbox-runc',
      ...(options.identity === 'crio-annotation'
        ? { annotations: [['io.kubernetes.cri-o.userns-mode', 'auto:size=65536']] as const }
        : { hostUsers: false }),
    }),
  makePodRequirements: ({ idsPerPod = 65536 }) => ({ idsPerPod, isSysbox: true, runsRootfulEngines: true }),
  makeWorkspaceRequirements(grant, { storage = ['/var/lib/docker', '/var/lib/containers'] }) {
    switch (grant) {
      case 'none':
        return { mustDropAll: true, allowedCapabilities: new Set() };
      case 'sudo':
        return { addedCapabilities: BASELINE_CAPABILITIES };
      case 'containers':
        // In this mode Sysbox gives root all capabilities of the user namespace; an empty list keeps Pod Security baseline.
        return { sysboxMode: 'TRUE', addedCapabilities: [], storage };
      default:
        return grant satisfies never;
    }
  },
};
