import { describe, expect, test } from 'vitest';
import { ruleById } from '../../src/core/rules/index.ts';
import { wallChecks } from '../../src/live/checks/index.ts';
import { answerWall } from '../../src/live/wall.ts';
import { NOW, type WallCase, wallFacts } from '../support/wall-facts.ts';

/** A row for each check: where it hits, where it does not, and where a fact that it needs is missing. */
interface Cases {
  readonly hits: Readonly<Record<string, WallCase>>;
  readonly misses: Readonly<Record<string, WallCase>>;
  /** The check must not hit, and where it decides about the wall, the wall must not stand. */
  readonly unknown: Readonly<Record<string, WallCase>>;
}

const minutesAgo = (minutes: number): Date => new Date(NOW.getTime() - minutes * 60_000);
const EVENT = { reason: 'FailedCreatePodSandBox', message: 'no runtime for "kata-qemu" is configured' };
const HANDLERS_OF_RUNC = new Map([
  ['', true],
  ['runc', true],
]);
const CRIO: WallCase = { backend: 'sysbox', options: { identity: 'crio-annotation' }, pod: { hostUsers: undefined } };
const KATA: WallCase = { backend: 'kata-qemu' };

const CASES: Readonly<Record<string, Cases>> = {
  'wall-not-requested': {
    hits: { 'the spec lacks the wall': { isRequested: false } },
    misses: { 'the spec has it': {} },
    unknown: {},
  },
  'not-running': {
    hits: {
      'no node yet': { pod: { phase: 'Pending', node: undefined } },
      'a node, and not started': { pod: { phase: 'Pending' } },
    },
    misses: { 'the pod runs': {}, 'an init container runs': { pod: { phase: 'Pending', isRunning: true } } },
    unknown: { 'no phase and no node': { pod: { phase: undefined, node: undefined } } },
  },
  'start-failure': {
    hits: { 'an event of a pending pod': { pod: { phase: 'Pending' }, events: [EVENT] } },
    misses: {
      'a pod that runs': { events: [EVENT] },
      'an init container runs': { pod: { phase: 'Pending', isRunning: true }, events: [EVENT] },
      'no events': { pod: { phase: 'Pending' }, events: [] },
    },
    unknown: { 'events were not read': { pod: { phase: 'Pending' }, events: undefined } },
  },
  'container-failure': {
    hits: {
      'not ready for two minutes': { pod: { unreadySince: minutesAgo(2) }, events: [EVENT] },
      'an init container runs': { pod: { phase: 'Pending', isRunning: true, unreadySince: minutesAgo(2) }, events: [EVENT] },
    },
    misses: {
      'not ready for half a minute': { pod: { unreadySince: minutesAgo(0.5) }, events: [EVENT] },
      'a pending pod': { pod: { phase: 'Pending', unreadySince: minutesAgo(2) }, events: [EVENT] },
    },
    unknown: { 'events were not read': { pod: { unreadySince: minutesAgo(2) }, events: undefined } },
  },
  'node-gone': {
    hits: { 'the node does not exist': { node: null } },
    misses: { 'the node exists': {} },
    unknown: { 'the nodes were not read': { node: undefined } },
  },
  'userns-supported': {
    hits: { 'the handler has user namespaces': {}, 'of Sysbox': { backend: 'sysbox' } },
    misses: {
      'it has none': { node: { handlers: new Map([['', false]]) } },
      'a wall of another kind': KATA,
    },
    unknown: {
      'the handler does not say': { node: { handlers: new Map([['', undefined]]) } },
      'no handlers': { node: { handlers: new Map() } },
      'no version of the kubelet': { node: { kubelet: undefined } },
      'a version that cannot be read': { node: { kubelet: 'v1.x' } },
      'the nodes were not read': { node: undefined },
      'the class was not read': { backend: 'sysbox', class: undefined },
    },
  },
  'userns-unsupported': {
    hits: { 'it has none': { node: { handlers: new Map([['', false]]) } } },
    misses: { 'it has them': {}, 'an old kubelet': { node: { kubelet: 'v1.31.0', handlers: new Map([['', false]]) } } },
    unknown: { 'the handler does not say': { node: { handlers: new Map([['', undefined]]) } }, 'nodes unread': { node: undefined } },
  },
  'userns-unreported': {
    hits: {
      'the handler does not say': { node: { handlers: new Map([['', undefined]]) } },
      'no handlers': { node: { handlers: new Map() } },
      'a version that cannot be read': { node: { kubelet: 'latest' } },
    },
    misses: { 'it says so': {}, 'an old kubelet': { node: { kubelet: 'v1.29.9', handlers: new Map() } } },
    unknown: { 'the nodes were not read': { node: undefined }, 'the class was not read': { backend: 'sysbox', class: undefined } },
  },
  'userns-ignored': {
    hits: { 'a kubelet of 1.29': { node: { kubelet: 'v1.29.14-eks-1a2b3c4' } }, 'of 1.9': { node: { kubelet: 'v1.9.0' } } },
    misses: { 'a kubelet of 1.30': { node: { kubelet: 'v1.30.0' } }, 'a wall of another kind': { ...KATA, node: { kubelet: 'v1.29.1' } } },
    unknown: { 'a version that cannot be read': { node: { kubelet: '1' } } },
  },
  'userns-gated': {
    hits: { 'a kubelet of 1.30': { node: { kubelet: 'v1.30.0+k3s1' } }, 'of 1.32': { node: { kubelet: 'v1.32.9-gke.100' } } },
    misses: { 'of 1.33': { node: { kubelet: 'v1.33.0' } }, 'of 1.29': { node: { kubelet: 'v1.29.0' } } },
    unknown: { 'a version that cannot be read': { node: { kubelet: 'unknown' } } },
  },
  'userns-with-host-namespaces': {
    hits: { hostNetwork: { pod: { hostNamespaces: ['hostNetwork'] } } },
    misses: { 'no host namespace': {}, 'no user namespace asked for': { ...KATA, pod: { hostNamespaces: ['hostNetwork'] } } },
    unknown: {},
  },
  'userns-in-guest': {
    hits: { 'a class of Kata under userns': { pod: { runtimeClass: 'kata' }, class: { handler: 'kata-qemu' } } },
    misses: { 'no class': {}, 'another class': { pod: { runtimeClass: 'nvidia' }, class: { handler: 'nvidia' } }, 'a Kata profile': KATA },
    unknown: { 'the class was not read': { pod: { runtimeClass: 'kata' }, class: undefined } },
  },
  'class-gone': {
    hits: { 'the class does not exist': { ...KATA, class: null } },
    misses: { 'it exists': KATA, 'no class': { class: null } },
    unknown: { 'the classes were not read': { ...KATA, class: undefined } },
  },
  'handler-absent': {
    hits: { 'the node lists others': { ...KATA, node: { handlers: HANDLERS_OF_RUNC } } },
    misses: { 'the node lists it': KATA },
    unknown: {
      'the node lists none': { ...KATA, node: { handlers: new Map() } },
      'the class was not read': { ...KATA, class: undefined, node: { handlers: HANDLERS_OF_RUNC } },
    },
  },
  'handler-listed': {
    hits: {
      Kata: KATA,
      gVisor: { backend: 'gvisor' },
      Sysbox: { backend: 'sysbox' },
      'CRI-O and its annotation': { ...CRIO, node: { runtime: 'cri-o://1.31.2' } },
    },
    misses: { 'the node lists others': { ...KATA, node: { handlers: HANDLERS_OF_RUNC } }, 'no class': {} },
    unknown: {
      'the node lists none': { ...KATA, node: { handlers: new Map() } },
      'the nodes were not read': { ...KATA, node: undefined },
      'the classes were not read': { ...KATA, class: undefined },
      'the runtime that must read an annotation': { ...CRIO, node: { runtime: undefined } },
    },
  },
  'handlers-unreported': {
    hits: { 'the node lists none': { ...KATA, node: { handlers: new Map() } } },
    misses: { 'the node lists some': KATA, 'no class': { node: { handlers: new Map() } } },
    unknown: { 'the nodes were not read': { ...KATA, node: undefined } },
  },
  'handler-ordinary': {
    hits: {
      runc: { ...KATA, class: { handler: 'runc' }, node: { handlers: HANDLERS_OF_RUNC } },
      'the default': { backend: 'gvisor', class: { handler: '' } },
    },
    misses: { 'a handler of Kata': KATA, 'under userns': { pod: { runtimeClass: 'plain' }, class: { handler: 'runc' } } },
    unknown: { 'the classes were not read': { ...KATA, class: undefined } },
  },
  'handler-unknown': {
    hits: {
      'a handler of another runtime': { ...KATA, class: { handler: 'nvidia' } },
      'of another backend': { backend: 'gvisor', class: { handler: 'kata-qemu' } },
      'of Sysbox with another name': { backend: 'sysbox', class: { handler: 'sysbox-runc-2' } },
      'a known name within': { backend: 'gvisor', class: { handler: 'my-runsc' } },
    },
    misses: {
      Kata: KATA,
      Sysbox: { backend: 'sysbox' },
      'a variant of gVisor': { backend: 'gvisor', class: { handler: 'runsc-kvm' } },
      'the name that the profile has': { backend: 'gvisor', class: { handler: 'gvisor' } },
      'a handler of ordinary containers': { ...KATA, class: { handler: 'runc' } },
      'under userns': { pod: { runtimeClass: 'nvidia' }, class: { handler: 'nvidia' } },
    },
    unknown: { 'the classes were not read': { ...KATA, class: undefined } },
  },
  'class-recreated': {
    hits: { 'the class is younger': { ...KATA, class: { created: minutesAgo(5) } } },
    misses: { 'the class is older': KATA },
    unknown: { 'the classes were not read': { ...KATA, class: undefined } },
  },
  'class-overhead': {
    hits: {
      'less than the class': { ...KATA, pod: { overhead: { memory: '160Mi' } }, class: { podFixed: { memory: '320Mi' } } },
      none: { ...KATA, class: { podFixed: { memory: '320Mi' } } },
    },
    misses: {
      'the same': { ...KATA, pod: { overhead: { memory: '320Mi', cpu: '250m' } }, class: { podFixed: { cpu: '250m', memory: '320Mi' } } },
      'the same in other units': { ...KATA, pod: { overhead: { memory: '1Gi' } }, class: { podFixed: { memory: '1024Mi' } } },
      'a class without overhead': KATA,
    },
    unknown: { 'the classes were not read': { ...KATA, pod: { overhead: { memory: '1Mi' } }, class: undefined } },
  },
  'kata-hypervisor': {
    hits: {
      'another hypervisor': { backend: 'kata-clh', class: { handler: 'kata-qemu' } },
      'of Firecracker': { backend: 'kata-fc', class: { handler: 'kata-clh' } },
    },
    misses: {
      'its own': { backend: 'kata-clh' },
      'a variant of its own': { ...KATA, class: { handler: 'kata-qemu-tdx' } },
      'a name without one': { ...KATA, class: { handler: 'kata' } },
    },
    unknown: { 'the classes were not read': { backend: 'kata-clh', class: undefined } },
  },
  'sysbox-node': {
    hits: {
      installing: { backend: 'sysbox', node: { labels: { 'sysbox-runtime': 'installing' } } },
      'no label': { backend: 'sysbox', node: { labels: {} } },
    },
    misses: { running: { backend: 'sysbox' }, 'another wall': {} },
    unknown: { 'the nodes were not read': { backend: 'sysbox', node: undefined } },
  },
  'sysbox-containerd': {
    hits: {
      '2.0.0': { backend: 'sysbox', node: { runtime: 'containerd://2.0.0' } },
      '2.0.4 of k3s': { backend: 'sysbox', node: { runtime: 'containerd://2.0.4-k3s2' } },
    },
    misses: {
      '2.0.5': { backend: 'sysbox', node: { runtime: 'containerd://2.0.5' } },
      '1.7': { backend: 'sysbox', node: { runtime: 'containerd://1.7.27' } },
      'CRI-O': { backend: 'sysbox', node: { runtime: 'cri-o://2.0.1' } },
      'another wall': { node: { runtime: 'containerd://2.0.0' } },
    },
    unknown: { 'a version that cannot be read': { backend: 'sysbox', node: { runtime: 'containerd://Unknown' } } },
  },
  'sysbox-shared-ids': {
    hits: { 'the annotation of CRI-O on containerd': CRIO },
    misses: { 'a user namespace': { backend: 'sysbox' }, 'CRI-O': { ...CRIO, node: { runtime: 'cri-o://1.31.2' } } },
    unknown: { 'no runtime': { ...CRIO, node: { runtime: undefined } } },
  },
  misplaced: {
    hits: {
      'a taint': { node: { taints: [{ key: 'pool', value: 'gpu', effect: 'NoSchedule' }] } },
      'a taint of another value': {
        node: { taints: [{ key: 'pool', value: 'gpu', effect: 'NoExecute' }] },
        pod: { tolerations: [{ key: 'pool', operator: 'Equal', value: 'cpu' }] },
      },
      'a taint of another key': {
        node: { taints: [{ key: 'pool', value: 'gpu', effect: 'NoSchedule' }] },
        pod: { tolerations: [{ key: 'other', value: 'gpu' }] },
      },
      'a taint of another effect': {
        node: { taints: [{ key: 'pool', value: '', effect: 'NoExecute' }] },
        pod: { tolerations: [{ key: 'pool', operator: 'Exists', effect: 'NoSchedule' }] },
      },
      'a label': { pod: { nodeSelector: { zone: 'a' } }, node: { labels: { zone: 'b' } } },
      'a label that is missing': { pod: { nodeSelector: { zone: 'a' } } },
    },
    misses: {
      'a taint that is tolerated': {
        node: { taints: [{ key: 'pool', value: 'gpu', effect: 'NoSchedule' }] },
        pod: { tolerations: [{ key: 'pool', value: 'gpu' }] },
      },
      'every taint is tolerated': {
        node: { taints: [{ key: 'pool', value: 'gpu', effect: 'NoExecute' }] },
        pod: { tolerations: [{ operator: 'Exists' }] },
      },
      'a preference': { node: { taints: [{ key: 'pool', value: '', effect: 'PreferNoSchedule' }] } },
      'the node was cordoned later': { node: { taints: [{ key: 'node.kubernetes.io/unschedulable', value: '', effect: 'NoSchedule' }] } },
      'the label': { pod: { nodeSelector: { zone: 'a' } }, node: { labels: { zone: 'a' } } },
    },
    unknown: { 'the nodes were not read': { node: undefined, pod: { nodeSelector: { zone: 'a' } } } },
  },
  'control-plane-node': {
    hits: { 'its label': { node: { labels: { 'node-role.kubernetes.io/control-plane': '' } } } },
    misses: { 'no such label': {} },
    unknown: { 'the nodes were not read': { node: undefined } },
  },
  'service-account': {
    hits: { 'an account of its own': { pod: { serviceAccount: 'builder' } } },
    misses: { 'the default': {}, 'no token': { pod: { serviceAccount: 'builder', hasToken: false } } },
    unknown: {},
  },
  'shared-claim': {
    hits: { 'a claim of another pod': { pod: { claims: ['home', 'cache'] }, sharers: { cache: 'builder-0' } } },
    misses: { 'a claim of its own': { pod: { claims: ['home'] }, sharers: { cache: 'builder-0' } } },
    unknown: {},
  },
  'outdated-grant': {
    hits: { 'a larger one': { pod: { applied: { profile: 'userns', grant: 'containers' } } } },
    misses: {
      'the same': {},
      'a smaller one': { pod: { applied: { profile: 'userns', grant: 'none' } } },
      'another profile': { pod: { applied: { profile: 'gvisor', grant: 'containers' } } },
    },
    unknown: { 'no annotation': { pod: { applied: undefined } } },
  },
};

