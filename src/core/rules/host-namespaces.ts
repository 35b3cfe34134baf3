import { flagAt, quote } from '../cel.ts';
import { specOf } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

const FIELDS = ['hostNetwork', 'hostPID', 'hostIPC'] as const;
/**
 * The advice for a field whose usual purpose has another solution: browsers, for example, set hostIPC because they need more shared memory than the
 * 64 MiB of a container.
 */
const INSTEAD: { readonly [Field in (typeof FIELDS)[number]]?: string } = {
  hostIPC: 'remove it; for shared memory, mount an emptyDir of medium Memory at /dev/shm',
};

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
    for (const field of FIELDS) {
      if (spec[field] !== true) continue;
      report({ path: ['spec', field], message: `${field} is true`, fix: REMOVE, remedy: INSTEAD[field] });
    }
  },
  inTree: {
    pod: ({ spec }) =>
      FIELDS.map((field) => ({
        where: flagAt(spec, field),
        says: quote(`${field} is true`),
        remedy: quote(INSTEAD[field] ?? 'remove it'),
      })),
  },
  inTreeFixes: {
    pod: ({ spec }) => FIELDS.map((field) => ({ path: `spec.${field}`, where: flagAt(spec, field), remove: true })),
  },
};
