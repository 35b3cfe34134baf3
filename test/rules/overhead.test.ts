import { overhead } from '../../src/core/rules/overhead.ts';
import { testRule } from '../support/test-rule.ts';

const cost = { overhead: { cpu: '250m', memory: '320Mi' } };
const finds = ['spec.overhead'];

testRule(overhead, {
  passes: {
    'the field is absent': {},
    null: { runtimeClassName: 'foreign', overhead: null },
    "what the API server wrote for the profile's class": { profile: 'kata-qemu', pod: { runtimeClassName: 'kata-qemu', ...cost } },
    'what it wrote for another class of the profile': {
      options: { runtimeClasses: ['crun'] },
      pod: { runtimeClassName: 'crun', ...cost },
    },
  },
  fails: {
    'that of a foreign class': { pod: { runtimeClassName: 'kata-qemu', ...cost }, finds, fixed: { runtimeClassName: 'kata-qemu' } },
    'that of another backend': {
      profile: 'gvisor',
      pod: { runtimeClassName: 'kata-qemu', ...cost },
      finds,
      fixed: { runtimeClassName: 'kata-qemu' },
    },
    'one without a class': { profile: 'sysbox', pod: cost, finds, fixed: {} },
    'one without a class, where none is needed': { pod: cost, finds, fixed: {} },
    'an empty one of a foreign class': {
      pod: { runtimeClassName: 'foreign', overhead: {} },
      finds,
      fixed: { runtimeClassName: 'foreign' },
    },
  },
});
