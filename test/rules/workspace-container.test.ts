import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { workspaceContainer } from '../../src/core/rules/workspace-container.ts';
import { type Failing, testRule } from '../support/test-rule.ts';

const grantTo = ['tooling-*', 'notebook'].map(makeNamePattern);
const PATH = 'spec.containers';
const pod = { initContainers: [{ name: 'notebook' }], containers: [{ name: 'main' }, { name: 'proxy' }] };
const unmatched: Failing = {
  pod,
  promises: [PATH],
  says: ['grantTo (tooling-*, notebook) matches no container (main, proxy), so the grant has no effect'],
  fixed: 'nothing',
};

testRule(workspaceContainer, {
  options: { grantTo },
  passes: {
    'one of several containers': { containers: [{ name: 'proxy' }, { name: 'notebook' }] },
    'a container that a pattern matches': { containers: [{ name: 'tooling-1' }] },
    'a container that restricts itself, which grantTo overrides': {
      containers: [{ name: 'notebook', securityContext: { allowPrivilegeEscalation: false } }],
    },
    'a native sidecar': { initContainers: [{ name: 'notebook', restartPolicy: 'Always' }], containers: [{ name: 'main' }] },
    'none, which restricts every container': { grant: 'none', pod },
    'no grantTo': { options: {}, pod },
    'no grantTo, where every container restricts itself': {
      options: {},
      pod: { containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }] },
    },
    'an update of a pod without a workspace container': { old: { hostUsers: false, ...pod }, pod: { hostUsers: false, ...pod } },
  },
  fails: {
    ...Object.fromEntries(
      backends.flatMap(({ id }) =>
        (['sudo', 'containers'] as const).map((grant) => [
          `no workspace container, under ${id} with ${grant}`,
          { ...unmatched, profile: id, grant },
        ]),
      ),
    ),
    'native sidecars are listed, and other init containers are not': {
      pod: { initContainers: [{ name: 'set-up' }, { name: 'engine', restartPolicy: 'Always' }], containers: [{ name: 'main' }] },
      promises: [PATH],
      says: ['grantTo (tooling-*, notebook) matches no container (engine, main), so the grant has no effect'],
      fixed: 'nothing',
    },
    'the start of a pod without a workspace container': {
      ...unmatched,
      old: { ...pod, hostUsers: false, schedulingGates: [{ name: 'a/wait' }] },
      pod: { ...pod, hostUsers: false },
    },
    'a pod without containers': {
      pod: {},
      promises: [PATH],
      says: ['grantTo (tooling-*, notebook) matches no container (none), so the grant has no effect'],
      fixed: 'nothing',
    },
    'long lists are cut': {
      options: { grantTo: ['a', 'b', 'c'].map((each) => makeNamePattern(each.repeat(60))) },
      pod: { containers: [{ name: 'x'.repeat(63) }, { name: 'y'.repeat(63) }] },
      promises: [PATH],
      says: [`grantTo (${'a'.repeat(60)}, b…) matches no container (${'x'.repeat(63)}…), so the grant has no effect`],
      fixed: 'nothing',
    },
  },
});
