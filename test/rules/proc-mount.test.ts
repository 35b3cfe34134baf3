import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { procMount } from '../../src/core/rules/proc-mount.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const proc = (procMount: string | null): Sketch => ({ securityContext: { procMount } });
const main = (value: string | null): Sketch => ({ containers: [{ name: 'main', ...proc(value) }] });
const path = 'spec.containers[0].securityContext.procMount';
const bare = { securityContext: {} };

testRule(procMount, {
  passes: {
    'the field is absent': { containers: [{ name: 'main' }] },
    Default: main('Default'),
    null: main(null),
    'Unmasked in a workspace that nests containers in a user namespace': { grant: 'containers', pod: main('Unmasked') },
    'Default under sysbox, which shows a /proc of its own': { profile: 'sysbox', grant: 'containers', pod: main('Default') },
    'Default in an init container of such a workspace': {
      grant: 'containers',
      pod: { initContainers: [{ name: 'set-up', ...proc('Default') }] },
    },
  },
  fails: {
    'a promise to a workspace': { grant: 'containers', pod: main('Default'), promises: [path], fixed: main('Unmasked') },
    'a promise, where nothing is said': {
      grant: 'containers',
      options: { nesting: 'sysadmin' },
      pod: { containers: [{ name: 'main' }] },
      says: ['procMount is not set'],
      promises: [path],
      fixed: main('Unmasked'),
    },
    ...inEachList('Unmasked outside a grant', proc('Unmasked'), {
      grant: 'containers',
      options: { grantTo: [makeNamePattern('workspace')] },
      finds: ['securityContext.procMount'],
      fixed: bare,
    }),
    ...Object.fromEntries(
      ['userns', 'sysbox', 'kata-qemu', 'gvisor'].map((profile) => [
        `Unmasked under sudo, under ${profile}`,
        { profile, grant: 'sudo' as const, pod: main('Unmasked'), finds: [path], fixed: { containers: [{ name: 'main', ...bare }] } },
      ]),
    ),
    ...Object.fromEntries(
      ['sysbox', 'kata-clh', 'gvisor'].map((profile) => [
        `Unmasked under containers, where the wall needs no such thing: ${profile}`,
        { profile, grant: 'containers' as const, pod: main('Unmasked'), finds: [path], fixed: { containers: [{ name: 'main', ...bare }] } },
      ]),
    ),
    'an unknown value': { pod: main('unmasked'), finds: [path], fixed: { containers: [{ name: 'main', ...bare }] } },
  },
});
