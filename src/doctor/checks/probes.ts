import { PROFILE_LABEL } from '../../core/labels.ts';
import type { Profile } from '../../core/profiles/profile.ts';
import { checkCluster, checkProfiles, LEFT_OUT, type Problem, printObjects } from '../check.ts';
import type { Probe, ProbedPod } from '../facts.ts';
import { profileByModeIn } from '../in-force.ts';
import { needsHostUsers, unmasksProc } from '../profiles.ts';
import { BLOCKED, excerpt, REMEDIES, type RejectionCause, rejectionOf } from '../rejections.ts';

const namesOf = (probes: readonly Probe[]): string[] => [...new Set(probes.map(({ namespace }) => namespace))];
const messageOf = ({ outcome }: Probe): string => (outcome.is === 'rejected' ? outcome.message : '');
/** undefined: the pod was admitted. */
const causeOf = ({ outcome }: Probe): RejectionCause | undefined => (outcome.is === 'rejected' ? rejectionOf(outcome) : undefined);
const isBy = (probe: Probe, ...causes: readonly RejectionCause['by'][]): boolean => causes.some((by) => by === causeOf(probe)?.by);

/** For probes that say nothing about Cloister. */
function blocked(probes: readonly Probe[]): Problem[] {
  return [...Map.groupBy(probes, (each) => causeOf(each)?.by)].flatMap(([by, group]): Problem[] => {
    const objects = namesOf(group);
    const [first] = group;
    if (first === undefined) return [];
    if (by === 'rbac') {
      const message = `no dry run of a pod in ${printObjects(objects)}: this identity needs the verb create on pods there`;
      return [{ level: 'unknown', objects, message, remedy: 'Give this identity that permission, or use --read-only.' }];
    }
    if (by === 'nothing') {
      const message = `no dry run of a pod succeeded in ${printObjects(objects)}: the API server says: ${excerpt(messageOf(first))}`;
      return [{ level: 'unknown', objects, message, remedy: 'Run this command again.' }];
    }
    if (by !== 'dry-run') return [];
    const message = `no dry run of a pod in ${printObjects(objects)}: webhook ${causeOf(first)?.webhook} does not support dry runs`;
    return [{ level: 'unknown', objects, message, remedy: 'Ask its vendor for `sideEffects: None`.' }];
  });
}

/** What is missing in an admitted pod. */
function lackOf(profile: Profile, pod: ProbedPod): { readonly message: string; readonly remedy: string } | undefined {
  const { wall, workspace } = profile.requirementsFor(profile.grant);
  const gate = (name: string): string => `Turn the feature gate ${name} on in the API server.`;
  if (pod.applied === undefined) {
    return { message: 'the pod came back without cloister.dev/profile-applied: Cloister was not called', remedy: 'See `entries-drift`.' };
  }
  if (needsHostUsers(profile) && pod.hostUsers !== false) {
    return { message: 'the API server dropped hostUsers: false', remedy: gate('UserNamespacesSupport') };
  }
  if (
    wall.runtimeClassName !== undefined &&
    pod.runtimeClassName !== wall.runtimeClassName &&
    !wall.runtimeClasses.has(pod.runtimeClassName ?? '')
  ) {
    return {
      message: `the pod came back with runtimeClassName ${pod.runtimeClassName ?? '(none)'}`,
      remedy: 'See `other-mutating`: another webhook changes it.',
    };
  }
  if (unmasksProc(profile) && !pod.isProcUnmasked)
    return { message: 'the API server dropped procMount: Unmasked', remedy: gate('ProcMountType') };
  if (workspace.allowPrivilegeEscalation && !pod.allowsEscalation) {
    return {
      message: 'the pod came back without privilege escalation, which sudo needs',
      remedy: 'See `other-mutating`: another webhook changes it.',
    };
  }
  return undefined;
}

