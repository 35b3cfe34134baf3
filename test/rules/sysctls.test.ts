import { sysctls } from '../../src/core/rules/sysctls.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

/** Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline */
const SAFE = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
];
const setting = (...names: string[]): Sketch => ({ securityContext: { sysctls: names.map((name) => ({ name, value: '1' })) } });
const paths = (...indices: number[]): string[] => indices.map((index) => `spec.securityContext.sysctls[${index}]`);

testRule(sysctls, {
  passes: {
    'none set': {},
    null: { securityContext: { sysctls: null } },
    'the safe ones': setting(...SAFE),
    'the safe ones, written with slashes': setting(...SAFE.map((name) => name.replaceAll('.', '/'))),
  },
  fails: {
    'settings of the node': { pod: setting('kernel.core_pattern', 'vm.overcommit_memory'), finds: paths(0, 1), fixed: 'nothing' },
    'settings of the node, written with slashes': { pod: setting('kernel/core_pattern'), finds: paths(0), fixed: 'nothing' },
    'namespaced ones that are not on the list': {
      pod: setting('kernel.msgmax', 'net.core.somaxconn', 'fs.mqueue.msg_max'),
      finds: paths(0, 1, 2),
      fixed: 'nothing',
    },
    'only those among safe ones': { pod: setting('net.ipv4.tcp_syncookies', 'net.ipv4.ip_forward'), finds: paths(1), fixed: 'nothing' },
    'what looks like a safe one': {
      pod: setting('Net.ipv4.tcp_syncookies', 'net.ipv4.tcp_syncookies '),
      finds: paths(0, 1),
      fixed: 'nothing',
    },
    'no name': { pod: { securityContext: { sysctls: [{ value: '1' }] } }, finds: paths(0), fixed: 'nothing' },
    'under kata too': { profile: 'kata-qemu', grant: 'containers', pod: setting('vm.swappiness'), finds: paths(0), fixed: 'nothing' },
  },
});
