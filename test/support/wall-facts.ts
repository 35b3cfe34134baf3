import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import type { Grant } from '../../src/core/requirements.ts';
import type { ClassFacts, EventFacts, NodeFacts, PodFacts, WallFacts } from '../../src/live/facts.ts';
import { backendsWithClass, classWith, nodeWith } from './live-facts.ts';

/** How a case differs from a pod whose wall stands. */
export interface WallCase {
  readonly backend?: string;
  readonly options?: ProfileOptions;
  readonly grant?: Grant;
  readonly isRequested?: boolean;
  readonly pod?: Partial<PodFacts>;
  /** undefined: the nodes could not be read; null: the node does not exist. */
  readonly node?: Partial<NodeFacts> | null | undefined;
  /** In the same way. */
  readonly class?: Partial<ClassFacts> | null | undefined;
  readonly events?: readonly Partial<EventFacts>[] | undefined;
  readonly sharers?: Readonly<Record<string, string>>;
}

export const NOW = new Date('2030-01-01T12:00:00Z');
const MORNING = new Date('2030-01-01T06:00:00Z');

export function wallFacts(given: WallCase): WallFacts {
  const { backend: id = 'userns', options = {}, grant = 'sudo', isRequested = true, sharers = {} } = given;
  const backend = backendById.get(id);
  if (backend === undefined) throw new Error(`no backend is called ${id}`);
  const profile = makeProfile(id, backend, options);
  const { wall } = profile.requirementsFor(grant);
  const className = backendsWithClass.includes(id) ? classWith(id).name : undefined;
  const pod: PodFacts = {
    created: MORNING,
    phase: 'Running',
    isRunning: given.pod?.phase !== 'Pending',
    unreadySince: undefined,
    node: 'worker-1',
    hostNamespaces: [],
    hostUsers: wall.hostUsers,
    runtimeClass: className,
    overhead: {},
    nodeSelector: {},
    tolerations: [],
    serviceAccount: 'default',
    hasToken: true,
    claims: [],
    readOnlyClaims: [],
    applied: { profile: id, grant },
    ...given.pod,
  };
  const node = nodeWith({ labels: id === 'sysbox' ? { 'sysbox-runtime': 'running' } : {}, ...given.node });
  const runtimeClass = classWith(id, { name: pod.runtimeClass ?? 'unused', ...given.class });
  return {
    pod,
    profile: { id, backend: id, grant, wall, isRequested },
    nodes: isUnread(given, 'node') ? undefined : new Map(given.node === null ? [] : [[node.name, node]]),
    classes: isUnread(given, 'class') ? undefined : new Map(given.class === null ? [] : [[runtimeClass.name, runtimeClass]]),
    events: given.events?.map((event) => ({
      namespace: 'team-a',
      kind: 'Pod',
      object: 'workspace',
      uid: undefined,
      reason: 'Failed',
      message: '',
      time: NOW,
      ...event,
    })),
    sharers: new Map(Object.entries(sharers)),
    now: NOW,
  };
}

const isUnread = (given: WallCase, key: 'node' | 'class'): boolean => Object.hasOwn(given, key) && given[key] === undefined;
