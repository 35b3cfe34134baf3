import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import type { Grant } from '../../src/core/requirements.ts';
import type { ClassFacts, EventFacts, NodeFacts, PodFacts, WallFacts } from '../../src/live/facts.ts';

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

/** The class and the handler of each backend, as its installer names them. */
const CLASSES: Readonly<Record<string, readonly [name: string, handler: string]>> = {
  sysbox: ['sysbox-runc', 'sysbox-runc'],
  'kata-qemu': ['kata-qemu', 'kata-qemu'],
  'kata-clh': ['kata-clh', 'kata-clh'],
  'kata-fc': ['kata-fc', 'kata-fc'],
  'kata-acrn': ['kata-acrn', 'kata-acrn'],
  gvisor: ['gvisor', 'runsc'],
};

export function wallFacts(given: WallCase): WallFacts {
  const { backend: id = 'userns', options = {}, grant = 'sudo', isRequested = true, sharers = {} } = given;
  const backend = backendById.get(id);
  if (backend === undefined) throw new Error(`no backend is called ${id}`);
  const profile = makeProfile(id, backend, options);
  const { wall } = profile.requirementsFor(grant);
  const [className, handler] = CLASSES[id] ?? [];
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
    applied: { profile: id, grant },
    ...given.pod,
  };
  const node: NodeFacts = {
    name: 'worker-1',
    uid: 'f1c2',
    kubelet: 'v1.35.2',
    runtime: 'containerd://2.1.4',
    handlers: new Map([
      ['', true],
      ['kata-qemu', false],
      ['kata-clh', false],
      ['kata-fc', false],
      ['kata-acrn', false],
      ['runsc', false],
      ['sysbox-runc', true],
    ]),
    labels: id === 'sysbox' ? { 'sysbox-runtime': 'running' } : {},
    taints: [],
    ...given.node,
  };
  const runtimeClass: ClassFacts = {
    name: pod.runtimeClass ?? 'unused',
    handler: handler ?? '',
    created: new Date('2029-01-01T00:00:00Z'),
    podFixed: undefined,
    ...given.class,
  };
  return {
    pod,
    profile: { id, backend: id, grant, wall, isRequested },
    nodes: isUnread(given, 'node') ? undefined : new Map(given.node === null ? [] : [[node.name, node]]),
    classes: isUnread(given, 'class') ? undefined : new Map(given.class === null ? [] : [[runtimeClass.name, runtimeClass]]),
    events: given.events?.map((event) => ({
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