/** The problems of plain pods, one for each cause. */
function problemsOfPlain(profile: Profile, probes: readonly Probe[]): readonly Problem[] {
  const rejected = probes.filter(({ outcome }) => outcome.is === 'rejected');
  const refused = rejected.filter((each) => !isBy(each, ...BLOCKED));
  const lacking = probes.flatMap((probe) => {
    const lack = probe.outcome.is === 'admitted' ? lackOf(profile, probe.outcome.pod) : undefined;
    return lack === undefined ? [] : [{ probe, ...lack }];
  });
  return [
    ...[...Map.groupBy(refused, (each) => causeOf(each)?.by ?? 'other')].map(([by, group]): Problem => {
      const objects = namesOf(group);
      const [first] = group;
      return {
        level: 'error',
        objects,
        message: `a plain pod is refused in ${printObjects(objects)}: ${excerpt(first === undefined ? '' : messageOf(first))}`,
        remedy: REMEDIES[by],
      };
    }),
    ...[...Map.groupBy(lacking, ({ message }) => message)].map(([message, group]): Problem => {
      const objects = namesOf(group.map(({ probe }) => probe));
      return { level: 'error', objects, message: `${printObjects(objects)}: ${message}`, remedy: group[0]?.remedy ?? '' };
    }),
    ...blocked(rejected),
  ];
}

const probesOf = (kind: Probe['pod'], probes: readonly Probe[], profile?: Profile): readonly Probe[] =>
  probes.filter(({ pod, profile: id }) => pod === kind && (profile === undefined || id === profile.id));

export const probeGrant = checkProfiles({
  id: 'probe-grant',
  summary: 'A plain pod is admitted where the profile is enforced, with wall and grant (dry run).',
  reads: ['probes'],
  levels: ['error'],
  run(profile, { probes }) {
    const mine = probesOf('grant', probes, profile);
    return mine.length === 0 ? LEFT_OUT : problemsOfPlain(profile, mine);
  },
});

export const probeOptIn = checkProfiles({
  id: 'probe-opt-in',
  summary: 'A pod that names the profile itself gets wall and grant (dry run).',
  reads: ['probes', 'governedPods', 'namespaces'],
  levels: ['error', 'warning'],
  run(profile, { probes, governedPods, namespaces }, context) {
    const mine = probesOf('opt-in', probes, profile);
    if (mine.length === 0) return LEFT_OUT;
    const problems = problemsOfPlain(profile, mine);
    const enforced = new Set(namespaces.filter((each) => profileByModeIn(each, context).enforce !== undefined).map(({ name }) => name));
    const isUsed = governedPods.some(({ namespace, labels }) => labels[PROFILE_LABEL] === profile.id && !enforced.has(namespace));
    // Without such a pod, nothing that runs depends on what else is in the namespace and the cluster. Cloister itself must work for every profile.
    return isUsed || mine.some(isFaultOfCloister)
      ? problems
      : problems.map((each) => (each.level === 'error' ? { ...each, level: 'warning' } : each));
  },
});

function isFaultOfCloister(probe: Probe): boolean {
  const { outcome } = probe;
  return outcome.is === 'admitted' ? outcome.pod.applied === undefined : isBy(probe, 'cloister', 'backstop', 'unreachable');
}

export const probeRefused = checkProfiles({
  id: 'probe-refused',
  summary: 'Cloister refuses a pod that breaks its rules, where the profile is enforced or the pod names it (dry run).',
  reads: ['probes'],
  levels: ['error'],
  run(profile, { probes }) {
    const mine = probesOf('refused', probes, profile);
    if (mine.length === 0) return LEFT_OUT;
    const admitted = namesOf(mine.filter(({ outcome }) => outcome.is === 'admitted'));
    const rejected = mine.filter(({ outcome }) => outcome.is === 'rejected');
    const uncalled = namesOf(rejected.filter((each) => isBy(each, 'unreachable')));
    const elsewhere = rejected.filter((each) => !isBy(each, 'cloister', 'backstop', 'unreachable', ...BLOCKED));
    return [
      ...(admitted.length === 0
        ? []
        : [
            {
              level: 'error',
              objects: admitted,
              message: `a pod that Cloister must refuse is admitted in ${printObjects(admitted)}: pods are not judged there`,
              remedy: 'See `entries-drift` and `exemptions`.',
            } as const,
          ]),
      ...(uncalled.length === 0
        ? []
        : [
            {
              level: 'unknown',
              objects: uncalled,
              message: `in ${printObjects(uncalled)} the API server cannot call Cloister, and refuses every pod`,
              remedy: 'See `reach`.',
            } as const,
          ]),
      ...(elsewhere.length === 0
        ? []
        : [
            {
              level: 'unknown',
              objects: namesOf(elsewhere),
              message: `in ${printObjects(namesOf(elsewhere))} something else refuses the pod before Cloister can: ${excerpt(elsewhere[0] === undefined ? '' : messageOf(elsewhere[0]))}`,
              remedy: 'See `probe-grant`, which shows whether Cloister is called there.',
            } as const,
          ]),
      ...blocked(rejected),
    ];
  },
});

