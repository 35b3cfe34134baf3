import { mirrorPod } from '../../src/core/rules/mirror-pod.ts';
import { type Failing, type Sketch, testRule } from '../support/test-rule.ts';

const noted = (...keys: string[]): Sketch => ({ metadata: { annotations: Object.fromEntries(keys.map((key) => [key, 'x'])) } });

testRule(mirrorPod, {
  passes: {
    none: {},
    null: { metadata: { annotations: null } },
    'keys that look alike': noted('kubernetes.io/configuration', 'example.org/kubernetes.io/config.mirror', 'config.mirror'),
  },
  fails: {
    ...Object.fromEntries(
      ['mirror', 'source', 'hash', 'seen'].map((name): [string, Failing] => [
        `a pod that poses as a static one: ${name}`,
        { pod: noted(`kubernetes.io/config.${name}`), finds: [`metadata.annotations["kubernetes.io/config.${name}"]`], fixed: 'nothing' },
      ]),
    ),
    'an empty value, which marks it as well': {
      profile: 'kata-qemu',
      pod: { metadata: { annotations: { 'kubernetes.io/config.mirror': '' } } },
      finds: ['metadata.annotations["kubernetes.io/config.mirror"]'],
      fixed: 'nothing',
    },
    'one that is added later': {
      old: noted('note'),
      pod: noted('note', 'kubernetes.io/config.mirror'),
      finds: ['metadata.annotations["kubernetes.io/config.mirror"]'],
      fixed: 'nothing',
    },
  },
});