const rows = (kind: keyof Cases) =>
  wallChecks.flatMap((check) =>
    Object.entries(CASES[check.id]?.[kind] ?? {}).map(([name, given]) => [check.id, name, check, given] as const),
  );

/** Whether a check says anything about the pod. */
const isHit = (check: (typeof wallChecks)[number], given: WallCase): boolean => Boolean(check.run(wallFacts(given)));

test.each(rows('hits'))('%s hits: %s', (id, _, check, given) => {
  expect(isHit(check, given)).toBe(true);
  if (check.severity === 'none') return;
  const said = check.run(wallFacts(given));
  expect(answerWall(wallFacts(given)).findings).toContainEqual({ check: id, severity: check.severity, ...said });
});

test.each(rows('misses'))('%s does not hit: %s', (_, __, check, given) => {
  expect(isHit(check, given)).toBe(false);
});

test.each(rows('unknown'))('%s concludes nothing, and the wall does not stand: %s', (_, __, check, given) => {
  expect(isHit(check, given)).toBe(false);
  if (check.answer !== undefined) expect(['claimed', 'down', 'missing']).toContain(answerWall(wallFacts(given)).state);
});

describe('the list of checks', () => {
  test('every check has a case that hits and one that does not, and no case is of an unknown check', () => {
    expect(Object.keys(CASES)).toEqual(wallChecks.map(({ id }) => id));
    for (const [id, { hits, misses }] of Object.entries(CASES)) {
      expect(Object.keys(hits).length, id).toBeGreaterThan(0);
      expect(Object.keys(misses).length, id).toBeGreaterThan(0);
    }
  });

  test('ids are unique, in kebab case, and none is the id of a rule', () => {
    const ids = wallChecks.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) {
      expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(ruleById.has(id), id).toBe(false);
    }
  });

  test('a check changes nothing of what it reads, and says the same twice', () => {
    for (const [, , check, given] of [...rows('hits'), ...rows('misses')]) {
      const facts = wallFacts(given);
      const before = structuredClone(facts);
      const said = check.run(facts);
      expect(check.run(facts)).toEqual(said);
      expect(structuredClone(facts)).toEqual(before);
    }
  });

  test('only errors say that a wall is missing, and no error says that it stands', () => {
    for (const { id, severity, answer } of wallChecks) {
      if (answer === 'missing') expect(severity, id).toBe('error');
      if (severity === 'error') expect(['missing', 'claimed'], id).toContain(answer);
    }
  });
});
