import { hugePages } from '../../src/core/rules/huge-pages.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const made = (medium: string | null): Sketch => ({ volumes: [{ name: 'fast', emptyDir: { medium } }] });
const finds = ['spec.volumes[0].emptyDir.medium'];

testRule(hugePages, {
  passes: {
    'no volume': {},
    'of disk': { volumes: [{ name: 'cache', emptyDir: {} }] },
    'of disk, said oddly': made(''),
    null: made(null),
    'of memory': made('Memory'),
    'under sysbox': { profile: 'sysbox', pod: made('HugePages') },
    'under kata': { profile: 'kata-qemu', pod: made('HugePages-2Mi') },
    'under gvisor': { profile: 'gvisor', pod: made('HugePages') },
  },
  fails: {
    'of huge pages': { pod: made('HugePages'), finds, fixed: 'nothing' },
    'of huge pages of a size': {
      says: ['volume "fast" has medium HugePages-1Gi, which cannot be id-mapped'],
      pod: made('HugePages-1Gi'),
      finds,
      fixed: 'nothing',
    },
    'whatever the grant': { grant: 'containers', pod: made('HugePages-2Mi'), finds, fixed: 'nothing' },
    'the second of two': {
      pod: {
        volumes: [
          { name: 'cache', emptyDir: {} },
          { name: 'fast', emptyDir: { medium: 'HugePages' } },
        ],
      },
      finds: ['spec.volumes[1].emptyDir.medium'],
      fixed: 'nothing',
    },
  },
});
