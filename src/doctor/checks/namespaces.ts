import { UNMAPPABLE_STORAGE } from '../../core/known-names.ts';
import { NAMESPACE_LABELS, PROFILE_LABEL } from '../../core/labels.ts';
import { matchesAny } from '../../core/name-pattern.ts';
import { printConfigured } from '../../core/policy.ts';
import { bytesOf } from '../../core/quantity.ts';
import { didYouMean } from '../../did-you-mean.ts';
import { type Context, checkCluster, checkProfiles, type Problem, printObjects } from '../check.ts';
import type { Claim, FactValues, GovernedPod, Namespace } from '../facts.ts';
import { groupBy, titleOf } from '../grouping.ts';
import { enforcing, podsUnderProfile, profileByModeIn } from '../in-force.ts';
import { refusalOf } from '../pod-security.ts';
import { isKata, needsHostUsers } from '../profiles.ts';
import { usedShareOf } from '../quantities.ts';

export const labelUnknown = checkCluster({
  id: 'label-unknown',
  summary: 'Every label of a namespace names a configured profile.',
  reads: ['namespaces'],
  levels: ['error', 'warning'],
  run({ namespaces }, { profiles, only }) {
    const found = namespaces
      .filter(({ name }) => only?.includes(name) !== false)
      .flatMap(({ name, labels }) =>
        (['enforce', 'warn', 'audit'] as const).flatMap((mode) => {
          const value = labels[NAMESPACE_LABELS[mode]];
          return value === undefined || profiles.has(value) ? [] : [{ name, mode, value }];
        }),
      );
    return groupBy(found, ({ mode, value }) => `${mode} ${value}`).map(([, group]): Problem => {
      const [{ mode, value } = { mode: 'enforce' as const, value: '' }] = group;
      const objects = group.map(({ name }) => name);
      const effect = mode === 'enforce' ? 'every new pod there is refused' : `nothing is judged for mode ${mode}`;
      return {
        level: mode === 'enforce' ? 'error' : 'warning',
        objects,
        message: `${printObjects(objects)}: the label ${NAMESPACE_LABELS[mode]} names profile "${value}", which is not configured${didYouMean(value, profiles.keys())}: ${effect}`,
        remedy: `Correct the label; ${printConfigured(profiles)}.`,
      };
    });
  },
});

/**
 * Whether the pod was created before the label `enforce` of its namespace was last written. Its annotation `profile-applied` may then come from its
 * author instead of Cloister.
 */
const isOlder = ({ created }: GovernedPod, { enforcedSince }: Namespace): boolean =>
  created !== undefined && enforcedSince !== undefined && created < enforcedSince;

export const podsOlder = checkCluster({
  id: 'pods-older',
  summary: 'Every pod of an enforcing namespace was created under its profile.',
  reads: ['governedPods', 'namespaces'],
  levels: ['warning'],
  run({ governedPods, namespaces }, context) {
    const found = podsUnderProfile(governedPods, namespaces, context)
      .map((each) => ({ ...each, isOlder: isOlder(each.pod, each.namespace) }))
      .filter(({ pod, profile, isOlder }) => isOlder || pod.applied?.profile !== profile.id);
    return groupBy(found, ({ pod }) => pod.namespace).map(([namespace, group]) => {
      const objects = group.map(({ pod }) => titleOf(pod));
      const before = group.filter(({ isOlder }) => isOlder).length;
      const older = before === 0 ? '' : `; older than the label: ${before}`;
      return {
        level: 'warning',
        objects,
        message: `pods in ${namespace} that were not created under profile ${group[0]?.profile.id}, or are older than the label of the namespace: ${group.length} (${printObjects(group.map(({ pod }) => pod.name))})${older}`,
        remedy: 'Recreate the pods: `kubectl rollout restart`, or delete the pods that have no controller.',
      };
    });
  },
});

