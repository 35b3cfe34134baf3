import type { Proof } from '../../src/doctor/facts.ts';
import type { ProbeReport } from '../../src/doctor/probe-report.ts';
import { contextWith, HEALTHY, ids, proof, WORKER } from '../support/doctor-facts.ts';
import type { Case } from './cases.ts';

/** For the checks of `--run`. The table has two healthy pods of userns on one node, whose ids differ. */

const ok: Case = { title: 'healthy pods', answers: [['ok', /./]] };
const nothingRan: Case = { title: 'no pod of the profile', facts: { proofs: [] }, answers: [] };
const contextOf = (profile: string, grant = 'sudo') => contextWith(`profiles: {${profile}: {grant: ${grant}}}`);
const leftOut = (title: string, profile: string, grant?: string): Case => ({
  title,
  context: contextOf(profile, grant),
  facts: { proofs: [proof({ profile })] },
  answers: [],
});

/** A pod beside the healthy ones. */
const beside = (more: Partial<Proof>, report: Partial<ProbeReport> = {}): Pick<Case, 'facts'> => ({
  facts: { proofs: [...HEALTHY.proofs, proof(more, report)] },
});
/** One pod of another profile. */
const one = (profile: string, report: Partial<ProbeReport>, more: Partial<Proof> = {}): Pick<Case, 'facts' | 'context'> => ({
  context: contextOf(profile),
  facts: { proofs: [proof({ profile, ...more }, report)] },
});
const own = (outside: number): Partial<ProbeReport> => ({ uidRanges: [ids(outside)], gidRanges: [ids(outside)] });
const REJECTED: Proof['outcome'] = { is: 'rejected', status: 403, message: 'pods "x" is forbidden: RuntimeClass "kata-qemu" not found' };
const NOT_STARTED: Proof['outcome'] = {
  is: 'not started',
  why: 'the node has no handler of the RuntimeClass',
  remedy: 'Install it.',
  lacksSeccompProfile: false,
};
const NO_SECCOMP: Proof['outcome'] = { ...NOT_STARTED, why: 'the node does not have the seccomp profile', lacksSeccompProfile: true };
const UNREAD: Proof['outcome'] = { is: 'unread', why: 'this identity needs get on pods/log', remedy: 'Give it.' };
const NOT_TRIED: Proof['outcome'] = { is: 'not tried', why: 'no namespace enforces the profile', remedy: 'Label one.' };

/** For every wall: without a reading, there is no claim. */
const withoutReading = (profile: string, grant?: string): readonly Case[] =>
  (
    [
      ['a pod that is rejected', REJECTED, /^not proven: the API server refuses the pod: .*RuntimeClass "kata-qemu" not found/],
      [
        'a pod that does not start',
        NOT_STARTED,
        /^not proven: the pod did not start: the node has no handler of the RuntimeClass \(worker-1\)$/,
      ],
      ['a log that may not be read', UNREAD, /^not proven: this identity needs get on pods\/log \(worker-1\)$/],
      ['no namespace', NOT_TRIED, /^not proven: no namespace enforces the profile/],
    ] as const
  ).map(([title, outcome, message]) => ({
    title,
    context: contextOf(profile, grant),
    facts: { proofs: [proof({ profile, outcome })] },
    answers: [['unknown', message]],
  }));

const GVISOR = {
  kernelVersion: 'Linux version 4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016',
  kernelRelease: '4.19.0-gvisor',
  bootId: 'other',
};
const GUEST = { kernelVersion: 'Linux version 6.12.0', bootId: 'other' };

