import { describe, expect, test } from 'vitest';
import { claimOf, governedPodOf, namespaceOf, storageOf } from '../../src/doctor-facts/objects.ts';

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
  expect(governedPodOf(pod)).toMatchObject({
    containers: ['dind', 'main'],
    claims: ['home'],
    serviceAccount: 'default',
    applied: undefined,
  });
});

describe('the storage of a claim', () => {
  test.each([
    [{ nfs: {} }, 'nfs'],
    [{ csi: { driver: 'efs.csi.aws.com' } }, 'efs.csi.aws.com'],
    [{ hostPath: { path: '/' } }, 'hostPath'],
    [{ awsElasticBlockStore: {} }, undefined],
  ])('of %j is %s', (spec, storage) => {
    expect(storageOf({ metadata: { name: 'pv' }, spec })).toBe(storage);
  });

  test('is unknown while the claim is not bound', () => {
    expect(claimOf({ metadata: { name: 'c', namespace: 'n' }, spec: {} }, new Map([['pv', 'nfs']])).storage).toBeUndefined();
    expect(claimOf({ metadata: { name: 'c', namespace: 'n' }, spec: { volumeName: 'pv' } }, new Map([['pv', 'nfs']])).storage).toBe('nfs');
  });
});