export const podLabelClash = checkCluster({
  id: 'pod-label-clash',
  summary: 'Every label of a pod names a profile that its namespace lets it choose.',
  reads: ['governedPods', 'namespaces'],
  levels: ['error'],
  run({ governedPods, namespaces }, context) {
    const clashing = podsUnderProfile(governedPods, namespaces, context).filter(
      ({ pod, profile, enforce }) => enforce !== undefined && ![undefined, profile.id].includes(pod.labels[PROFILE_LABEL]),
    );
    return groupBy(clashing, ({ pod }) => `${pod.namespace} ${pod.labels[PROFILE_LABEL]}`).map(([, group]) => {
      const objects = group.map(({ pod }) => titleOf(pod));
      const [first] = group;
      return {
        level: 'error',
        objects,
        message: `the label ${PROFILE_LABEL}=${first?.pod.labels[PROFILE_LABEL]} of ${printObjects(objects)} is refused at the next start: the namespace enforces ${first?.enforce}`,
        remedy: `Remove the label, or list the profile in \`mayChoose\` of ${first?.enforce}.`,
      };
    });
  },
});

const PSA = 'pod-security.kubernetes.io';

/** The namespaces that enforce a profile, and whose Pod Security level, in the given mode, refuses the pods of that profile. */
function refusing(
  mode: 'enforce' | 'warn' | 'audit',
  profile: Parameters<typeof refusalOf>[0],
  { namespaces, serverVersion }: Pick<FactValues, 'namespaces' | 'serverVersion'>,
  context: Context,
) {
  return enforcing(profile.id, namespaces, context).flatMap(({ name, labels }) => {
    const level = labels[`${PSA}/${mode}`];
    const version = labels[`${PSA}/${mode}-version`] ?? 'latest';
    const refusal = level === undefined ? undefined : refusalOf(profile, { level, version, serverMinor: serverVersion.minor });
    return refusal === undefined ? [] : [{ name, level: `${level} ${version}`, ...refusal }];
  });
}

export const psaLevel = checkProfiles({
  id: 'psa-level',
  summary: 'The Pod Security level of each namespace accepts the grant of its profile.',
  reads: ['namespaces', 'serverVersion'],
  levels: ['error'],
  run(profile, facts, context) {
    return groupBy(refusing('enforce', profile, facts, context), ({ level, because }) => `${level} ${because}`).map(([, group]) => {
      const objects = group.map(({ name }) => name);
      const [first] = group;
      return {
        level: 'error',
        objects,
        message: `${printObjects(objects)}: Pod Security ${first?.level} refuses ${first?.because}, so that pods with grant ${profile.grant} fail there`,
        remedy: first?.instead ?? '',
      };
    });
  },
});

export const psaNoise = checkProfiles({
  id: 'psa-noise',
  summary: 'Pod Security warns about no pod that Cloister accepts.',
  reads: ['namespaces', 'serverVersion'],
  levels: ['info'],
  run(profile, facts, context) {
    const found = [...refusing('warn', profile, facts, context), ...refusing('audit', profile, facts, context)];
    if (found.length === 0) return [];
    const objects = [...new Set(found.map(({ name }) => name))];
    return [
      {
        level: 'info',
        objects,
        message: `${printObjects(objects)}: Pod Security warns about every pod with grant ${profile.grant}, because of ${found[0]?.because}`,
        remedy: `Set ${PSA}/warn and ${PSA}/audit of the namespace to the level that it enforces.`,
      },
    ];
  },
});

export const grantTo = checkProfiles({
  id: 'grant-to',
  summary: 'The pods of each namespace have a container that `grantTo` matches.',
  reads: ['governedPods', 'namespaces'],
  levels: ['warning'],
  appliesTo: ({ grant, requirementsFor }) => requirementsFor(grant).grantTo !== undefined,
  run(profile, { governedPods, namespaces }, context) {
    const { grantTo: patterns = [] } = profile.requirementsFor(profile.grant);
    const mine = podsUnderProfile(governedPods, namespaces, context).filter((each) => each.profile === profile);
    return groupBy(mine, ({ pod }) => pod.namespace).flatMap(([namespace, group]): Problem[] => {
      if (group.some(({ pod }) => pod.containers.some((name) => matchesAny(patterns, name)))) return [];
      return [
        {
          level: 'warning',
          objects: [namespace],
          message: `grantTo [${patterns.map(({ glob }) => glob).join(', ')}] matches no container in ${namespace} (pods: ${group.length}): none of them has the grant`,
          remedy: `Add the name of the workspace container to \`grantTo\`; the containers there are ${printObjects([...new Set(group.flatMap(({ pod }) => pod.containers))])}.`,
        },
      ];
    });
  },
});

/** Of a quota. */
const FULL = 0.9;

