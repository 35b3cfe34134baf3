import { specOf } from '../pod.ts';
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
  fields: ['spec.hostNetwork', 'spec.hostPID', 'spec.hostIPC'],
  checkPod(pod, report) {
    const spec = specOf(pod);
    for (const field of FIELDS) if (spec[field] === true) report({ path: ['spec', field], message: `${field} is true`, fix: REMOVE });
  },
};
