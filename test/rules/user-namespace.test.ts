import { userNamespace } from '../../src/core/rules/user-namespace.ts';
import { testRule } from '../support/test-rule.ts';

const CRIO = 'io.kubernetes.cri-o.userns-mode';
const crio = { profile: 'sysbox', options: { identity: 'crio-annotation' } } as const;

testRule(userNamespace, {
  passes: {
    'own namespace asked for': { hostUsers: false },
    'own namespace asked for, under sysbox': { profile: 'sysbox', pod: { hostUsers: false } },
    'nothing said, where each pod is a virtual machine': { profile: 'kata-qemu', pod: {} },
    'null, where the kernel is in user space': { profile: 'gvisor', pod: { hostUsers: null } },
    'the annotation of old CRI-O nodes': { ...crio, pod: { metadata: { annotations: { [CRIO]: 'auto:size=65536' } } } },
  },
  fails: {
    'the field is absent': {
      pod: {},
      says: ['hostUsers is not set, so the pod shares its users with the node'],
      finds: ['spec.hostUsers'],
      fixed: { hostUsers: false },
    },
    'null, which is nothing said': { pod: { hostUsers: null }, finds: ['spec.hostUsers'], fixed: { hostUsers: false } },
    'the host asked for': { pod: { hostUsers: true }, says: ['hostUsers is true'], finds: ['spec.hostUsers'], fixed: { hostUsers: false } },
    'nothing said, under sysbox': { profile: 'sysbox', pod: {}, finds: ['spec.hostUsers'], fixed: { hostUsers: false } },
    'a namespace that kata-clh does not take': { profile: 'kata-clh', pod: { hostUsers: false }, finds: ['spec.hostUsers'], fixed: {} },
    'a namespace that gvisor does not take': { profile: 'gvisor', pod: { hostUsers: false }, finds: ['spec.hostUsers'], fixed: {} },
    'the host asked for where the field must be absent': {
      profile: 'kata-qemu',
      pod: { hostUsers: true },
      finds: ['spec.hostUsers'],
      fixed: {},
    },
    'no annotation for old CRI-O nodes': {
      ...crio,
      pod: {},
      finds: [`metadata.annotations["${CRIO}"]`],
      fixed: { metadata: { annotations: { [CRIO]: 'auto:size=65536' } } },
    },
    'an annotation that maps root to root': {
      ...crio,
      pod: { metadata: { annotations: { [CRIO]: 'auto:size=65536;map-to-root=true' } } },
      finds: [`metadata.annotations["${CRIO}"]`],
      fixed: { metadata: { annotations: { [CRIO]: 'auto:size=65536' } } },
    },
    'both the field and the annotation, which no node takes': {
      ...crio,
      pod: { metadata: { annotations: { [CRIO]: 'auto:size=65536' } }, hostUsers: false },
      finds: ['spec.hostUsers'],
      fixed: { metadata: { annotations: { [CRIO]: 'auto:size=65536' } } },
    },
  },
});