export const quota = checkCluster({
  id: 'quota',
  summary: 'No ResourceQuota of a governed namespace is nearly used up.',
  reads: ['quotas', 'namespaces'],
  levels: ['warning'],
  run({ quotas, namespaces }, context) {
    const governed = new Set(namespaces.filter((each) => profileByModeIn(each, context).enforce !== undefined).map(({ name }) => name));
    return quotas
      .filter(({ namespace }) => governed.has(namespace))
      .flatMap(({ namespace, name, hard, used }): Problem[] => {
        const full = Object.entries(hard).filter(([resource, limit]) => (usedShareOf(used[resource], limit) ?? 0) > FULL);
        if (full.length === 0) return [];
        const counts = full.map(([resource, limit]) => `${resource} ${used[resource] ?? '0'} of ${limit}`).join(', ');
        return [
          {
            level: 'warning',
            objects: [`ResourceQuota ${namespace}/${name}`],
            message: `ResourceQuota ${namespace}/${name} is nearly used up: ${counts}`,
            remedy: 'Raise the quota, or stop workspaces. The overhead of a RuntimeClass counts against it.',
          },
        ];
      });
  },
});

const SMALL_GUEST_BYTES = 256 * 1024 ** 2;

export const limitRange = checkProfiles({
  id: 'limit-range',
  summary: 'No LimitRange gives too little memory to pods that run in virtual machines.',
  reads: ['limitRanges', 'namespaces'],
  levels: ['warning'],
  appliesTo: isKata,
  run(profile, { limitRanges, namespaces }, context) {
    const mine = new Set(enforcing(profile.id, namespaces, context).map(({ name }) => name));
    return limitRanges
      .filter(({ namespace }) => mine.has(namespace))
      .flatMap(({ namespace, name, limits }) => {
        const small = limits.find(({ default: defaults }) => (bytesOf(defaults?.memory) ?? SMALL_GUEST_BYTES) < SMALL_GUEST_BYTES);
        return small === undefined
          ? []
          : [
              {
                level: 'warning',
                objects: [`LimitRange ${namespace}/${name}`],
                message: `LimitRange ${namespace}/${name} gives containers ${small.default?.memory} of memory by default: the guest is sized by it`,
                remedy: 'Raise the default memory limit to 256Mi or more, or set limits in the pods.',
              } as const,
            ];
      });
  },
});

export const noLimits = checkProfiles({
  id: 'no-limits',
  summary: 'Pods that run in virtual machines have memory limits, which set the memory of the guest.',
  reads: ['governedPods', 'namespaces'],
  levels: ['warning'],
  appliesTo: isKata,
  run(profile, { governedPods, namespaces }, context) {
    const found = podsUnderProfile(governedPods, namespaces, context).filter(
      (each) => each.profile === profile && each.pod.unlimited.length > 0,
    );
    return groupBy(found, ({ pod }) => pod.namespace).map(([namespace, group]) => ({
      level: 'warning',
      objects: group.map(({ pod }) => titleOf(pod)),
      message: `pods in ${namespace} without a memory limit: ${group.length} (${printObjects(group.map(({ pod }) => pod.name))}); their guest has the memory that the runtime gives by default, and image storage uses it too`,
      remedy: 'Set a memory limit for each container, or a default in a LimitRange.',
    }));
  },
});

export const metadataAccess = checkCluster({
  id: 'metadata-access',
  summary: 'A NetworkPolicy limits what the pods of each governed namespace connect to.',
  reads: ['networkPolicies', 'namespaces'],
  levels: ['info'],
  run({ networkPolicies, namespaces }, context) {
    const limited = new Set(networkPolicies.filter(({ limitsEgress }) => limitsEgress).map(({ namespace }) => namespace));
    const open = namespaces.filter((each) => profileByModeIn(each, context).enforce !== undefined).map(({ name }) => name);
    const objects = open.filter((name) => !limited.has(name));
    if (objects.length === 0) return [];
    return [
      {
        level: 'info',
        objects,
        message: `no NetworkPolicy limits egress in ${printObjects(objects)}: workspaces there may reach the metadata service of the cloud, 169.254.169.254, and its credentials`,
        remedy:
          'Deny that address in a NetworkPolicy, or make the metadata service require session tokens with a hop limit of 1 (on AWS: IMDSv2). The network is outside of what a wall promises.',
      },
    ];
  },
});

