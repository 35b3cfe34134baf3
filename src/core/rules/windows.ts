import { excerptOf } from '../excerpt.ts';
import { effectiveOf, specOf, type WindowsOptions } from '../pod.ts';
import type { Reporter, Rule } from './rule.ts';

/**
 * No profile isolates Windows pods, and a host process container is an administrator of its Windows node.
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
        message: `the pod is for ${excerptOf(spec.os.name)}`,
        remedy: 'run it in a namespace without this profile',
      });
    }
    checkOptions(spec.securityContext?.windowsOptions, ['spec', 'securityContext', 'windowsOptions'], report);
  },
  checkContainer(container, report) {
    checkOptions(effectiveOf(container, 'windowsOptions'), ['securityContext', 'windowsOptions'], report);
  },
};

function checkOptions(options: WindowsOptions | null | undefined, path: string[], report: Reporter): void {
  if (options == null) return;
  const message = options.hostProcess === true ? 'the container is a Windows host process' : 'windowsOptions are set';
  report({ path, message, remedy: 'remove windowsOptions' });
}
