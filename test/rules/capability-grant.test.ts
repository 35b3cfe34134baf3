import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { CONTAINER_LISTS } from '../../src/core/pod.ts';
import { capabilityGrant } from '../../src/core/rules/capability-grant.ts';
import { BASELINE } from '../support/baseline.ts';
import { type Failing, type Sketch, testRule } from '../support/test-rule.ts';

const ELEVEN = [
  'SETUID',
  'SETGID',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'SETFCAP',
  'SETPCAP',
  'KILL',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
];

const main = (securityContext: Sketch): Sketch => ({ containers: [{ name: 'main', securityContext }] });
const holding = (drop: readonly string[], add?: readonly string[]): Sketch =>
  main({ capabilities: { drop, ...(add === undefined ? {} : { add }) } });
const DROP = 'spec.containers[0].securityContext.capabilities.drop';
const ADD = 'spec.containers[0].securityContext.capabilities.add';
/** Without it a container that drops ALL under Sysbox is one that restricts itself. */
const SYSBOX_CONTAINER = { name: 'SYSBOX_SYSCONT_MODE', value: 'TRUE' };
const toMain = { grantTo: [makeNamePattern('main')] };

/** Under `none` no container of any list keeps a capability, also not one that is added to a pod behind its wall. */
function inEachListUnder(profile: string, wall: Sketch): Record<string, Failing> {
  return Object.fromEntries(
    CONTAINER_LISTS.map((list) => [
      `none under ${profile} drops all, in ${list}`,
      {
        profile,
        grant: 'none',
        ...(list === 'ephemeralContainers' ? { old: wall } : {}),
        pod: { ...wall, [list]: [{ name: 'one' }] },
        finds: [`spec.${list}[0].securityContext.capabilities.drop`],
        fixed: { ...wall, [list]: [{ name: 'one', securityContext: { capabilities: { drop: ['ALL'] } } }] },
      },
    ]),
  );
}

