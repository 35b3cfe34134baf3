import { BASELINE_CAPABILITIES } from '../requirements.ts';
import { type Backend, wallOf } from './profile.ts';

/**
 * gVisor: a kernel in user space answers the pod's system calls.
 * Source: https://gvisor.dev/docs/
 */
export const gvisor: Backend = {
  id: 'gvisor',
  summary: 'The pod makes its system calls to a kernel of its own, written in Go; that kernel makes few calls to the node’s kernel.',
  requires: ['runsc with a RuntimeClass for its handler; `allow-suid` in its configuration for sudo'],
  options: [],
  makeWall: (options) => wallOf(options, { runtimeClassName: 'gvisor' }),
  makePodRequirements: () => ({}),
  makeWorkspaceRequirements(grant, { storage = ['/var/lib/containers'] }) {
    if (grant !== 'containers') return {};
    return { addedCapabilities: BASELINE_CAPABILITIES, allowedCapabilities: new Set([...BASELINE_CAPABILITIES, 'SYS_PTRACE']), storage };
  },
};
