import { excerptOf } from '../excerpt.ts';
import { orEmpty, specOf } from '../pod.ts';
import type { Rule } from './rule.ts';

/** Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline */
const SAFE: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);

/**
 * Kernel settings outside the safe list apply to the whole node, or weaken it.
 *
 * Fields: spec.securityContext.sysctls[*].name
 * Allowed: Pod Security's safe list, written with dots or with slashes
 * Fix: none, because a workload that sets another value may need it.
 * Source: https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/
 */
export const sysctls: Rule = {
  id: 'sysctls',
  summary: 'The pod sets no kernel setting beyond the safe ones.',
  fields: ['spec.securityContext.sysctls[*].name'],
  checkPod(pod, report) {
    for (const [index, { name }] of orEmpty(specOf(pod).securityContext?.sysctls).entries()) {
      if (SAFE.has((name ?? '').replaceAll('/', '.'))) continue;
      report({
        path: ['spec', 'securityContext', 'sysctls', index],
        message: `sysctl ${excerptOf(name || 'without a name')} is not a safe one`,
        remedy: 'remove it',
      });
    }
  },
};
