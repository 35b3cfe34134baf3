import type { Profile } from '../../core/profiles/profile.ts';
import { checkProfiles, LEFT_OUT, type Problem, printObjects } from '../check.ts';
import type { Proof } from '../facts.ts';
import { problemsByNode } from '../grouping.ts';
import { type IdRange, isGvisor, mayHaveCapability, type ProbeReport, rangesOf } from '../probe-report.ts';
import { hasUserNamespace, isKata, seccompProfileOf, unmasksProc } from '../profiles.ts';
import { hasOwnKernel, hasRun, type RanProof } from '../proofs.ts';
import { BLOCKED, excerpt, REMEDIES, rejectionOf } from '../rejections.ts';

const proofsOf = (profile: Profile, proofs: readonly Proof[]): readonly Proof[] => proofs.filter((each) => each.profile === profile.id);

/** What is wrong with one proof. */
type Fault = Omit<Problem, 'objects'>;

const problemsOf = <P extends Proof>(proofs: readonly P[], faultOf: (proof: P) => Fault | undefined): readonly Problem[] =>
  problemsByNode(proofs, ({ node }) => node?.name, faultOf);

/** Why a wall is not proven: there is no reading. */
function whyUnproven({ outcome }: Proof): Fault | undefined {
  if (outcome.is === 'ran') return undefined;
  if (outcome.is === 'rejected') {
    return { level: 'unknown', message: `not proven: the API server refuses the pod: ${excerpt(outcome.message)}`, remedy: SEE_START };
  }
  if (outcome.is === 'not started')
    return { level: 'unknown', message: `not proven: the pod did not start: ${outcome.why}`, remedy: SEE_START };
  return { level: 'unknown', message: `not proven: ${outcome.why}`, remedy: outcome.remedy };
}

const SEE_START = 'See `run-start`.';

/** Each pod that ran is examined; for the others, the answer is unknown. */
function prove(proofs: readonly Proof[], faultOf: (proof: RanProof) => Fault | undefined): readonly Problem[] {
  return [...problemsOf(proofs.filter(hasRun), faultOf), ...problemsOf(proofs, whyUnproven)];
}

const unreadable = (what: string): Fault => ({
  level: 'unknown',
  message: `not proven: the pod cannot read ${what}`,
  remedy: 'Run this command with the image of its own version (--image).',
});

export const runStart = checkProfiles({
  id: 'run-start',
  summary: 'A pod of the profile starts on each chosen node, and prints what it reads (--run).',
  reads: ['proofs'],
  levels: ['error', 'warning'],
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    if (mine.length === 0) return LEFT_OUT;
    return [
      ...problemsOf(mine, ({ outcome, namespace }): Fault | undefined => {
        switch (outcome.is) {
          case 'ran':
            return undefined;
          case 'rejected': {
            const { by } = rejectionOf(outcome);
            return {
              level: BLOCKED.includes(by) ? 'unknown' : 'error',
              message: `the API server refuses a pod in ${namespace}: ${excerpt(outcome.message)}`,
              remedy:
                REMEDIES[by] || 'See `probe-grant`, or give this identity the rights that `cloister doctor --run --print-rbac` prints.',
            };
          }
          case 'not started':
            return { level: 'error', message: `a pod in ${namespace} does not start: ${excerpt(outcome.why)}`, remedy: outcome.remedy };
          default:
            return { level: 'unknown', message: outcome.why, remedy: outcome.remedy };
        }
      }),
      ...problemsOf(mine, ({ leftBehind }) =>
        leftBehind === undefined
          ? undefined
          : { level: 'warning', message: leftBehind, remedy: 'Delete the pod: its containers end by themselves, and the object stays.' },
      ),
    ];
  },
});

export const runUserns = checkProfiles({
  id: 'run-userns',
  summary: 'Root of a pod is an unprivileged user of the node, with ids that no other pod has (--run).',
  reads: ['proofs'],
  levels: ['error', 'info'],
  appliesTo: hasUserNamespace,
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    if (mine.length === 0) return LEFT_OUT;
    const { idsPerPod } = profile.requirementsFor(profile.grant);
    return prove(mine, (proof) => faultOfIds(proof, proofs.filter(hasRun), idsPerPod));
  },
});

