import { makeNamePattern } from '../../src/core/name-pattern.ts';
import type { Grant } from '../../src/core/requirements.ts';
import { capabilities } from '../../src/core/rules/capabilities.ts';
import { BASELINE } from '../support/baseline.ts';
import { type Failing, inEachList, type Passing, type Sketch, testRule } from '../support/test-rule.ts';

const DANGEROUS = [
  'ALL',
  'SYS_ADMIN',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_PTRACE',
  'SYS_RESOURCE',
  'NET_ADMIN',
  'NET_RAW',
  'BPF',
  'DAC_READ_SEARCH',
  'SYS_TIME',
];

/** What a workspace may hold beyond baseline, by profile and grant. */
const MORE: readonly (readonly [profile: string, grant: Grant, more: readonly string[]])[] = [
  ['userns', 'sudo', []],
  ['userns', 'containers', []],
  ['sysbox', 'sudo', []],
  ['sysbox', 'containers', []],
  ['kata-qemu', 'sudo', []],
  ['kata-qemu', 'containers', ['SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE', 'SYS_PTRACE', 'NET_RAW']],
  ['kata-clh', 'containers', ['SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE', 'SYS_PTRACE', 'NET_RAW']],
  ['kata-fc', 'containers', ['SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE', 'SYS_PTRACE', 'NET_RAW']],
  ['kata-acrn', 'containers', ['SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE', 'SYS_PTRACE', 'NET_RAW']],
  ['gvisor', 'sudo', []],
  ['gvisor', 'containers', ['SYS_PTRACE']],
];

const adding = (...add: string[]): Sketch => ({ securityContext: { capabilities: { add } } });
const workspace = (...add: string[]): Sketch => ({ containers: [{ name: 'main', ...adding(...add) }] });
const indices = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `spec.containers[0].securityContext.capabilities.add[${from + index}]`);