/** A policy refuses without a call of the webhook. */
function onlyRefusedByPolicies(probes: readonly Probe[]): Problem[] {
  const objects = namesOf(probes.filter((each) => isBy(each, 'backstop')));
  if (objects.length === 0) return [];
  const message = `policies refuse every pod of this check in ${printObjects(objects)}, so that none shows whether the API server calls Cloister`;
  return [{ level: 'unknown', objects, message, remedy: 'See `probe-grant`.' }];
}

export const reach = checkCluster({
  id: 'reach',
  summary: 'The API server reaches Cloister (dry run).',
  reads: ['probes'],
  levels: ['error'],
  run({ probes }) {
    if (probes.length === 0) return LEFT_OUT;
    const failed = probes.filter((each) => isBy(each, 'unreachable'));
    const reached = probes.some((each) => each.outcome.is === 'admitted' || isBy(each, 'cloister'));
    if (failed.length === 0) return reached ? [] : [...onlyRefusedByPolicies(probes), ...blocked(probes)];
    const objects = namesOf(failed);
    return [
      {
        level: 'error',
        objects,
        message: `the API server cannot call Cloister: ${excerpt(failed[0] === undefined ? '' : messageOf(failed[0]))}`,
        remedy:
          'With a timeout, a firewall or a NetworkPolicy blocks the way from the control plane: see `networkPolicy` and `ports.webhook` of the chart. With a certificate error, see `ca-matches` and `cert-expiry`. Otherwise see `pods-ready`.',
      },
    ];
  },
});

export const psaDefault = checkCluster({
  id: 'psa-default',
  summary: 'The cluster-wide default of Pod Security accepts the pods of the profiles (dry run).',
  reads: ['probes', 'namespaces'],
  levels: ['error'],
  run({ probes, namespaces }) {
    const labelled = new Set(namespaces.filter(({ labels }) => 'pod-security.kubernetes.io/enforce' in labels).map(({ name }) => name));
    const plain = probes.filter(({ pod, namespace }) => pod !== 'refused' && !labelled.has(namespace));
    if (plain.length === 0) return LEFT_OUT;
    const refused = plain.filter((each) => isBy(each, 'pod-security'));
    if (refused.length === 0) return blocked(plain);
    const objects = namesOf(refused);
    return [
      {
        level: 'error',
        objects,
        message: `${printObjects(objects)}: no label of Pod Security, and the default of the cluster refuses the pods of the profile: ${excerpt(refused[0] === undefined ? '' : messageOf(refused[0]))}`,
        remedy:
          'Label the namespace with the level that `psa-level` asks for, or change the default in the AdmissionConfiguration of the API server.',
      },
    ];
  },
});

export const probeLabels = checkCluster({
  id: 'probe-labels',
  summary: 'An identity without the permission to label cannot change the label of a namespace (dry run).',
  reads: ['labelProbe'],
  levels: ['error'],
  run({ labelProbe }) {
    if (labelProbe === undefined) return LEFT_OUT;
    const { namespace, outcome } = labelProbe;
    if (outcome.is === 'rejected' && rejectionOf(outcome).by === 'label-policy') return [];
    const admitted = outcome.is === 'admitted';
    return [
      {
        level: admitted ? 'error' : 'unknown',
        objects: [namespace],
        message: admitted
          ? `this identity may not label namespaces, and the API server lets it change the label of ${namespace}: a tenant can do the same`
          : `something else refuses to change the label of ${namespace}: ${excerpt(outcome.message)}`,
        remedy: 'See `label-policy`.',
      },
    ];
  },
});
