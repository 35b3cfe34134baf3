import { runtimeClass } from '../../src/core/rules/runtime-class.ts';
import { type Failing, type Passing, testRule } from '../support/test-rule.ts';

const CLASSES = {
  sysbox: 'sysbox-runc',
  'kata-qemu': 'kata-qemu',
  'kata-clh': 'kata-clh',
  'kata-fc': 'kata-fc',
  'kata-acrn': 'kata-acrn',
  gvisor: 'gvisor',
};
const finds = ['spec.runtimeClassName'];

function forEachClass<T>(claim: string, make: (profile: string, runtimeClassName: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(CLASSES).map(([profile, name]) => [`${claim}, under ${profile}`, make(profile, name)]));
}

testRule(runtimeClass, {
  passes: {
    'no class under userns': {},
    'null under userns': { runtimeClassName: null },
    'a class that the operator lists': {
      options: { runtimeClasses: ['runc-cgroups', 'crun'] },
      pod: { runtimeClassName: 'crun' },
    },
    'no class, where the operator only lists some': { options: { runtimeClasses: ['crun'] }, pod: {} },
    "the operator's own name": {
      profile: 'kata-qemu',
      options: { runtimeClassName: 'kata-team-a' },
      pod: { runtimeClassName: 'kata-team-a' },
    },
    ...forEachClass<Passing>("the profile's class", (profile, runtimeClassName) => ({ profile, pod: { runtimeClassName } })),
  },
  fails: {
    'a foreign class under userns': { pod: { runtimeClassName: 'runc-privileged' }, finds, fixed: {} },
    'an empty name, which is no absent one': {
      pod: { runtimeClassName: '' },
      says: ['runtimeClassName is empty, which is no class'],
      advises: ['remove it'],
      finds,
      fixed: {},
    },
    'a class that the operator could list': {
      pod: { runtimeClassName: 'crun' },
      advises: ['remove it, or ask the operator to list it in the runtimeClasses of the profile'],
      finds,
      fixed: {},
    },
    "the backend's own name where the operator has another": {
      profile: 'kata-qemu',
      options: { runtimeClassName: 'kata-team-a' },
      pod: { runtimeClassName: 'kata-qemu' },
      finds,
      fixed: { runtimeClassName: 'kata-team-a' },
    },
    'no class under userns, where the operator names one': {
      options: { runtimeClassName: 'runc-cgroups' },
      pod: {},
      finds,
      fixed: { runtimeClassName: 'runc-cgroups' },
    },
    'a debug class of the same hypervisor': {
      profile: 'kata-qemu',
      pod: { runtimeClassName: 'kata-qemu-debug' },
      finds,
      fixed: { runtimeClassName: 'kata-qemu' },
    },
    'another backend, and its scheduling stays': {
      profile: 'gvisor',
      pod: { runtimeClassName: 'kata-fc', nodeSelector: { 'katacontainers.io/kata-runtime': 'true' } },
      says: ['runtimeClassName "kata-fc" does not belong to this profile (the nodeSelector and tolerations that this class added stay)'],
      finds,
      fixed: { runtimeClassName: 'gvisor', nodeSelector: { 'katacontainers.io/kata-runtime': 'true' } },
    },
    'another case of letters': {
      profile: 'sysbox',
      pod: { runtimeClassName: 'Sysbox-runc' },
      finds,
      fixed: { runtimeClassName: 'sysbox-runc' },
    },
    ...forEachClass<Failing>('no class', (profile, runtimeClassName) => ({ profile, pod: {}, finds, fixed: { runtimeClassName } })),
  },
});