function faultOfIds(proof: RanProof, all: readonly RanProof[], idsPerPod: number | undefined): Fault | undefined {
  const [uids, gids] = idsOf(proof);
  if (!uids?.length || !gids?.length) return unreadable('the ids of its user namespace');
  if (hasOwnKernel(proof)) {
    return {
      level: 'info',
      message: 'the pod has a kernel of its own, so that its ids are not those of the node',
      remedy: 'See `run-kata` and `run-gvisor`, for a profile whose wall this kernel is.',
    };
  }
  if (!isApart(uids) || !isApart(gids)) {
    return {
      level: 'error',
      message: 'root of the pod is root of the node: the pod has no user namespace',
      remedy: 'See `api-gate-userns` and the versions of kubelet and runtime: each of them can ignore `hostUsers: false`.',
    };
  }
  const count = Math.min(...[uids, gids].map((ranges) => ranges.reduce((sum, { length }) => sum + length, 0)));
  if (idsPerPod !== undefined && count < idsPerPod) {
    return {
      level: 'error',
      message: `the pod has ${count} ids, and the profile says ${idsPerPod}: pods with higher ids are admitted and fail`,
      remedy: "Set idsPerPod of the profile, or userNamespaces.idsPerPod of the kubelets, to the other's value.",
    };
  }
  const neighbours = all.filter(
    (each) => each !== proof && each.node.name === proof.node.name && !hasOwnKernel(each) && idsOf(each).every(isApart),
  );
  if (neighbours.length === 0) {
    return { level: 'unknown', message: 'not proven: one pod ran alone, so that its ids were compared with none', remedy: SEE_START };
  }
  if (!neighbours.some((each) => shareIds(proof, each))) return undefined;
  return {
    level: 'error',
    message: 'two pods that run at the same time share ids: each can reach what belongs to the other',
    remedy: 'Update kubelet and runtime; under Sysbox, use `identity: host-users`.',
  };
}

/** Whether the ids are not those of the node; root of the node is 0. */
const isApart = (ranges: readonly IdRange[] | undefined): boolean =>
  ranges !== undefined && ranges.length > 0 && ranges.every(({ outside }) => outside !== 0);

const idsOf = ({ outcome: { report } }: RanProof) => [rangesOf(report.uidRanges), rangesOf(report.gidRanges)] as const;

function shareIds(one: RanProof, other: RanProof): boolean {
  const others = idsOf(other);
  return idsOf(one).some((ranges, index) =>
    ranges?.some((a) => others[index]?.some((b) => a.outside < b.outside + b.length && b.outside < a.outside + a.length)),
  );
}

export const runSysbox = checkProfiles({
  id: 'run-sysbox',
  summary: 'Sysbox emulates parts of /proc in a pod (--run).',
  reads: ['proofs'],
  levels: ['error'],
  appliesTo: ({ backend }) => backend.id === 'sysbox',
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    if (mine.length === 0) return LEFT_OUT;
    return prove(mine, ({ outcome: { report } }) => {
      if (report.sysboxMounts == null) return unreadable('its mounts');
      if (report.sysboxMounts.length > 0) return undefined;
      return {
        level: 'error',
        message: 'nothing in /proc is emulated: another runtime than Sysbox runs the pod',
        remedy: 'Give the RuntimeClass of the profile the handler of Sysbox, and check the configuration of the runtime on the node.',
      };
    });
  },
});

const OTHER_RUNTIME =
  'Give the RuntimeClass of the profile the handler of its runtime, and check the configuration of the runtime on the node.';

export const runKata = checkProfiles({
  id: 'run-kata',
  summary: 'A pod runs in a virtual machine, on another kernel than its node (--run).',
  reads: ['proofs'],
  levels: ['error'],
  appliesTo: isKata,
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    if (mine.length === 0) return LEFT_OUT;
    return prove(mine, (proof) => {
      const isOwn = hasOwnKernel(proof);
      if (isOwn === undefined) return unreadable('a boot id that can be compared with that of the node');
      if (!isOwn)
        return { level: 'error', message: 'the pod runs on the kernel of its node, and in no virtual machine', remedy: OTHER_RUNTIME };
      if (!isGvisor(proof.outcome.report)) return undefined;
      return { level: 'error', message: 'gVisor runs the pod, and no virtual machine', remedy: OTHER_RUNTIME };
    });
  },
});

