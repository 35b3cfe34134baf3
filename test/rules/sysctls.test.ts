import { expect, test } from 'vitest';
import { SUPPORTED_MINORS } from '../../src/core/kubernetes.ts';
import { SAFE_SYSCTLS, sysctls } from '../../src/core/rules/sysctls.ts';
import { readPage } from '../docs/page.ts';
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
  // Since Kubernetes 1.37.
  'net.ipv4.tcp_notsent_lowat',
  'net.ipv4.tcp_slow_start_after_idle',
];
const setting = (...names: string[]): Sketch => ({ securityContext: { sysctls: names.map((name) => ({ name, value: '1' })) } });
const PING = 'net.ipv4.ping_group_range';
const NODES = 'remove it, and ask the operator to set it on the nodes';
const pinging = (value: string | null, name = PING): Sketch => ({ securityContext: { sysctls: [{ name, value }] } });
const paths = (...indices: number[]): string[] => indices.map((index) => `spec.securityContext.sysctls[${index}]`);

testRule(sysctls, {
  passes: {
    'none set': {},
    null: { securityContext: { sysctls: null } },
    'the safe ones': setting(...SAFE),
    "groups of the pod's user namespace": pinging('0 65535'),
    'groups of a larger user namespace': { options: { idsPerPod: 131072 }, pod: pinging('0\t131071') },
    'no group at all': pinging('1 0'),
    'every group of a guest': { profile: 'kata-qemu', pod: pinging('0 2147483647') },
    'every group of gVisor': { profile: 'gvisor', pod: pinging('0 4294967295') },
    'a range that the kernel cannot read': pinging('all of them'),
    'a range behind text, which the kernel cannot read': pinging('from 0 99999'),
    'a range with a third number, which the kernel cannot read': pinging('0 99999 1'),
    'a range without a value': pinging(null),
    'one group, where two are expected': pinging('65536'),
    'large numbers elsewhere': { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '4096 131072' }] } },
  },
  fails: {
    'the safe ones, written with slashes, which Pod Security does not know': {
      pod: setting(...SAFE.map((name) => name.replaceAll('.', '/'))),
      says: SAFE.map((name) => `sysctl ${name.replaceAll('.', '/')} is written with slashes`),
      finds: SAFE.map((_, index) => `spec.securityContext.sysctls[${index}].name`),
      fixed: setting(...SAFE),
    },
    'a setting in two spellings: the last one counts': {
      pod: {
        securityContext: {
          sysctls: [
            { name: 'kernel/shm_rmid_forced', value: '1' },
            { name: 'kernel.shm_rmid_forced', value: '0' },
          ],
        },
      },
      says: ['sysctl kernel/shm_rmid_forced is set again later, and the later value counts'],
      finds: paths(0),
      fixed: { securityContext: { sysctls: [{ name: 'kernel.shm_rmid_forced', value: '0' }] } },
    },
    'a setting in two spellings, the last one with slashes': {
      pod: {
        securityContext: {
          sysctls: [
            { name: PING, value: '0 0' },
            { name: 'net/ipv4/ping_group_range', value: '0 2147483647' },
          ],
        },
      },
      finds: [...paths(0), ...paths(1).flatMap((path) => [`${path}.name`, `${path}.value`])],
      fixed: pinging('0 65535'),
    },
    'a setting in two spellings, several times, beside others': {
      pod: setting('net/ipv4/tcp_rmem', 'net.ipv4.tcp_wmem', 'net.ipv4.tcp_rmem', 'net/ipv4/tcp_rmem', 'kernel.shm_rmid_forced'),
      finds: [...paths(0, 2), 'spec.securityContext.sysctls[3].name'],
      fixed: setting('net.ipv4.tcp_wmem', 'net.ipv4.tcp_rmem', 'kernel.shm_rmid_forced'),
    },
    'a name whose first separator is a dot, so that the slash belongs to a part': {
      pod: setting('net.ipv4/tcp_syncookies'),
      finds: paths(0),
      fixed: 'nothing',
    },
    'a name whose first separator is a slash, so that the dot belongs to a part': {
      pod: setting('net/ipv4.tcp_syncookies'),
      finds: paths(0),
      fixed: 'nothing',
    },
    'a name with slashes and a dot within a part, which is another setting': {
      pod: setting('net/ipv4/tcp_.rmem'),
      says: ['sysctl net/ipv4/tcp_.rmem is not a safe one'],
      finds: paths(0),
      fixed: 'nothing',
    },
    "groups beyond the pod's": {
      pod: pinging('0 2147483647'),
      says: ["group 2147483647 of ping_group_range is not among the pod's 65536 ids"],
      finds: ['spec.securityContext.sysctls[0].value'],
      fixed: pinging('0 65535'),
    },
    'the first group beyond': {
      profile: 'sysbox',
      pod: pinging(' 1000\t65536 '),
      finds: ['spec.securityContext.sysctls[0].value'],
      fixed: pinging('1000 65535'),
    },
    'groups beyond a larger user namespace': {
      options: { idsPerPod: 131072 },
      pod: pinging('0 4294967295'),
      finds: ['spec.securityContext.sysctls[0].value'],
      fixed: pinging('0 131071'),
    },
    'groups beyond, in a name with slashes': {
      pod: pinging('0 99999', 'net/ipv4/ping_group_range'),
      finds: ['spec.securityContext.sysctls[0].name', 'spec.securityContext.sysctls[0].value'],
      fixed: pinging('0 65535'),
    },
    'groups beyond, with several spaces between': {
      pod: pinging('0   65536'),
      finds: ['spec.securityContext.sysctls[0].value'],
      fixed: pinging('0 65535'),
    },
    'groups from the first one beyond': {
      pod: pinging('65536 70000'),
      advises: ['use groups below 65536'],
      finds: ['spec.securityContext.sysctls[0].value'],
      fixed: 'nothing',
    },
    'groups that all lie beyond': {
      pod: pinging('70000 80000'),
      finds: ['spec.securityContext.sysctls[0].value'],
      fixed: 'nothing',
    },
    'settings of the node, one of them written with slashes': {
      pod: setting('kernel.core_pattern', 'vm.overcommit_memory', 'kernel/shmall_of_node', 'kernel/semaphore', 'fs/file-max'),
      says: [
        ...['kernel.core_pattern', 'vm.overcommit_memory'].map((name) => `sysctl ${name} belongs to the whole node, not to a pod`),
        'sysctl kernel/shmall_of_node is not a safe one',
        ...['kernel/semaphore', 'fs/file-max'].map((name) => `sysctl ${name} belongs to the whole node, not to a pod`),
      ],
      advises: [NODES, NODES, 'remove it', NODES, NODES],
      finds: paths(0, 1, 2, 3, 4),
      fixed: 'nothing',
    },
    'namespaced ones that are not on the list': {
      pod: setting('kernel.msgmax', 'net.core.somaxconn', 'fs.mqueue.msg_max', 'kernel.sem'),
      says: ['kernel.msgmax', 'net.core.somaxconn', 'fs.mqueue.msg_max', 'kernel.sem'].map((name) => `sysctl ${name} is not a safe one`),
      finds: paths(0, 1, 2, 3),
      fixed: 'nothing',
    },
    'only those among safe ones': { pod: setting('net.ipv4.tcp_syncookies', 'net.ipv4.ip_forward'), finds: paths(1), fixed: 'nothing' },
    'what looks like a safe one': {
      pod: setting('Net.ipv4.tcp_syncookies', 'net.ipv4.tcp_syncookies '),
      finds: paths(0, 1),
      fixed: 'nothing',
    },
    'no name': {
      says: ['sysctl without a name is not a safe one'],
      pod: { securityContext: { sysctls: [{ value: '1' }] } },
      finds: paths(0),
      fixed: 'nothing',
    },
    'under kata too': {
      profile: 'kata-qemu',
      grant: 'containers',
      pod: setting('vm.swappiness'),
      finds: paths(0),
      advises: ['remove it'],
      fixed: 'nothing',
    },
  },
});

test('the page names the version of each setting that not every supported Kubernetes has for a safe one', () => {
  const newer = [...SAFE_SYSCTLS].filter(([, minor]) => minor > SUPPORTED_MINORS.oldest);
  expect(newer.length).toBeGreaterThan(0);
  const sentences = readPage('docs/rules/sysctls.md').text.replaceAll('\n', ' ').split('. ');
  for (const [name, minor] of newer) {
    expect(
      sentences.filter((each) => each.includes(`\`${name}\``) && each.includes(`since Kubernetes 1.${minor}`)),
      name,
    ).toHaveLength(1);
  }
});
