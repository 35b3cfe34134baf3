import { describe, expect, test } from 'vitest';
import { claimOf, governedPodOf, namespaceOf } from '../../src/doctor-facts/objects.ts';
import { contextWith } from '../support/doctor-facts.ts';

test('the time of a label is that of the last writer that owns it', () => {
  const written = (manager: string, time: string, labels: readonly string[]) => ({
    manager,
    time,
    fieldsV1: { 'f:metadata': { 'f:labels': Object.fromEntries(labels.map((label) => [`f:${label}`, {}])) } },
  });
  const managedFields = [
    written('kubectl', '2026-01-01T00:00:00Z', ['cloister.dev/enforce']),
    written('helm', '2026-02-01T00:00:00Z', ['team']),
    written('admin', '2026-03-01T00:00:00Z', ['cloister.dev/enforce']),
  ];
  expect(namespaceOf({ metadata: { name: 'a', managedFields } }).enforcedSince).toEqual(new Date('2026-03-01'));
  expect(namespaceOf({ metadata: { name: 'a' } })).toEqual({
    name: 'a',
    labels: {},
    annotations: {},
    isTerminating: false,
    enforcedSince: undefined,
  });
});

test('native sidecars are containers, and other init containers are not', () => {
  const pod = {
    metadata: { name: 'p', namespace: 'n' },
    spec: {
      initContainers: [{ name: 'clone' }, { name: 'dind', restartPolicy: 'Always' }],
      containers: [{ name: 'main' }],
      volumes: [{ persistentVolumeClaim: { claimName: 'home' } }, {}],
    },
  };
  expect(governedPodOf(pod, [])).toMatchObject({
    containers: ['dind', 'main'],
    claims: ['home'],
    serviceAccount: 'default',
    applied: undefined,
  });
});

describe('the storage of a claim', () => {
  test('is unknown while the claim is not bound', () => {
    expect(claimOf({ metadata: { name: 'c', namespace: 'n' }, spec: {} }, new Map([['pv', 'nfs']])).storage).toBeUndefined();
    expect(claimOf({ metadata: { name: 'c', namespace: 'n' }, spec: { volumeName: 'pv' } }, new Map([['pv', 'nfs']])).storage).toBe('nfs');
  });
});

describe('an init container that sets up a firewall', () => {
  const initsOf = (init: object): readonly string[] =>
    governedPodOf({ metadata: { name: 'p' }, spec: { initContainers: [init], containers: [] } } as never, []).powerlessInits;

  test.each([
    [{ name: 'block-cloud-metadata' }],
    [{ name: 'fw', command: ['sh', '-c', 'iptables -A OUTPUT -d 169.254.169.254 -j DROP'] }],
    [{ name: 'fw', args: ['nft', '-f', '/rules'] }],
    [{ name: 'istio-init', securityContext: { capabilities: { add: ['NET_RAW'] } } }],
  ])('has no capability for it: %j', (init) => {
    expect(initsOf(init)).toEqual([init.name]);
  });

  test.each([
    [{ name: 'clone', command: ['git', 'clone'] }],
    [{ name: 'block-cloud-metadata', securityContext: { privileged: true } }],
    [{ name: 'istio-init', securityContext: { capabilities: { add: ['CAP_NET_ADMIN'] } } }],
    [{ name: 'istio-init', securityContext: { capabilities: { add: ['ALL'] } } }],
    [{ name: 'istio-init', restartPolicy: 'Always' }],
  ])('is none, has the capability, or is a sidecar: %j', (init) => {
    expect(initsOf(init)).toEqual([]);
  });
});

test('the walls of a pod are those of the configured profiles that its spec has', () => {
  const profiles = contextWith('profiles: {userns: {}, kata-qemu: {}, gvisor: {}}').profiles.values().toArray();
  const wallsOf = (spec: object): readonly string[] => governedPodOf({ metadata: { name: 'p' }, spec } as never, profiles).walls;
  expect(wallsOf({ containers: [], hostUsers: false })).toEqual(['userns']);
  expect(wallsOf({ containers: [], runtimeClassName: 'kata-qemu' })).toEqual(['kata-qemu']);
  expect(wallsOf({ containers: [] })).toEqual([]);
});

test('of a pod that cannot be decoded, nothing is known', () => {
  const pod = {
    metadata: { name: 'p', namespace: 'n', annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } },
    spec: { hostUsers: 'no' },
  };
  expect(governedPodOf(pod as never, contextWith().profiles.values())).toMatchObject({
    name: 'p',
    walls: [],
    applied: undefined,
    containers: [],
  });
});
