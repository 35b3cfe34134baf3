import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { readText } from '../../src/manifests/read.ts';
import { storageByClaim, storageOf } from '../../src/manifests/storage.ts';
import { cloister } from '../support/run.ts';

const PROVISIONER = 'volume.kubernetes.io/storage-provisioner';
const claim = (name: string, spec: object, annotations: object = {}, namespace?: string): object => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, annotations, ...(namespace === undefined ? {} : { namespace }) },
  spec,
});
const volume = (name: string, spec: object): object => ({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec });
const storageClass = (name: string, provisioner: string): object => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name },
  provisioner,
});

const textOf = (objects: readonly object[]): string => objects.map((each) => stringify(each)).join('---\n');

function storageIn(objects: readonly object[]): Record<string, Record<string, string>> {
  const content = readText('storage.yaml', textOf(objects));
  if (!('source' in content)) throw new Error(JSON.stringify(content));
  const found = content.source.documents.flatMap((document) => document.storage);
  return Object.fromEntries([...storageByClaim(found, 'default')].map(([namespace, claims]) => [namespace, Object.fromEntries(claims)]));
}

test.each([
  [{ nfs: {} }, 'nfs'],
  [{ csi: { driver: 'efs.csi.aws.com' } }, 'efs.csi.aws.com'],
  [{ hostPath: { path: '/' } }, 'hostPath'],
  [{ awsElasticBlockStore: {} }, undefined],
])('the storage of a volume %j is %s', (spec, storage) => {
  expect(storageOf(spec)).toBe(storage);
});

describe('the storage of a claim', () => {
  test.each<[string, readonly object[], string | undefined]>([
    ['its volume', [claim('home', { volumeName: 'pv' }), volume('pv', { nfs: { server: 'x', path: '/' } })], 'nfs'],
    [
      'the driver of its volume',
      [volume('pv', { csi: { driver: 'efs.csi.aws.com' } }), claim('home', { volumeName: 'pv' })],
      'efs.csi.aws.com',
    ],
    ['the provisioner that made its volume', [claim('home', { volumeName: 'pv' }, { [PROVISIONER]: 'nfs.csi.k8s.io' })], 'nfs.csi.k8s.io'],
    [
      'the older annotation',
      [claim('home', {}, { [PROVISIONER.replace('volume.', 'volume.beta.')]: 'example.com/nfs' })],
      'example.com/nfs',
    ],
    ['its class', [claim('home', { storageClassName: 'shared' }), storageClass('shared', 'smb.csi.k8s.io')], 'smb.csi.k8s.io'],
    [
      'its volume before its class',
      [
        claim('home', { volumeName: 'pv', storageClassName: 'shared' }),
        volume('pv', { local: {} }),
        storageClass('shared', 'example.com/nfs'),
      ],
      'local',
    ],
    [
      'nothing that the input lacks',
      [claim('home', { volumeName: 'pv', storageClassName: 'shared' }), volume('other', { nfs: {} })],
      undefined,
    ],
    ['nothing of a volume of another kind', [claim('home', { volumeName: 'pv' }), volume('pv', { iscsi: {} })], undefined],
    ['nothing of a claim without a spec', [claim('home', { volumeName: 7 }), volume('pv', { csi: { driver: 7 } })], undefined],
  ])('is %s', (_, objects, storage) => {
    expect(storageIn(objects)).toEqual(storage === undefined ? {} : { default: { home: storage } });
  });

  test('belongs to the namespace of the claim', () => {
    const pv = volume('pv', { nfs: {} });
    const claims = [claim('home', { volumeName: 'pv' }, {}, 'alice'), claim('home', {}, {}, 'bob'), claim('data', { volumeName: 'pv' })];
    expect(storageIn([...claims, pv])).toEqual({ alice: { home: 'nfs' }, default: { data: 'nfs' } });
  });
});

describe('`cloister check`', () => {
  const pod = (namespace: string): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'jupyter-alice', namespace },
    spec: {
      containers: [{ name: 'notebook', image: 'x', volumeMounts: [{ name: 'home', mountPath: '/home/jovyan' }] }],
      volumes: [{ name: 'home', persistentVolumeClaim: { claimName: 'claim-alice' } }],
    },
  });
  const objects = [pod('hub'), pod('elsewhere'), claim('claim-alice', { volumeName: 'pv' }, {}, 'hub'), volume('pv', { nfs: {} })];
  const found = 'mapped-volumes  spec.volumes[0].persistentVolumeClaim.claimName: volume "home" (claim claim-alice) is on nfs, ';

  test('names a claim on NFS, in its namespace, under a profile with a user namespace', async () => {
    const { code, stdout } = await cloister(['check', '-', '--profile', 'userns'], textOf(objects));
    expect([code, stdout.split(found).length]).toEqual([0, 2]);
    expect(stdout.indexOf(found)).toBeLessThan(stdout.lastIndexOf('Pod jupyter-alice'));
  });

  test('names it in the output of `kubectl get`, which is a list', async () => {
    const { stdout } = await cloister(['check', '-', '--profile', 'sysbox'], stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    expect(stdout).toContain(found);
  });

  test.each(['kata-qemu', 'gvisor'])('does not name it under %s', async (profile) => {
    const { stdout } = await cloister(['check', '-', '--profile', profile], textOf(objects));
    expect(stdout).not.toContain('mapped-volumes');
  });
});