export const runGvisor = checkProfiles({
  id: 'run-gvisor',
  summary: 'A pod makes its system calls to the kernel of gVisor (--run).',
  reads: ['proofs'],
  levels: ['error'],
  appliesTo: ({ backend }) => backend.id === 'gvisor',
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    if (mine.length === 0) return LEFT_OUT;
    return prove(mine, (proof) => {
      const isIt = isGvisor(proof.outcome.report);
      if (isIt === undefined) return unreadable('the version of its kernel');
      if (isIt && hasOwnKernel(proof) !== false) return undefined;
      return { level: 'error', message: 'the kernel of the pod is not that of gVisor', remedy: OTHER_RUNTIME };
    });
  },
});

export const runSeccomp = checkProfiles({
  id: 'run-seccomp',
  summary: 'The node has the seccomp profile of the grant, and a pod runs under it (--run).',
  reads: ['proofs'],
  levels: ['error'],
  appliesTo: (profile) => seccompProfileOf(profile) !== undefined,
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    const name = seccompProfileOf(profile);
    if (mine.length === 0 || name === undefined) return LEFT_OUT;
    const isMissing = ({ outcome }: Proof): boolean => outcome.is === 'not started' && outcome.lacksSeccompProfile;
    return [
      ...problemsOf(mine.filter(isMissing), () => ({
        level: 'error',
        message: `the seccomp profile ${name} is missing: pods of the profile do not start`,
        remedy: 'See the DaemonSet cloister-node-profile, or install the profile with `cloister node-profile install`.',
      })),
      ...prove(
        mine.filter((each) => !isMissing(each)),
        ({ outcome: { report, seccompProfiles } }) => {
          if (!seccompProfiles.includes(name)) {
            return { level: 'error', message: `the pod came back without the seccomp profile ${name}`, remedy: 'See `probe-grant`.' };
          }
          if (report.seccompMode == null) return unreadable('whether a seccomp filter is in force');
          // The kubelet fails a container whose Localhost profile it cannot load: what runs with a filter runs with this one.
          if (report.seccompMode === FILTER) return undefined;
          return {
            level: 'error',
            message: 'the pod runs without a seccomp filter',
            remedy: 'Turn on seccomp in the runtime and the kernel of the node.',
          };
        },
      ),
    ];
  },
});

/** SECCOMP_MODE_FILTER. */
const FILTER = 2;

export const runGrant = checkProfiles({
  id: 'run-grant',
  summary: 'Nothing that a pod can read keeps it from the grant of its profile (--run).',
  reads: ['proofs'],
  levels: ['error'],
  appliesTo: ({ grant }) => grant !== 'none',
  run(profile, { proofs }) {
    const mine = proofsOf(profile, proofs);
    if (mine.length === 0) return LEFT_OUT;
    return prove(mine, ({ outcome: { report } }) => faultOfGrant(profile, report));
  },
});

function faultOfGrant(profile: Profile, report: ProbeReport): Fault | undefined {
  const { noNewPrivileges, procMounts, maxUserNamespaces } = report;
  const mayChangeIds = (['SETUID', 'SETGID'] as const).map((name) => mayHaveCapability(report, name));
  if (noNewPrivileges == null || mayChangeIds.includes(undefined)) return unreadable('its own privileges');
  if (noNewPrivileges) {
    return {
      level: 'error',
      message: 'no_new_privs is set, so that sudo does not work',
      remedy: 'See `probe-grant`: another webhook or the runtime takes allowPrivilegeEscalation away.',
    };
  }
  if (mayChangeIds.includes(false)) {
    return {
      level: 'error',
      message: 'the pod cannot have SETUID and SETGID, which sudo needs',
      remedy: 'Add them to the default capabilities of the runtime.',
    };
  }
  if (!unmasksProc(profile)) return undefined;
  if (procMounts == null) return unreadable('its mounts');
  if (procMounts.length > 0) {
    return {
      level: 'error',
      message: `/proc is masked (${printObjects(procMounts)}), so that containers in the pod cannot mount their own`,
      remedy: 'See `api-gate-procmount`, and update the runtime of the node.',
    };
  }
  if (maxUserNamespaces !== 0) return undefined;
  return {
    level: 'error',
    message: 'the node allows no user namespaces in the pod, which containers in it need',
    remedy: 'Set the sysctl user.max_user_namespaces on the node to more than 0.',
  };
}
