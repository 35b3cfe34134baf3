import { joinsRunningPod, specOf } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

const FIELDS = ['hostNetwork', 'hostPID', 'hostIPC'] as const;

/**
 * A pod that joins a namespace of its node is not isolated in that respect, whatever the profile's wall.
 *
 * Fields: spec.hostNetwork, spec.hostPID, spec.hostIPC
 * Allowed: absent or false
 * Fix: drop the field; `host-ports` and `dns-policy` repair the fields that depend on hostNetwork.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
export const hostNamespaces: Rule = {
  id: 'host-namespaces',
  summary: 'The pod shares no namespace with its node.',
  fields: ['spec.hostNetwork', 'spec.hostPID', 'spec.hostIPC', 'spec.containers[*].name'],
  checkPod(pod, report) {
    const spec = specOf(pod);
    for (const field of FIELDS) if (spec[field] === true) report({ path: ['spec', field], message: `${field} is true`, fix: REMOVE });
  },
  checkContainer(container, report, { isUpdate }, pod) {
    if (!isUpdate || !joinsRunningPod(container)) return;
    const shared = FIELDS.filter((field) => specOf(pod)[field] === true);
    if (shared.length === 0) return;
    report({ path: ['name'], message: `the container joins a pod with ${shared.join(', ')}`, remedy: 'recreate the pod' });
  },
};