testRule(capabilities, {
  passes: {
    'none added': { containers: [{ name: 'main', securityContext: { capabilities: { drop: ['ALL'] } } }] },
    null: { containers: [{ name: 'main', securityContext: { capabilities: { add: null } } }] },
    'baseline in an init container': { initContainers: [{ name: 'set-up', ...adding(...BASELINE) }] },
    'SYS_ADMIN, where the operator nests by it': {
      grant: 'containers',
      options: { nesting: 'sysadmin' },
      pod: workspace(...BASELINE, 'SYS_ADMIN'),
    },
    'what an exemption lets through': {
      exempt: { capabilities: ['NET_ADMIN'] },
      pod: { initContainers: [{ name: 'mesh', ...adding('NET_ADMIN') }] },
    },
    ...Object.fromEntries(
      MORE.map(([profile, grant, more]): [string, Passing] => [
        `what ${grant} lists, under ${profile}`,
        { profile, grant, pod: workspace(...BASELINE, ...more) },
      ]),
    ),
  },
  fails: {
    ...inEachList('a dangerous one, and its neighbours stay', adding('CHOWN', 'SYS_ADMIN', 'KILL'), {
      finds: ['securityContext.capabilities.add[1]'],
      fixed: adding('CHOWN', 'KILL'),
    }),
    ...inEachList('odd spellings of harmless ones', adding('CAP_CHOWN', 'chown', 'Cap_Kill'), {
      finds: [0, 1, 2].map((index) => `securityContext.capabilities.add[${index}]`),
      fixed: adding('CHOWN', 'CHOWN', 'KILL'),
    }),
    ...inEachList('odd spellings of dangerous ones', adding('cap_sys_admin', 'all', 'Net_Admin', 'CAP_ALL'), {
      finds: [0, 1, 2, 3].map((index) => `securityContext.capabilities.add[${index}]`),
      fixed: adding(),
    }),
    'what looks like a harmless one': {
      pod: workspace('CHOWN ', 'CAP_CAP_CHOWN', 'SETUID\n', ''),
      finds: indices(0, 4),
      fixed: workspace(),
    },
    'those that set something up, from an init container': {
      pod: { initContainers: [{ name: 'limits', ...adding('SYS_RESOURCE', 'cap_sys_module', 'SYS_ADMIN', 'ALL', 'SYS_PTRACE') }] },
      says: [
        ...['SYS_RESOURCE', 'cap_sys_module', 'SYS_ADMIN', 'ALL'].map(
          (each) => `capability ${each} is added, and this init container will probably fail without it`,
        ),
        'capability SYS_PTRACE is added',
      ],
      finds: [0, 1, 2, 3, 4].map((index) => `spec.initContainers[0].securityContext.capabilities.add[${index}]`),
      fixed: { initContainers: [{ name: 'limits', ...adding() }] },
    },
    'those of the network, from an init container that ends: it will probably fail': {
      pod: {
        initContainers: [
          { name: 'iptables', ...adding('NET_ADMIN', 'cap_net_raw', 'SYS_TIME') },
          { name: 'proxy', restartPolicy: 'Always', ...adding('NET_ADMIN') },
        ],
      },
      says: [
        'capability NET_ADMIN is added, and this init container will probably fail without it',
        'capability cap_net_raw is added, and this init container will probably fail without it',
        'capability SYS_TIME is added',
        'capability NET_ADMIN is added',
      ],
      advises: ['NET_ADMIN', 'NET_RAW', 'SYS_TIME', 'NET_ADMIN'].map(
        (each) => `remove it, or ask the operator for an exemption (capabilities: [${each}])`,
      ),
      finds: [
        ...[0, 1, 2].map((index) => `spec.initContainers[0].securityContext.capabilities.add[${index}]`),
        'spec.initContainers[1].securityContext.capabilities.add[0]',
      ],
      fixed: {
        initContainers: [
          { name: 'iptables', ...adding() },
          { name: 'proxy', restartPolicy: 'Always', ...adding() },
        ],
      },
    },
    'under none under kata all go, for exec keeps what a container holds': {
      profile: 'kata-qemu',
      grant: 'none',
      pod: workspace('CHOWN', 'SYS_ADMIN'),
      finds: indices(0, 2),
      fixed: workspace(),
    },
    ...inEachList('an ephemeral or init container has no grant', adding('SYS_PTRACE'), {
      profile: 'gvisor',
      grant: 'containers',
      options: { grantTo: [makeNamePattern('workspace')] },
      finds: ['securityContext.capabilities.add[0]'],
      fixed: adding(),
    }),
    'a container that restricts itself holds no more than baseline': {
      profile: 'kata-fc',
      grant: 'containers',
      pod: { containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ['SYS_ADMIN'] } } }] },
      finds: indices(0, 1),
      fixed: { containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false, capabilities: { add: [] } } }] },
    },
    'SYS_ADMIN outside the workspace, where the operator nests by it': {
      grant: 'containers',
      options: { nesting: 'sysadmin' },
      pod: { initContainers: [{ name: 'set-up', ...adding('SYS_ADMIN') }] },
      finds: ['spec.initContainers[0].securityContext.capabilities.add[0]'],
      fixed: { initContainers: [{ name: 'set-up', ...adding() }] },
    },
    'one that is exempt in the container of a mesh, in the workspace beside it': {
      exempt: { capabilities: ['NET_ADMIN'] },
      exemptIn: ['istio-*'],
      pod: {
        initContainers: [{ name: 'istio-init', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }],
        containers: [{ name: 'main', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }],
      },
      finds: ['spec.containers[0].securityContext.capabilities.add[0]'],
      fixed: {
        initContainers: [{ name: 'istio-init', securityContext: { capabilities: { add: ['NET_ADMIN'] } } }],
        containers: [{ name: 'main', securityContext: { capabilities: { add: [] } } }],
      },
    },
    'an exempt one is spelled as Pod Security compares it': {
      exempt: { capabilities: ['NET_ADMIN'] },
      pod: workspace('cap_net_admin', 'NET_RAW'),
      finds: indices(0, 2),
      fixed: workspace('NET_ADMIN'),
    },
    'a debug container added to a pod without the wall': {
      profile: 'kata-qemu',
      grant: 'containers',
      old: { containers: [] },
      pod: { containers: [], ephemeralContainers: [{ name: 'debug', ...adding('SYS_PTRACE', 'KILL') }] },
      finds: ['spec.ephemeralContainers[0].securityContext.capabilities.add[0]'],
      fixed: { containers: [], ephemeralContainers: [{ name: 'debug', ...adding('KILL') }] },
    },
    ...Object.fromEntries(
      MORE.map(([profile, grant, more]): [string, Failing] => {
        const beyond = DANGEROUS.filter((each) => !more.includes(each));
        return [
          `all beyond what ${grant} lists, under ${profile}`,
          {
            profile,
            grant,
            pod: workspace(...more, ...beyond),
            finds: indices(more.length, more.length + beyond.length),
            fixed: workspace(...more),
          },
        ];
      }),
    ),
  },
});
