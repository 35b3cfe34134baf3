import { specOf } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

/**
 * None of the walls stands on Windows, where a host process container is the node's administrator.
 *
 * Fields: spec.os.name, windowsOptions of the pod's and of each container's securityContext
 * Allowed: absent; os.name linux
 * Fix: none.
 * Source: https://kubernetes.io/docs/tasks/configure-pod-container/create-hostprocess-pod/
 */
export const windows: Rule = {
  id: 'windows',
  summary: 'The pod is a Linux pod.',
  fields: ['spec.os.name', 'spec.securityContext.windowsOptions', 'spec.containers[*].securityContext.windowsOptions'],
  checkPod(pod, report) {
    const spec = specOf(pod);
    if (spec.os?.name != null && spec.os.name !== 'linux') {
      report({
        path: ['spec', 'os', 'name'],
        message: `the pod is for ${spec.os.name}`,
        remedy: 'run it in a namespace without this profile',
      });
    }
    checkOptions(spec.securityContext, ['spec', 'securityContext', 'windowsOptions'], report);
  },
  checkContainer({ spec, list }, report, _context, pod) {
    const own = spec.securityContext;
    // An ephemeral container joins a pod whose own options are not judged again.
    const effective = list === 'ephemeralContainers' && own?.windowsOptions == null ? specOf(pod).securityContext : own;
    checkOptions(effective, ['securityContext', 'windowsOptions'], report);
  },
};

function checkOptions(
  context: { readonly windowsOptions?: { readonly hostProcess?: boolean | null } | null } | null | undefined,
  path: string[],
  report: Reporter,
): void {
  if (context?.windowsOptions == null) return;
  const message = context.windowsOptions.hostProcess === true ? 'the container is a Windows host process' : 'windowsOptions are set';
  report({ path, message, remedy: 'remove windowsOptions' });
}
