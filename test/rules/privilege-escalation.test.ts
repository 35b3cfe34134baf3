import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { privilegeEscalation } from '../../src/core/rules/privilege-escalation.ts';
import { type Failing, inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const escalation = (allowPrivilegeEscalation: boolean | null): Sketch => ({
  containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation } }],
});
const path = 'spec.containers[0].securityContext.allowPrivilegeEscalation';
const WALL = { hostUsers: false };
const toMain = { grantTo: [makeNamePattern('main')] };

function underEach(claim: string, make: (profile: string) => Failing): Record<string, Failing> {
  return Object.fromEntries(backends.map(({ id }) => [`${claim}, under ${id}`, make(id)]));
}

testRule(privilegeEscalation, {
  passes: {
    'true under a grant': escalation(true),
    'false under none': { grant: 'none', pod: escalation(false) },
    'an init container under a grant, whatever it says': { initContainers: [{ name: 'set-up', securityContext: {} }] },
    'an init container that says false, and breaks no promise': {
      initContainers: [{ name: 'set-up', securityContext: { allowPrivilegeEscalation: false } }],
    },
    'a container that drops ALL and may escalate is reported once, by another rule': {
      containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: true, capabilities: { drop: ['ALL'] } } }],
    },
    'an added ephemeral container under a grant': { old: WALL, pod: { ...WALL, ephemeralContainers: [{ name: 'debug' }] } },
    'a sidecar outside grantTo that says false': {
      options: { grantTo: [makeNamePattern('workspace')] },
      pod: escalation(false),
    },
    'a sidecar outside grantTo that says nothing': {
      options: { grantTo: [makeNamePattern('workspace')] },
      pod: { containers: [{ name: 'main' }] },
    },
  },
  fails: {
    ...underEach('a promise not yet kept: sudo', (profile) => ({
      profile,
      grant: 'sudo',
      pod: { containers: [{ name: 'main' }] },
      promises: [path],
      fixed: escalation(true),
    })),
    ...underEach('a promise not yet kept: containers', (profile) => ({
      profile,
      grant: 'containers',
      pod: escalation(null),
      promises: [path],
      fixed: escalation(true),
    })),
    ...underEach('none lets no container escalate, whatever it says', (profile) => ({
      profile,
      grant: 'none',
      pod: escalation(true),
      finds: [path],
      fixed: escalation(false),
    })),
    'none, where nothing is said': {
      grant: 'none',
      pod: { containers: [{ name: 'main' }] },
      says: ['allowPrivilegeEscalation is not set'],
      finds: [path],
      fixed: escalation(false),
    },
    ...inEachList(
      'none restricts every container',
      {},
      {
        grant: 'none',
        finds: ['securityContext.allowPrivilegeEscalation'],
        fixed: { securityContext: { allowPrivilegeEscalation: false } },
      },
    ),
    'none restricts a native sidecar': {
      grant: 'none',
      pod: { initContainers: [{ name: 'proxy', restartPolicy: 'Always' }] },
      finds: ['spec.initContainers[0].securityContext.allowPrivilegeEscalation'],
      fixed: { initContainers: [{ name: 'proxy', restartPolicy: 'Always', securityContext: { allowPrivilegeEscalation: false } }] },
    },
    'a grant reaches a native sidecar': {
      pod: { initContainers: [{ name: 'engine', restartPolicy: 'Always' }] },
      promises: ['spec.initContainers[0].securityContext.allowPrivilegeEscalation'],
      fixed: { initContainers: [{ name: 'engine', restartPolicy: 'Always', securityContext: { allowPrivilegeEscalation: true } }] },
    },
    'a native sidecar that restricts itself is not changed, with a warning': {
      pod: { initContainers: [{ name: 'proxy', restartPolicy: 'Always', securityContext: { allowPrivilegeEscalation: false } }] },
      promises: ['spec.initContainers[0].securityContext.allowPrivilegeEscalation'],
      fixed: 'nothing',
    },
    'none does not ask grantTo': {
      grant: 'none',
      options: { grantTo: [] },
      pod: escalation(null),
      finds: [path],
      fixed: escalation(false),
    },
    'a container that restricts itself is not changed, with a warning': { pod: escalation(false), promises: [path], fixed: 'nothing' },
    'the same under containers': {
      grant: 'containers',
      says: ['the container sets allowPrivilegeEscalation: false, so it stays without sudo, builds and nested containers'],
      profile: 'gvisor',
      pod: escalation(false),
      promises: [path],
      fixed: 'nothing',
    },
    'what a platform wrote gives way to grantTo': { options: toMain, pod: escalation(false), promises: [path], fixed: escalation(true) },
    'on a pod that is older than its wall': {
      grant: 'containers',
      old: { hostUsers: true, containers: [] },
      pod: escalation(true),
      finds: [path],
      fixed: 'nothing',
    },
  },
});