/** Mapped by new kernels only: ceph-csi#5440, FUSE. */
const DEPENDS_ON_KERNEL = /^(?:cephfs|glusterfs|(?:.*\.)?cephfs\.csi\.ceph\.com|gcsfuse\.csi\.storage\.gke\.io|s3\.csi\.aws\.com)$/;

/** The claims that pods of a profile mount, with their storage. */
function claimsOf(pods: readonly { readonly pod: GovernedPod }[], claims: readonly Claim[]): readonly Claim[] {
  const mounted = new Set(
    pods.flatMap(({ pod: { namespace, claims: written, readOnlyClaims } }) =>
      [...written, ...readOnlyClaims].map((name) => titleOf({ namespace, name })),
    ),
  );
  return claims.filter((each) => mounted.has(titleOf(each)));
}

export const volumeIdmap = checkProfiles({
  id: 'volume-idmap',
  summary: 'The volumes of pods with a user namespace support mapped ids.',
  reads: ['governedPods', 'namespaces', 'claims'],
  levels: ['error', 'warning'],
  appliesTo: needsHostUsers,
  run(profile, { governedPods, namespaces, claims }, context) {
    const mine = claimsOf(
      podsUnderProfile(governedPods, namespaces, context).filter((each) => each.profile === profile),
      claims,
    );
    const problemOf = (level: 'error' | 'warning', pattern: RegExp, effect: string): Problem[] =>
      groupBy(mine, ({ storage }) => (storage !== undefined && pattern.test(storage) ? storage : undefined)).map(([storage, group]) => {
        const objects = group.map(titleOf);
        return {
          level,
          objects,
          message: `claims of workspaces on ${storage}: ${group.length} (${printObjects(objects)}); ${effect}`,
          remedy: 'Use block storage or a local file system for workspaces, or a Kata profile.',
        };
      });
    return [
      ...problemOf('error', UNMAPPABLE_STORAGE, 'this file system has no mapped mounts, so pods with a user namespace do not start'),
      ...problemOf('warning', DEPENDS_ON_KERNEL, 'only new kernels mount this file system with mapped ids'),
    ];
  },
});

export const volumeHostpath = checkCluster({
  id: 'volume-hostpath',
  summary: 'No claim of a workspace leads to a path of a node.',
  reads: ['governedPods', 'namespaces', 'claims'],
  levels: ['warning'],
  run({ governedPods, namespaces, claims }, context) {
    const found = claimsOf(podsUnderProfile(governedPods, namespaces, context), claims).filter(({ storage }) => storage === 'hostPath');
    if (found.length === 0) return [];
    const objects = found.map(titleOf);
    return [
      {
        level: 'warning',
        objects,
        message: `claims of workspaces on a PersistentVolume of type hostPath: ${found.length} (${printObjects(objects)}); the workspace has that path of the node`,
        remedy: 'Use a StorageClass. An admission review names the claim and not its volume, so that no rule can refuse it.',
      },
    ];
  },
});

export const openshiftRange = checkProfiles({
  id: 'openshift-range',
  summary: 'The ids that OpenShift gives to a namespace exist in the user namespace of a pod.',
  reads: ['namespaces'],
  levels: ['error'],
  appliesTo: ({ grant, requirementsFor }) => requirementsFor(grant).idsPerPod !== undefined,
  run(profile, { namespaces }, context) {
    const { idsPerPod = Number.POSITIVE_INFINITY } = profile.requirementsFor(profile.grant);
    const beyond = enforcing(profile.id, namespaces, context).filter(({ annotations }) => {
      const [first, count] = (annotations['openshift.io/sa.scc.uid-range'] ?? '').split(/[/-]/).map(Number);
      return first !== undefined && Number.isInteger(count) && first + (count ?? 0) > idsPerPod;
    });
    if (beyond.length === 0) return [];
    const objects = beyond.map(({ name }) => name);
    return [
      {
        level: 'error',
        objects,
        message: `OpenShift runs the containers of ${printObjects(objects)} with ids above ${idsPerPod}, which a pod of this profile does not have`,
        remedy: 'Let the service account use an SCC that runs workspaces with a small fixed id: see docs/platforms/openshift.md.',
      },
    ];
  },
});
