import { listAt, numberAt, quote, text } from '../cel.ts';
import { orEmpty } from '../pod.ts';
import { REMOVE, type Rule } from './rule.ts';

/**
 * A host port answers on the node's address: it can shadow a service of the node and bypass network policies. With hostNetwork the API
 * server copies every containerPort into hostPort, so that the copies remain when hostNetwork is removed.
 *
 * Fields: spec.containers[*].ports[*].hostPort, hostIP
 * Allowed: absent or 0
 * Fix: drop both fields; the container port stays.
 * Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
export const hostPorts: Rule = {
  id: 'host-ports',
  summary: 'No container takes a port of the node.',
  fields: ['spec.containers[*].ports[*].hostPort', 'spec.containers[*].ports[*].hostIP'],
  checkContainer({ spec }, report) {
    for (const [index, { hostPort, hostIP }] of orEmpty(spec.ports).entries()) {
      if (!hostPort) continue;
      report({ path: ['ports', index, 'hostPort'], message: `hostPort ${hostPort} is a port of the node`, fix: REMOVE });
      if (hostIP != null) report({ path: ['ports', index, 'hostIP'], message: 'hostIP names an address of the node', fix: REMOVE });
    }
  },
  inTree: {
    container: () => [
      {
        each: [listAt('c', 'ports'), 'p'],
        where: `${numberAt('p', 'hostPort')} != 0`,
        says: text`hostPort ${'string(p.hostPort)'} is a port of the node`,
        remedy: quote('remove it, and hostIP with it'),
      },
    ],
  },
  inTreeFixes: {
    container: () => [
      {
        path: 'ports',
        where: `${listAt('c', 'ports')}.exists(p, ${numberAt('p', 'hostPort')} != 0)`,
        removeKeys(port) {
          const isSet = `${numberAt(port, 'hostPort')} != 0`;
          return { hostPort: isSet, hostIP: isSet };
        },
      },
    ],
  },
};
