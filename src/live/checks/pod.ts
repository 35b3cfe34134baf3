import { exceeds } from '../../core/requirements.ts';
import type { AnswerCheck, FindingCheck } from '../check.ts';
import { explainEvents } from '../events.ts';
import { nodeOf, type PodFacts, type WallFacts } from '../facts.ts';

/** A container may need some time until it is ready. */
const UNREADY_SECONDS = 60;

export const wallNotRequested: AnswerCheck = {
  id: 'wall-not-requested',
  summary: 'The spec of the pod does not have the wall of its profile.',
  severity: 'none',
  answer: 'none',
  reads: ['Pod spec.hostUsers', 'Pod spec.runtimeClassName', 'Pod metadata.annotations'],
  run: ({ profile }) => !profile.isRequested,
};

export const notRunning: FindingCheck = {
  id: 'not-running',
  summary: 'The pod does not run yet.',
  severity: 'info',
  answer: 'down',
  reads: ['Pod status.phase', 'Pod status.*ContainerStatuses[*].state.running', 'Pod spec.nodeName'],
  run({ pod }) {
    if (!isDown(pod)) return undefined;
    const message = pod.node === undefined ? 'the pod is not on a node yet' : `the pod has not started on node ${pod.node} yet`;
    return { message, remedy: 'wait, or read the events of the pod with `kubectl describe pod`' };
  },
};

export const startFailure: FindingCheck = {
  id: 'start-failure',
  summary: 'The pod does not start, and an event says why.',
  severity: 'warning',
  answer: 'down',
  reads: ['Event reason', 'Event message', 'Pod status.phase', 'Pod status.*ContainerStatuses[*].state.running'],
  run: ({ pod, events }) => (isDown(pod) ? explainEvents(events) : undefined),
};

export const containerFailure: FindingCheck = {
  id: 'container-failure',
  summary: 'A container of the pod is not ready, and an event says why.',
  severity: 'warning',
  reads: ['Event reason', 'Event message', 'Pod status.conditions'],
  run: ({ pod, events, now }) => (!isDown(pod) && isUnready(pod, now) ? explainEvents(events) : undefined),
};

/** Whether events may say why the pod does not work. */
export const mayHaveFailed = (pod: PodFacts, now: Date): boolean => isDown(pod) || isUnready(pod, now);

/** Whether nothing of the pod runs. */
const isDown = ({ phase, isRunning }: PodFacts): boolean => phase === 'Pending' && !isRunning;

function isUnready({ unreadySince }: PodFacts, now: Date): boolean {
  return unreadySince !== undefined && now.getTime() - unreadySince.getTime() >= UNREADY_SECONDS * 1_000;
}

export const serviceAccount: FindingCheck = {
  id: 'service-account',
  summary: 'The pod holds a token of a service account of its own.',
  severity: 'info',
  reads: ['Pod spec.serviceAccountName', 'Pod spec.volumes[*].projected.sources[*].serviceAccountToken'],
  run({ pod }) {
    if (pod.serviceAccount === 'default' || !pod.hasToken) return undefined;
    return {
      message: `the pod holds a token of service account ${pod.serviceAccount}, whose rights no wall limits`,
      remedy:
        'list its rights with `kubectl auth can-i --list --as=system:serviceaccount:NAMESPACE:NAME`, or set serviceAccountToken: remove',
    };
  },
};

export const sharedClaim: FindingCheck = {
  id: 'shared-claim',
  summary: 'A pod without a wall can write to a volume of the pod.',
  severity: 'warning',
  reads: ['Pod spec.volumes[*].persistentVolumeClaim'],
  run({ pod, sharers }) {
    const claim = pod.claims.find((each) => sharers.has(each));
    if (claim === undefined) return undefined;
    return {
      message: `claim ${claim} is also mounted by pod ${sharers.get(claim)}, which has no wall`,
      remedy: 'give each workspace a claim of its own',
    };
  },
};

export const outdatedGrant: FindingCheck = {
  id: 'outdated-grant',
  summary: 'The pod was created under a larger grant than its profile gives now.',
  severity: 'warning',
  reads: ['Pod metadata.annotations'],
  run({ pod: { applied }, profile }) {
    if (applied === undefined || applied.profile !== profile.id || !exceeds(applied.grant, profile.grant)) return undefined;
    return {
      message: `the pod was created under grant ${applied.grant}, and now it gets ${profile.grant}`,
      remedy: 'recreate the pod',
    };
  },
};

export const nodeGone: FindingCheck = {
  id: 'node-gone',
  summary: 'The node of the pod does not exist any more.',
  severity: 'warning',
  answer: 'claimed',
  reads: ['Pod spec.nodeName', 'Node metadata.name'],
  run: (facts) => (isNodeGone(facts) ? goneSaid(facts) : undefined),
};

function isNodeGone(facts: WallFacts): boolean {
  return facts.pod.node !== undefined && facts.nodes !== undefined && nodeOf(facts) === undefined;
}

const goneSaid = ({ pod }: WallFacts) => ({
  message: `node ${pod.node} does not exist any more`,
  remedy: 'wait until the pod is removed, or delete it',
});
