import { hostNamespaces } from '../../src/core/rules/host-namespaces.ts';
import { testRule } from '../support/test-rule.ts';

testRule(hostNamespaces, {
  passes: {
    'the field is absent': {},
    'all false': { hostNetwork: false, hostPID: false, hostIPC: false },
    'all null': { hostNetwork: null, hostPID: null, hostIPC: null },
    'a namespace shared among its own containers': { shareProcessNamespace: true },
  },
  fails: {
    "the node's network": {
      pod: { hostNetwork: true },
      says: ['hostNetwork is true'],
      advises: ['remove it'],
      finds: ['spec.hostNetwork'],
      fixed: {},
    },
    "the node's processes": { pod: { hostPID: true }, advises: ['remove it'], finds: ['spec.hostPID'], fixed: {} },
    "the node's shared memory": {
      pod: { hostIPC: true },
      finds: ['spec.hostIPC'],
      advises: ['remove it; for shared memory, mount an emptyDir of medium Memory at /dev/shm'],
      fixed: {},
    },
    'all three': {
      pod: { hostNetwork: true, hostPID: true, hostIPC: true, dnsPolicy: 'ClusterFirst' },
      finds: ['spec.hostNetwork', 'spec.hostPID', 'spec.hostIPC'],
      fixed: { dnsPolicy: 'ClusterFirst' },
    },
    'a virtual machine in the network of its node': {
      profile: 'kata-qemu',
      grant: 'containers',
      options: { guestPrivileged: true },
      pod: { hostNetwork: true },
      finds: ['spec.hostNetwork'],
      fixed: {},
    },
    'those that an added container would join, once for the pod': {
      old: { containers: [{ name: 'main' }] },
      pod: { hostPID: true, hostIPC: true, containers: [{ name: 'main' }], ephemeralContainers: [{ name: 'debug' }] },
      says: ['hostPID is true', 'hostIPC is true'],
      finds: ['spec.hostPID', 'spec.hostIPC'],
      fixed: 'nothing',
    },
    'one that an operator cannot exempt': {
      exempt: { 'host-namespaces': ['hostNetwork', 'hostPID', 'true', ''] },
      pod: { hostPID: true },
      finds: ['spec.hostPID'],
      fixed: {},
    },
  },
});