testRule(capabilityGrant, {
  passes: {
    'sudo leaves capabilities to the runtime': main({}),
    'sudo, dropping what sudo does not need': holding(['NET_RAW', 'MKNOD']),
    'sudo of a container that grantTo names, dropping what sudo does not need': { options: toMain, pod: holding(['NET_RAW', 'MKNOD']) },
    'sudo under kata and gvisor too': { profile: 'kata-qemu', grant: 'sudo', pod: main({}) },
    'containers, written out': { grant: 'containers', pod: holding(['ALL'], ELEVEN) },
    'containers, written out in another order and spelling': {
      grant: 'containers',
      pod: holding(
        ['ALL'],
        ELEVEN.toReversed().map((each) => `CAP_${each}`),
      ),
    },
    'none under userns, where no_new_privs holds': { grant: 'none', pod: main({}) },
    'init and ephemeral containers without a grant are left as they are': {
      profile: 'kata-qemu',
      grant: 'containers',
      pod: { initContainers: [{ name: 'set-up' }], ephemeralContainers: [{ name: 'debug' }] },
    },
    'an init container that drops ALL, and breaks no promise': {
      initContainers: [{ name: 'set-up', securityContext: { capabilities: { drop: ['ALL'] } } }],
    },
    'a container outside grantTo that drops ALL': { options: { grantTo: [makeNamePattern('workspace')] }, pod: holding(['ALL']) },
    'one that says it twice is reported once, by another rule': main({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }),
  },
  fails: {
    'containers under userns: eleven, all of them within baseline': {
      grant: 'containers',
      pod: main({}),
      promises: [DROP, ADD],
      fixed: holding(['ALL'], ELEVEN),
    },
    'containers under userns with SYS_ADMIN: it is the twelfth': {
      grant: 'containers',
      options: { nesting: 'sysadmin' },
      pod: main({}),
      promises: [DROP, ADD],
      fixed: holding(['ALL'], [...ELEVEN, 'SYS_ADMIN']),
    },
    'containers under kata': {
      profile: 'kata-clh',
      grant: 'containers',
      pod: main({}),
      promises: [DROP, ADD],
      fixed: holding(['ALL'], [...BASELINE, 'SYS_ADMIN', 'NET_ADMIN', 'SYS_RESOURCE']),
    },
    'containers under gvisor': {
      profile: 'gvisor',
      grant: 'containers',
      pod: main({}),
      promises: [DROP, ADD],
      fixed: holding(['ALL'], BASELINE),
    },
    'sudo under sysbox: all dropped, and the thirteen': {
      profile: 'sysbox',
      grant: 'sudo',
      pod: main({}),
      promises: [DROP, ADD],
      fixed: holding(['ALL'], BASELINE),
    },
    'containers under sysbox: all dropped, for Sysbox gives its own': {
      profile: 'sysbox',
      grant: 'containers',
      pod: { containers: [{ name: 'main', env: [SYSBOX_CONTAINER] }] },
      promises: [DROP],
      fixed: { containers: [{ name: 'main', env: [SYSBOX_CONTAINER], securityContext: { capabilities: { drop: ['ALL'] } } }] },
    },
    'none under kata drops all, because exec escapes no_new_privs': {
      profile: 'kata-qemu',
      grant: 'none',
      pod: main({}),
      finds: [DROP],
      fixed: holding(['ALL']),
    },
    ...inEachListUnder('kata-qemu', { runtimeClassName: 'kata-qemu' }),
    ...inEachListUnder('sysbox', { runtimeClassName: 'sysbox-runc', hostUsers: false }),
    'containers under gvisor, in a native sidecar': {
      profile: 'gvisor',
      grant: 'containers',
      pod: { initContainers: [{ name: 'engine', restartPolicy: 'Always' }] },
      promises: [DROP, ADD].map((path) => path.replace('containers', 'initContainers')),
      fixed: {
        initContainers: [{ name: 'engine', restartPolicy: 'Always', securityContext: { capabilities: { drop: ['ALL'], add: BASELINE } } }],
      },
    },
    'a native sidecar that drops ALL is not changed, with a warning': {
      pod: { initContainers: [{ name: 'proxy', restartPolicy: 'Always', securityContext: { capabilities: { drop: ['ALL'] } } }] },
      promises: [DROP.replace('containers', 'initContainers')],
      fixed: 'nothing',
    },
    'none under sysbox drops all': {
      profile: 'sysbox',
      grant: 'none',
      pod: holding(['NET_RAW']),
      finds: [DROP],
      fixed: holding(['NET_RAW', 'ALL']),
    },
    'ALL in another spelling, which Pod Security does not take for it': {
      profile: 'kata-fc',
      grant: 'none',
      pod: holding(['all']),
      finds: [DROP],
      fixed: holding(['all', 'ALL']),
    },
    'only what is missing is written': {
      grant: 'containers',
      pod: holding(['NET_RAW'], ['MKNOD', ...ELEVEN.slice(2)]),
      says: ['capabilities are not set, so the runtime chooses them', 'capabilities SETUID, SETGID are missing'],
      promises: [DROP, ADD],
      fixed: holding(['NET_RAW', 'ALL'], ['MKNOD', ...ELEVEN.slice(2), 'SETUID', 'SETGID']),
    },
    'a container that drops ALL is not changed, with a warning': {
      pod: holding(['ALL']),
      says: ['the container drops ALL capabilities, so it stays without sudo'],
      promises: [DROP],
      fixed: 'nothing',
    },
    'a container that drops all, spelled oddly': { pod: holding(['cap_all']), promises: [DROP], fixed: 'nothing' },
    'one that drops ALL and keeps too little for sudo': { pod: holding(['ALL'], ['SETUID', 'SETGID']), promises: [DROP], fixed: 'nothing' },
    'a container that drops a needed capability by name is reported and not overridden': {
      pod: holding(['CHOWN']),
      promises: [`${DROP}[0]`],
      fixed: 'nothing',
    },
    'what no step was seen to need may be dropped by its name, and is not added then': {
      grant: 'containers',
      pod: holding(['KILL', 'MKNOD'], ['SETUID', 'SETGID']),
      says: [
        'capabilities are not set, so the runtime chooses them',
        `capabilities ${ELEVEN.slice(2)
          .filter((each) => each !== 'KILL')
          .join(', ')} are missing`,
      ],
      promises: [DROP, ADD],
      fixed: holding(
        ['KILL', 'MKNOD', 'ALL'],
        ELEVEN.filter((each) => each !== 'KILL'),
      ),
    },
    'what builds through sudo were seen to need is a loss where the grant has SYS_ADMIN': {
      grant: 'containers',
      options: { nesting: 'sysadmin' },
      pod: holding(['ALL', 'KILL', 'cap_kill'], [...ELEVEN, 'SYS_ADMIN']),
      says: ['the container drops KILL, without which builds through sudo will not work'],
      promises: [`${DROP}[1]`],
      fixed: 'nothing',
    },
    'what sudo needs to install packages is a loss under every grant': {
      grant: 'containers',
      pod: holding(['ALL', 'CHOWN'], ELEVEN),
      says: ['the container drops CHOWN, without which `sudo apt-get install` will not work'],
      promises: [`${DROP}[1]`],
      fixed: 'nothing',
    },
    'one that drops by its name what sudo cannot do without restricts itself, whatever it adds': {
      grant: 'containers',
      pod: holding(['ALL', 'CHOWN', 'cap_setuid'], ELEVEN),
      says: ['the container drops cap_setuid, so it stays without sudo, builds and nested containers'],
      promises: [`${DROP}[2]`],
      fixed: 'nothing',
    },
    'the same without ALL, in a sidecar': {
      pod: holding(['SETGID'], ['CHOWN']),
      says: ['the container drops SETGID, so it stays without sudo'],
      promises: [`${DROP}[0]`],
      fixed: 'nothing',
    },
    'a listed one dropped by name gives way to grantTo, although nothing was seen to need it': {
      grant: 'containers',
      options: toMain,
      pod: holding(['ALL', 'KILL'], ELEVEN),
      says: ['the container drops KILL, which the grant lists'],
      promises: [`${DROP}[1]`],
      fixed: holding(['ALL'], ELEVEN),
    },
    'a container that drops each of the list by its name, and ALL, restricts itself': {
      grant: 'containers',
      pod: holding(['ALL', ...ELEVEN]),
      promises: [`${DROP}[1]`],
      fixed: 'nothing',
    },
    'what a platform dropped gives way to grantTo': {
      options: toMain,
      pod: holding(['ALL']),
      says: ['the container drops ALL, without which sudo will not work'],
      promises: [`${DROP}[0]`],
      fixed: holding([]),
    },
    'so does what keeps too little for sudo': {
      options: toMain,
      pod: holding(['ALL'], ['SETUID', 'SETGID']),
      promises: [`${DROP}[0]`],
      fixed: holding([], ['SETUID', 'SETGID']),
    },
    'a needed one dropped by name gives way to grantTo': {
      grant: 'containers',
      options: toMain,
      pod: holding(['cap_setuid', 'NET_RAW']),
      promises: [`${DROP}[0]`, DROP, ADD],
      fixed: holding(['NET_RAW', 'ALL'], ELEVEN),
    },
    'ALL stays under grantTo, where the grant is written out behind it': {
      grant: 'containers',
      options: toMain,
      pod: holding(['ALL']),
      promises: [ADD],
      fixed: holding(['ALL'], ELEVEN),
    },
  },
});