export const provingCases: Readonly<Record<string, readonly Case[]>> = {
  'run-start': [
    ok,
    nothingRan,
    {
      title: 'a pod that is rejected',
      ...beside({ outcome: REJECTED, node: undefined }),
      answers: [['error', /refuses a pod in team-a: .*RuntimeClass/]],
    },
    {
      title: 'a missing right to create pods',
      ...beside({ outcome: { is: 'rejected', status: 403, message: 'User "ci" cannot create resource "pods"' } }),
      answers: [['unknown', /cannot create resource/]],
    },
    {
      title: 'a webhook that does not support dry runs',
      ...beside({ outcome: { is: 'rejected', status: 400, message: 'admission webhook "a.b" does not support dry run' } }),
      answers: [['unknown', /does not support dry run/]],
    },
    {
      title: 'pods that do not start on two nodes',
      facts: { proofs: [proof({ outcome: NOT_STARTED }), proof({ outcome: NOT_STARTED, node: { ...WORKER, name: 'worker-2' } })] },
      answers: [['error', /does not start: the node has no handler of the RuntimeClass \(worker-1, worker-2\)$/]],
    },
    { title: 'a log that may not be read', ...beside({ outcome: UNREAD }), answers: [['unknown', /needs get on pods\/log/]] },
    { title: 'no namespace', ...beside({ outcome: NOT_TRIED, node: undefined }), answers: [['unknown', /no namespace enforces/]] },
    {
      title: 'a pod that is left behind',
      ...beside({ leftBehind: 'pod team-a/x is left behind: no' }),
      answers: [['warning', /team-a\/x is left behind/]],
    },
  ],
  'run-userns': [
    ok,
    nothingRan,
    leftOut('Kata', 'kata-qemu'),
    leftOut('gVisor', 'gvisor'),
    {
      title: 'Sysbox, whose ids are apart',
      context: contextOf('sysbox'),
      facts: { proofs: [proof({ profile: 'sysbox' }, own(262_144)), proof({ profile: 'sysbox' }, own(327_680))] },
      answers: [['ok', /./]],
    },
    {
      title: 'root is root of the node',
      ...beside({}, own(0)),
      answers: [['error', /root of the pod is root of the node.* \(worker-1\)$/]],
    },
    {
      title: 'only the groups are those of the node',
      ...beside({}, { ...own(262_144), gidRanges: [ids(0, 4_294_967_295)] }),
      answers: [['error', /root of the pod is root of the node/]],
    },
    { title: 'shared ids', ...beside({}, own(131_072)), answers: [['error', /share ids/]] },
    { title: 'ids that overlap by one', ...beside({}, own(196_608 + 65_535)), answers: [['error', /share ids/]] },
    {
      title: 'the same ids on another node',
      facts: { proofs: [...HEALTHY.proofs, ...HEALTHY.proofs.map((each) => ({ ...each, node: { ...WORKER, name: 'worker-2' } }))] },
      answers: [['ok', /./]],
    },
    { title: 'one pod alone', facts: { proofs: [proof()] }, answers: [['unknown', /compared with none/]] },
    {
      title: 'too few ids',
      context: contextWith('profiles: {userns: {grant: containers, idsPerPod: 131072}}'),
      answers: [['error', /has 65536 ids, and the profile says 131072/]],
    },
    { title: 'ids that cannot be read', ...beside({}, { uidRanges: null }), answers: [['unknown', /cannot read the ids/]] },
    {
      title: 'a virtual machine',
      facts: { proofs: [proof({}, { ...own(0), bootId: 'other' })] },
      answers: [['info', /a kernel of its own/]],
    },
    ...withoutReading('userns'),
  ],
  'run-sysbox': [
    { title: 'emulated files', ...one('sysbox', { sysboxMounts: ['/proc/uptime'] }), answers: [['ok', /./]] },
    leftOut('userns', 'userns'),
    { ...nothingRan, context: contextOf('sysbox') },
    { title: 'another runtime', ...one('sysbox', { sysboxMounts: [] }), answers: [['error', /nothing in \/proc is emulated/]] },
    { title: 'mounts that cannot be read', ...one('sysbox', { sysboxMounts: null }), answers: [['unknown', /cannot read its mounts/]] },
    ...withoutReading('sysbox'),
  ],
  'run-kata': [
    { title: 'another boot id, with the same release', ...one('kata-qemu', GUEST), answers: [['ok', /./]] },
    leftOut('userns', 'userns'),
    { ...nothingRan, context: contextOf('kata-qemu') },
    {
      title: 'another release, where a boot id is missing',
      ...one('kata-fc', { bootId: null, kernelRelease: '6.1.62' }),
      answers: [['ok', /./]],
    },
    { title: 'the kernel of the node', ...one('kata-qemu', {}), answers: [['error', /on the kernel of its node.* \(worker-1\)$/]] },
    { title: 'gVisor', ...one('kata-clh', GVISOR), answers: [['error', /gVisor runs the pod/]] },
    { title: 'the same release, and no boot id', ...one('kata-qemu', { bootId: null }), answers: [['unknown', /boot id/]] },
    ...withoutReading('kata-qemu'),
  ],
  'run-gvisor': [
    { title: 'the kernel of gVisor', ...one('gvisor', GVISOR), answers: [['ok', /./]] },
    leftOut('userns', 'userns'),
    { ...nothingRan, context: contextOf('gvisor') },
    {
      title: 'an earlier gVisor',
      ...one('gvisor', { ...GVISOR, kernelVersion: 'Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016' }),
      answers: [['ok', /./]],
    },
    { title: 'the kernel of the node', ...one('gvisor', {}), answers: [['error', /is not that of gVisor/]] },
    {
      title: 'a kernel with its name and the boot id of the node',
      ...one('gvisor', { kernelVersion: GVISOR.kernelVersion }),
      answers: [['error', /is not that of gVisor/]],
    },
    { title: 'a version that cannot be read', ...one('gvisor', { kernelVersion: null }), answers: [['unknown', /version of its kernel/]] },
    ...withoutReading('gvisor'),
  ],
  'run-seccomp': [
    ok,
    nothingRan,
    leftOut('grant sudo', 'userns'),
    {
      title: 'a missing profile',
      ...beside({ outcome: NO_SECCOMP }),
      answers: [['error', /cloister\/workspace\.json is missing.* \(worker-1\)$/]],
    },
    { title: 'no filter', ...beside({}, { seccompMode: 0 }), answers: [['error', /without a seccomp filter/]] },
    {
      title: 'another profile in the spec',
      ...beside({ outcome: { ...(proof().outcome as object), seccompProfiles: [] } as unknown as Proof['outcome'] }),
      answers: [['error', /came back without the seccomp profile/]],
    },
    { title: 'a filter that cannot be read', ...beside({}, { seccompMode: null }), answers: [['unknown', /seccomp filter is in force/]] },
    ...withoutReading('userns', 'containers'),
  ],
  'run-grant': [
    ok,
    nothingRan,
    leftOut('grant none', 'userns', 'none'),
    { title: 'gVisor with sudo', ...one('gvisor', { ...GVISOR, procMounts: ['/proc/kcore'] }), answers: [['ok', /./]] },
    { title: 'no_new_privs', ...beside({}, { noNewPrivileges: true }), answers: [['error', /no_new_privs is set/]] },
    { title: 'no SETUID', ...beside({}, { boundingCapabilities: '00000000a804257b' }), answers: [['error', /SETUID and SETGID/]] },
    { title: 'no SETGID', ...beside({}, { boundingCapabilities: '00000000a80425bb' }), answers: [['error', /SETUID and SETGID/]] },
    {
      title: 'a masked /proc',
      ...beside({}, { procMounts: ['/proc/kcore', '/proc/keys', '/proc/sys'] }),
      answers: [['error', /\/proc is masked \(\/proc\/kcore, \/proc\/keys, \+1\)/]],
    },
    { title: 'no user namespaces', ...beside({}, { maxUserNamespaces: 0 }), answers: [['error', /no user namespaces in the pod/]] },
    {
      title: 'capabilities that cannot be read',
      ...beside({}, { boundingCapabilities: 'x' }),
      answers: [['unknown', /its own privileges/]],
    },
    { title: 'mounts that cannot be read', ...beside({}, { procMounts: null }), answers: [['unknown', /its mounts/]] },
    ...withoutReading('userns'),
  ],
};
