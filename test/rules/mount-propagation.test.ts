import { mountPropagation } from '../../src/core/rules/mount-propagation.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const mount = (propagation?: string | null): Sketch => ({
  volumeMounts: [{ name: 'data', mountPath: '/data', ...(propagation === undefined ? {} : { mountPropagation: propagation }) }],
});
const finds = ['volumeMounts[0].mountPropagation'];

testRule(mountPropagation, {
  passes: {
    'the field is absent': { containers: [{ name: 'main', ...mount() }] },
    None: { containers: [{ name: 'main', ...mount('None') }] },
    'null and empty': { initContainers: [{ name: 'set-up', ...mount(null) }], containers: [{ name: 'main', ...mount('') }] },
  },
  fails: {
    ...inEachList('mounts carried out', mount('Bidirectional'), { finds, fixed: mount() }),
    ...inEachList('mounts carried in', mount('HostToContainer'), { finds, fixed: mount() }),
    ...inEachList('mounts carried out of a virtual machine', mount('Bidirectional'), {
      profile: 'kata-qemu',
      grant: 'containers',
      options: { guestPrivileged: true },
      finds,
      fixed: mount(),
    }),
    'an unknown mode': {
      pod: { containers: [{ name: 'main', ...mount('bidirectional') }] },
      finds: [`spec.containers[0].${finds[0]}`],
      fixed: { containers: [{ name: 'main', ...mount() }] },
    },
  },
});
