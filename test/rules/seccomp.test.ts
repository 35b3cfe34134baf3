import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { seccomp } from '../../src/core/rules/seccomp.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const RUNTIME = { type: 'RuntimeDefault' };
const UNCONFINED = { type: 'Unconfined' };
const FOREIGN = { type: 'Localhost', localhostProfile: 'mine.json' };
const WORKSPACE = { type: 'Localhost', localhostProfile: 'cloister/workspace.json' };

const under = (seccompProfile: Sketch | null): Sketch => ({ securityContext: { seccompProfile } });
const main = (seccompProfile: Sketch | null): Sketch => ({ containers: [{ name: 'main', ...under(seccompProfile) }] });
const plain = { containers: [{ name: 'main' }] };
const POD = 'spec.securityContext.seccompProfile';
const MAIN = 'spec.containers[0].securityContext.seccompProfile';

testRule(seccomp, {
  passes: {
    "the runtime's on the pod": { ...under(RUNTIME), ...plain },
    "the runtime's on each container": main(RUNTIME),
    "a container's own counts over the pod's": { ...under(RUNTIME), ...main(RUNTIME) },
    "the grant's on the workspace": { grant: 'containers', pod: main(WORKSPACE) },
    'another name of it, where the operator says so': {
      grant: 'containers',
      options: { seccompProfile: 'profiles/nest.json' },
      pod: main({ type: 'Localhost', localhostProfile: 'profiles/nest.json' }),
    },
    "the runtime's, where nesting goes by SYS_ADMIN": { grant: 'containers', options: { nesting: 'sysadmin' }, pod: main(RUNTIME) },
    "the runtime's, in a virtual machine": { profile: 'kata-qemu', grant: 'containers', pod: main(RUNTIME) },
    'an exempt local profile': { exempt: { seccomp: ['mine.json'] }, pod: main(FOREIGN) },
    'an exempt profile of the pod, also for the workspace': {
      grant: 'containers',
      exempt: { seccomp: ['mine.json'] },
      pod: { ...under(FOREIGN), ...plain },
    },
    'a profile of its own that only the workspace may have': {
      grant: 'containers',
      exempt: { seccomp: ['mine.json'] },
      exemptIn: ['main'],
      pod: { ...under(RUNTIME), ...main(FOREIGN) },
    },
    'an exempt lack of any': { exempt: { seccomp: ['Unconfined'] }, pod: { ...under(UNCONFINED), ...plain } },
    "an ephemeral container that leaves it to the pod's": {
      old: { ...under(RUNTIME), ...plain },
      pod: { ...under(RUNTIME), ...plain, ephemeralContainers: [{ name: 'debug' }] },
    },
  },
  fails: {
    'nothing said, and one line on the pod serves all': {
      pod: { initContainers: [{ name: 'set-up' }], ...plain },
      says: ['seccompProfile is not set'],
      finds: [POD],
      fixed: { ...under(RUNTIME), initContainers: [{ name: 'set-up' }], ...plain },
    },
    'null on pod and container': {
      pod: { ...under(null), ...main(null) },
      finds: [POD],
      fixed: { ...under(RUNTIME), ...main(null) },
    },
    'none on the pod': { pod: { ...under(UNCONFINED), ...plain }, finds: [POD], fixed: { ...under(RUNTIME), ...plain } },
    'a local profile that is not ours, on the pod': {
      pod: { ...under(FOREIGN), ...plain },
      finds: [POD],
      fixed: { ...under(RUNTIME), ...plain },
    },
    ...inEachList('none on a container', under(UNCONFINED), { finds: ['securityContext.seccompProfile'], fixed: under(RUNTIME) }),
    ...inEachList('a local profile that is not ours', under(FOREIGN), { finds: ['securityContext.seccompProfile'], fixed: under(RUNTIME) }),
    ...inEachList('an unfiltered container under a filtered pod', under({ type: 'unconfined' }), {
      grant: 'none',
      finds: ['securityContext.seccompProfile'],
      fixed: under(RUNTIME),
    }),
    'an added container on a pod that says nothing: once for the pod, which cannot be written any more': {
      old: plain,
      pod: { ...plain, ephemeralContainers: [{ name: 'debug' }] },
      finds: ['spec.securityContext.seccompProfile'],
      fixed: 'nothing',
    },
    "an added container on a pod with the grant's profile does not share it": {
      grant: 'containers',
      old: { ...under(WORKSPACE), ...plain, hostUsers: false },
      pod: { ...under(WORKSPACE), ...plain, hostUsers: false, ephemeralContainers: [{ name: 'debug' }] },
      finds: ['spec.ephemeralContainers[0].securityContext.seccompProfile'],
      fixed: { ...under(WORKSPACE), ...plain, hostUsers: false, ephemeralContainers: [{ name: 'debug', ...under(RUNTIME) }] },
    },
    'containers: the workspace gets its own, the init container the default': {
      grant: 'containers',
      pod: { initContainers: [{ name: 'set-up' }], ...plain },
      finds: [POD, MAIN],
      fixed: { ...under(RUNTIME), initContainers: [{ name: 'set-up' }], ...main(WORKSPACE) },
    },
    'containers: a workspace alone needs nothing of its pod': {
      grant: 'containers',
      pod: plain,
      says: ['seccompProfile is not set'],
      finds: [MAIN],
      fixed: main(WORKSPACE),
    },
    "containers: the grant's name behind another type is not the grant's": {
      grant: 'containers',
      pod: main({ ...WORKSPACE, ...UNCONFINED }),
      says: ['seccompProfile is Unconfined'],
      finds: [MAIN],
      fixed: main(WORKSPACE),
    },
    'containers: a foreign local profile gives way': {
      grant: 'containers',
      pod: { ...under(FOREIGN), ...main(FOREIGN) },
      finds: [POD, MAIN],
      fixed: { ...under(RUNTIME), ...main(WORKSPACE) },
    },
    "containers: the grant's on the pod is not the init container's": {
      grant: 'containers',
      pod: { ...under(WORKSPACE), initContainers: [{ name: 'set-up' }], ...plain },
      finds: ['spec.initContainers[0].securityContext.seccompProfile'],
      fixed: { ...under(WORKSPACE), initContainers: [{ name: 'set-up', ...under(RUNTIME) }], ...plain },
    },
    'containers: a RuntimeDefault of the author stays, with a warning': {
      grant: 'containers',
      pod: main(RUNTIME),
      says: ['seccompProfile is RuntimeDefault, under which builds and nested containers will not work'],
      promises: [MAIN],
      fixed: 'nothing',
    },
    "containers: the pod's filter counts as a container's own": {
      grant: 'containers',
      pod: { ...under(RUNTIME), containers: [{ name: 'main' }, { name: 'other' }] },
      says: ["the pod's seccompProfile is RuntimeDefault, under which builds and nested containers will not work"],
      promises: ['spec.securityContext.seccompProfile'],
      fixed: 'nothing',
    },
    'containers: a filter of its own gives way to grantTo': {
      grant: 'containers',
      options: { grantTo: [makeNamePattern('main')] },
      pod: { ...under(RUNTIME), ...plain },
      says: ["the pod's seccompProfile is RuntimeDefault, under which builds and nested containers will not work"],
      promises: [MAIN],
      fixed: { ...under(RUNTIME), ...main(WORKSPACE) },
    },
    "sudo needs no better filter, so the grant's is foreign": { pod: main(WORKSPACE), finds: [MAIN], fixed: main(RUNTIME) },
    'the profile of containers, under another wall': {
      profile: 'kata-qemu',
      grant: 'containers',
      pod: main(WORKSPACE),
      finds: [MAIN],
      fixed: main(RUNTIME),
    },
    'a local profile with the right name in another case': {
      exempt: { seccomp: ['mine.json'] },
      pod: main({ type: 'Localhost', localhostProfile: 'Mine.json' }),
      finds: [MAIN],
      fixed: main(RUNTIME),
    },
    'a profile on the pod that only the workspace may have': {
      grant: 'containers',
      exempt: { seccomp: ['mine.json'] },
      exemptIn: ['main'],
      pod: { ...under(FOREIGN), ...plain },
      finds: [POD, MAIN],
      fixed: { ...under(RUNTIME), ...main(WORKSPACE) },
    },
    'no type': { pod: main({}), finds: [MAIN], fixed: main(RUNTIME) },
    'a local profile without a name': { pod: main({ type: 'Localhost' }), finds: [MAIN], fixed: main(RUNTIME) },
  },
});
