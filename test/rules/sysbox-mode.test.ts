import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { sysboxMode } from '../../src/core/rules/sysbox-mode.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const MODE = 'SYSBOX_SYSCONT_MODE';
const mode = (value: string): Sketch => ({ name: MODE, value });
const env = (...entries: Sketch[]): Sketch => ({ env: entries });
const main = (...entries: Sketch[]): Sketch => ({ containers: [{ name: 'main', ...env(...entries) }] });
const PATH = 'spec.containers[0].env';

testRule(sysboxMode, {
  profile: 'sysbox',
  passes: {
    'FALSE under none': { grant: 'none', pod: main(mode('FALSE')) },
    'FALSE under sudo': { grant: 'sudo', pod: main(mode('FALSE')) },
    'TRUE under containers': { grant: 'containers', pod: main(mode('TRUE')) },
    'FALSE in an init container under containers': {
      grant: 'containers',
      pod: { initContainers: [{ name: 'set-up', ...env(mode('FALSE')) }] },
    },
    'FALSE in a container that restricts itself': {
      grant: 'containers',
      pod: { containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false }, ...env(mode('FALSE')) }] },
    },
    'what other variables say': main(
      { name: 'SYSBOX', value: 'x' },
      { name: 'sysbox_x', value: 'x' },
      { name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' },
      mode('FALSE'),
    ),
    'a prefix that no variable of Sysbox has': {
      containers: [{ name: 'main', ...env(mode('FALSE')), envFrom: [{ prefix: 'SYSTEM_' }, { prefix: '' }, { prefix: null }] }],
    },
    'another backend, which reads no such variable': {
      profile: 'userns',
      pod: main(mode('TRUE'), { name: 'SYSBOX_HONOR_CAPS', value: 'TRUE' }),
    },
  },
  fails: {
    ...inEachList('not set, so that the image might set it', {}, { finds: ['env'], fixed: env(mode('FALSE')) }),
    ...inEachList('TRUE outside containers', env(mode('TRUE')), { finds: ['env[0].value'], fixed: env(mode('FALSE')) }),
    ...inEachList('TRUE outside the workspace', env(mode('TRUE')), {
      grant: 'containers',
      options: { grantTo: [makeNamePattern('workspace')] },
      finds: ['env[0].value'],
      fixed: env(mode('FALSE')),
    }),
    ...inEachList('a value that Sysbox does not know', env(mode('false')), { finds: ['env[0].value'], fixed: env(mode('FALSE')) }),
    'a promise to a workspace': {
      grant: 'containers',
      pod: main({ name: 'HOME', value: '/home/dev' }),
      promises: [PATH],
      fixed: main({ name: 'HOME', value: '/home/dev' }, mode('TRUE')),
    },
    'FALSE in a workspace that nests containers is another value, so an escape': {
      grant: 'containers',
      pod: main(mode('FALSE')),
      finds: [`${PATH}[0].value`],
      fixed: main(mode('TRUE')),
    },
    'taken from elsewhere': {
      pod: main({ name: MODE, valueFrom: { configMapKeyRef: { name: 'x', key: 'y' } } }),
      finds: [`${PATH}[0].value`, `${PATH}[0].valueFrom`],
      fixed: main(mode('FALSE')),
    },
    'right, and yet taken from elsewhere': {
      pod: main({ ...mode('FALSE'), valueFrom: { configMapKeyRef: { name: 'x', key: 'y' } } }),
      finds: [`${PATH}[0].valueFrom`],
      fixed: main(mode('FALSE')),
    },
    'twice, and the last one counts': {
      pod: main(mode('FALSE'), mode('TRUE')),
      finds: [`${PATH}[1].value`],
      fixed: main(mode('FALSE'), mode('FALSE')),
    },
    ...inEachList('other orders to Sysbox', env(mode('FALSE'), { name: 'SYSBOX_SKIP_UID_SHIFT', value: '/etc' }, { name: 'SYSBOX_FOO' }), {
      finds: ['env[1]', 'env[2]'],
      fixed: 'nothing',
    }),
    ...inEachList(
      'a prefix that can make one',
      { ...env(mode('FALSE')), envFrom: [{ prefix: 'SYSBOX_' }, { prefix: 'SYS' }, { prefix: 'SYSBOX_SKIP_' }] },
      {
        finds: [0, 1, 2].map((index) => `envFrom[${index}].prefix`),
        fixed: 'nothing',
      },
    ),
  },
});
