import { specOf } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

const FIELDS = ['hostNetwork', 'hostPID', 'hostIPC'] as const;

/**
 * A pod that joins a namespace of its node sees past any wall we put around it.
 *
 * Fields: spec.hostNetwork, spec.hostPID, spec.hostIPC
 * Allowed: absent or false
 * Fix: drop the field; what hangs on hostNetwork is for `host-ports` and `dns-policy` to repair.
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
  checkContainer({ list }, report, { isUpdate }, pod) {
    // It joins a pod whose namespaces cannot be taken back any more.
    if (!isUpdate || list !== 'ephemeralContainers') return;
    const shared = FIELDS.filter((field) => specOf(pod)[field] === true);
    if (shared.length > 0)
      report({ path: ['name'], message: `the container joins a pod with ${shared.join(', ')}`, remedy: 'make the pod anew' });
  },
};
