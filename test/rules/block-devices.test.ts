import { blockDevices } from '../../src/core/rules/block-devices.ts';
import { type Failing, inEachList, type Passing, testRule } from '../support/test-rule.ts';

const raw = { volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }] };
const pod = { containers: [{ name: 'main', ...raw }] };

testRule(blockDevices, {
  passes: {
    none: { containers: [{ name: 'main' }] },
    'null and empty': { initContainers: [{ name: 'set-up', volumeDevices: null }], containers: [{ name: 'main', volumeDevices: [] }] },
    'a file system': { containers: [{ name: 'main', volumeMounts: [{ name: 'disk', mountPath: '/data' }] }] },
    ...Object.fromEntries(
      ['kata-qemu', 'kata-clh', 'kata-fc', 'kata-acrn'].map((profile): [string, Passing] => [
        `plugged into the guest of ${profile}`,
        { profile, grant: 'none', pod },
      ]),
    ),
  },
  fails: {
    'a device file that is named': {
      pod,
      says: ['raw block volume "disk" is attached'],
      finds: ['spec.containers[0].volumeDevices[0]'],
      fixed: 'nothing',
    },
    ...inEachList('a device file', raw, { finds: ['volumeDevices[0]'], fixed: 'nothing' }),
    ...Object.fromEntries(
      ['userns', 'sysbox', 'gvisor'].flatMap((profile) =>
        (['none', 'sudo', 'containers'] as const).map((grant): [string, Failing] => [
          `a device file under ${profile} with ${grant}`,
          { profile, grant, pod, finds: ['spec.containers[0].volumeDevices[0]'], fixed: 'nothing' },
        ]),
      ),
    ),
  },
});
