import { matchesAny } from '../../core/name-pattern.ts';
import type { Profile } from '../../core/profiles/profile.ts';
import { resourceClaims } from '../../core/rules/resource-claims.ts';
import { causeOf } from '../../live/events.ts';
import { type Context, checkCluster, checkProfiles, type Problem, printObjects } from '../check.ts';
import type { DeviceClaim } from '../facts.ts';
import { FAILURE_FACTS, failuresOf } from '../failures.ts';
import { groupBy, podsProblem, sentence, titleOf } from '../grouping.ts';
import { enforcing, podsUnderProfile } from '../in-force.ts';
import { landingsOf } from '../landings.ts';
import { isKata, needsHostUsers, seccompProfileOf } from '../profiles.ts';

export const claimShared = checkCluster({
  id: 'claim-shared',
  summary: 'No workspace shares a volume with a pod that has no wall.',
  reads: ['governedPods', 'neighbours', 'namespaces'],
  levels: ['warning'],
  run({ governedPods, neighbours, namespaces }, context) {
    const open = new Map(
      [...governedPods, ...neighbours]
        .filter(({ walls }) => walls.length === 0)
        .flatMap(({ namespace, name, claims }) => claims.map((claim) => [titleOf({ namespace, name: claim }), name])),
    );
    const shared = podsUnderProfile(governedPods, namespaces, context)
      .filter(({ pod, profile }) => pod.walls.includes(profile.id))
      .flatMap(({ pod }) => pod.claims.map((name) => titleOf({ namespace: pod.namespace, name })))
      .filter((claim) => open.has(claim));
    const objects = [...new Set(shared)];
    if (objects.length === 0) return [];
    const named = objects.map((claim) => `${claim} with pod ${open.get(claim)}`);
    return [
      {
        level: 'warning',
        objects,
        message: `claims that workspaces share with a pod without a wall: ${objects.length} (${printObjects(named)}); files cross the wall`,
        remedy: 'Give each workspace a claim of its own, or recreate the other pod under a profile.',
      },
    ];
  },
});

export const imageIds = checkProfiles({
  id: 'image-ids',
  summary: 'No pod fails because its image has ids that its user namespace does not have.',
  reads: FAILURE_FACTS,
  levels: ['error'],
  appliesTo: needsHostUsers,
  run: (profile, values, context) =>
    podsProblem({
      found: failuresOf(values, context)
        .filter((each) => each.profile === profile && each.cause.id === 'image-ids')
        .map(({ pod }) => pod),
      what: 'pods do not start, because their image has files of ids that their user namespace does not have',
      remedy: 'Build the image with ids below 65536, or raise userNamespaces.idsPerPod of the kubelets and `idsPerPod` of the profile.',
    }),
});

export const initNetadmin = checkCluster({
  id: 'init-netadmin',
  summary: 'Each init container that sets up a firewall has the capability for it.',
  reads: ['governedPods', 'namespaces'],
  levels: ['warning'],
  run({ governedPods, namespaces }, context) {
    const powerless = podsUnderProfile(governedPods, namespaces, context)
      .filter(({ pod }) => pod.applied !== undefined)
      .flatMap(({ pod }) => pod.powerlessInits.map((init) => ({ pod, init })));
    return groupBy(powerless, ({ pod, init }) => `${pod.namespace} ${init}`).map(([, group]): Problem => {
      const objects = group.map(({ pod }) => titleOf(pod));
      const [{ pod, init } = { pod: { namespace: '' }, init: '' }] = group;
      return {
        level: 'warning',
        objects,
        message: `init container ${init} in ${pod.namespace} sets up a firewall, and has no NET_ADMIN: it fails in ${printObjects(group.map((each) => each.pod.name))}`,
        remedy:
          'Do without it: a NetworkPolicy replaces block-cloud-metadata (`singleuser.cloudMetadata.blockWithIptables: false`), and a CNI plugin replaces the init container of a mesh. Or exempt NET_ADMIN for this container.',
      };
    });
  },
});

/** Causes that other checks report for a profile. */
const REPORTED_ELSEWHERE: Readonly<Record<string, (profile: Profile) => boolean>> = {
  'image-ids': needsHostUsers,
  'no-kvm': isKata,
  'no-seccomp-profile': (profile) => seccompProfileOf(profile) !== undefined,
};

/** Controllers try again after 17 minutes at most. Source: kubernetes/kubernetes, the rate limiter of client-go's work queues. */
const RETRY_MS = 20 * 60_000;

export const events = checkCluster({
  id: 'events',
  summary: 'No event of a governed pod that does not work has a cause that Cloister knows.',
  reads: FAILURE_FACTS,
  levels: ['error'],
  run(values, context) {
    const failing = failuresOf(values, context)
      .filter(({ cause, profile }) => REPORTED_ELSEWHERE[cause.id]?.(profile) !== true)
      .map(({ cause, pod }) => ({ cause, title: titleOf(pod) }));
    // A workload that cannot create its pods has none.
    const creations = values.events
      .filter(({ reason, time }) => reason === 'FailedCreate' && context.now.getTime() - (time?.getTime() ?? Number.NaN) < RETRY_MS)
      .flatMap((event) => {
        const cause = causeOf(event);
        return cause === undefined ? [] : [{ cause, title: `${event.kind} ${event.namespace}/${event.object}` }];
      });
    return groupBy([...failing, ...creations], ({ cause }) => cause.id).map(([, group]): Problem => {
      const objects = [...new Set(group.map(({ title }) => title))];
      return {
        level: 'error',
        objects,
        message: `${group[0]?.cause.meaning}: ${objects.length} (${printObjects(objects)})`,
        remedy: sentence(group[0]?.cause.remedy ?? ''),
      };
    });
  },
});

export const draClaims = checkProfiles({
  id: 'dra-claims',
  summary: 'The profile lets pods have each kind of device that nodes and claims offer.',
  reads: ['nodes', 'classes', 'namespaces', 'deviceClaims'],
  levels: ['info'],
  run(profile, values, context): readonly Problem[] {
    const { allowedDevices } = profile.requirementsFor(profile.grant);
    const offered = new Set(landingsOf(profile, values, context).flatMap(({ nodes }) => nodes.flatMap(({ devices }) => devices)));
    const refused = [...offered].filter((name) => !allowedDevices.has(name)).toSorted();
    const names = new Set(enforcing(profile.id, values.namespaces, context).map(({ name }) => name));
    const claims = values.deviceClaims.filter((claim) => names.has(claim.namespace) && !isExempt(claim, context));
    return [
      ...(refused.length === 0
        ? []
        : [
            {
              level: 'info',
              objects: refused,
              message: `nodes offer devices that the profile does not list, so that it refuses pods which ask for them: ${printObjects(refused)}`,
              remedy: 'List those that workspaces may use in `devices` of the profile.',
            } as const,
          ]),
      ...(claims.length === 0
        ? []
        : [
            {
              level: 'info',
              objects: claims.map((claim) => `${claim.kind} ${titleOf(claim)}`),
              message: `namespaces that enforce the profile have claims for devices, and pods that name one are refused: ${printObjects(claims.map(titleOf))}`,
              remedy: 'Exempt the names of the claims that workspaces may use from the rule resource-claims.',
            } as const,
          ]),
    ];
  },
});

const isExempt = ({ namespace, name }: DeviceClaim, { exemptions, now }: Context): boolean =>
  exemptions.some((each) => now < each.expires && matchesAny(each.namespaces, namespace) && each.allow.get(resourceClaims.id)?.has(name));
