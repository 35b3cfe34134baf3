import { expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { volumeTypes } from '../../src/core/rules/volume-types.ts';
import { type Failing, inputOf, type Sketch, testRule } from '../support/test-rule.ts';

const SAFE = ['configMap', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'projected', 'secret'];
const REFUSED = [
  'awsElasticBlockStore',
  'azureDisk',
  'azureFile',
  'cephfs',
  'cinder',
  'fc',
  'flexVolume',
  'flocker',
  'gcePersistentDisk',
  'gitRepo',
  'glusterfs',
  'iscsi',
  'nfs',
  'photonPersistentDisk',
  'portworxVolume',
  'quobyte',
  'rbd',
  'scaleIO',
  'storageos',
  'vsphereVolume',
];
const volume = (source: Sketch) => ({ volumes: [{ name: 'data', ...source }] });
const host = (path: string) => ({ volumes: [{ name: 'data', hostPath: { path } }] });
const finds = ['spec.volumes[0].hostPath'];
const csi = (driver?: string) => volume({ csi: driver === undefined ? {} : { driver, volumeAttributes: { server: 'files' } } });
/** Drivers that bring secrets or identities. */
const SECRET_DRIVERS = ['secrets-store.csi.k8s.io', 'csi.cert-manager.io', 'spiffe.csi.cert-manager.io', 'csi.spiffe.io'];
const csiFinds = ['spec.volumes[0].csi'];

testRule(volumeTypes, {
  passes: {
    none: {},
    ...Object.fromEntries(SAFE.map((kind) => [kind, volume({ [kind]: {} })])),
    'a kind that is null': volume({ emptyDir: {}, hostPath: null }),
    'an exempt kind': { exempt: { 'volume-types': ['nfs'] }, pod: volume({ nfs: { server: 'files', path: '/' } }) },
    ...Object.fromEntries(SECRET_DRIVERS.map((driver) => [`the driver ${driver}`, csi(driver)])),
    'a driver of the profile': { options: { csiDrivers: ['nfs.csi.k8s.io'] }, pod: csi('nfs.csi.k8s.io') },
    'an exempt driver': { exempt: { 'volume-types': ['csi:nfs.csi.k8s.io'] }, pod: csi('nfs.csi.k8s.io') },
    'a claim, whose driver the operator chose': volume({ ephemeral: { volumeClaimTemplate: { spec: { storageClassName: 'nfs' } } } }),
    'an exempt path of the node': { exempt: { 'volume-types': ['hostPath:/dev/fuse'] }, pod: host('/dev/fuse') },
  },
  fails: {
    ...Object.fromEntries(
      REFUSED.map((kind): [string, Failing] => [
        kind,
        { pod: volume({ [kind]: {} }), finds: [`spec.volumes[0].${kind}`], fixed: 'nothing' },
      ]),
    ),
    ...Object.fromEntries(
      ['userns', 'sysbox', 'kata-qemu', 'kata-fc', 'gvisor'].map((profile): [string, Failing] => [
        `files of the node, under ${profile}`,
        { profile, grant: 'containers', pod: host('/'), finds, fixed: 'nothing' },
      ]),
    ),
    'a driver that mounts what the pod names': {
      says: ['volume "data" is mounted by the CSI driver nfs.csi.k8s.io'],
      pod: csi('nfs.csi.k8s.io'),
      finds: csiFinds,
      fixed: 'nothing',
    },
    'a driver under kata, whose node mounts it too': {
      profile: 'kata-qemu',
      pod: csi('smb.csi.k8s.io'),
      finds: csiFinds,
      fixed: 'nothing',
    },
    'a default driver that the profile does not list': {
      options: { csiDrivers: [] },
      pod: csi('secrets-store.csi.k8s.io'),
      finds: csiFinds,
      fixed: 'nothing',
    },
    'a driver in another case of letters, and one below': {
      pod: { volumes: [...csi('CSI.spiffe.io').volumes, ...csi('x.csi.spiffe.io').volumes] },
      finds: [...csiFinds, 'spec.volumes[1].csi'],
      fixed: 'nothing',
    },
    'a driver without a name': {
      says: ['volume "data" is mounted by the CSI driver without a name'],
      pod: csi(),
      finds: csiFinds,
      fixed: 'nothing',
    },
    'all drivers cannot be exempt at once': {
      exempt: { 'volume-types': ['csi'] },
      pod: csi('nfs.csi.k8s.io'),
      finds: csiFinds,
      fixed: 'nothing',
    },
    'a csi volume that was there, and an added container mounts: once for the pod': {
      old: csi('nfs.csi.k8s.io'),
      pod: { ...csi('nfs.csi.k8s.io'), ephemeralContainers: [{ name: 'debug', volumeMounts: [{ name: 'data', mountPath: '/data' }] }] },
      finds: ['spec.volumes[0].csi'],
      fixed: 'nothing',
    },
    'an unknown kind': {
      says: ['volume "data" is of kind teleport'],
      pod: volume({ teleport: {} }),
      finds: ['spec.volumes[0].teleport'],
      fixed: 'nothing',
    },
    'a kind in another case of letters': {
      pod: volume({ HostPath: { path: '/' } }),
      finds: ['spec.volumes[0].HostPath'],
      fixed: 'nothing',
    },
    'one behind a harmless one': {
      says: ['volume "data" is the node\'s /etc'],
      pod: volume({ emptyDir: {}, hostPath: { path: '/etc' } }),
      finds,
      fixed: 'nothing',
    },
    'a path below an exempt one': { exempt: { 'volume-types': ['hostPath:/dev'] }, pod: host('/dev/sda'), finds, fixed: 'nothing' },
    'another spelling of an exempt path': {
      exempt: { 'volume-types': ['hostPath:/dev/fuse'] },
      pod: host('/dev/fuse/../sda'),
      finds,
      fixed: 'nothing',
    },
    'a kind cannot be exempt for all paths at once': {
      exempt: { 'volume-types': ['hostPath'] },
      pod: host('/dev/fuse'),
      finds,
      fixed: 'nothing',
    },
    'one that its containers mount is reported once': {
      pod: { ...host('/'), containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/host' }] }] },
      finds,
      fixed: 'nothing',
    },
    'one that was there, and an added container mounts: once for the pod': {
      old: host('/'),
      pod: {
        volumes: [{ name: 'home', emptyDir: {} }, ...host('/').volumes],
        ephemeralContainers: [{ name: 'debug', volumeMounts: ['home', 'data'].map((name) => ({ name, mountPath: `/${name}` })) }],
      },
      says: ['volume "data" is the node\'s /'],
      finds: ['spec.volumes[1].hostPath'],
      fixed: 'nothing',
    },
    'a path of the node that is not said': { pod: volume({ hostPath: {} }), finds, fixed: 'nothing' },
  },
});

test('T22: volumes are looked through once, however many containers mount them', () => {
  let looks = 0;
  const volumes = new Proxy([{ name: 'data', hostPath: { path: '/' } }], {
    get(target, key, receiver) {
      if (key === '0') looks += 1;
      return Reflect.get(target, key, receiver);
    },
  });
  const late = Array.from({ length: 100 }, (_, index) => ({
    name: `debug-${index}`,
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  }));
  const input = inputOf({ ephemeralContainers: late });
  const pod = { ...input.subject.pod, spec: { ...input.subject.pod.spec, volumes } };
  const found = judge({ ...input, subject: { ...input.subject, pod } }).findings.filter(({ rule }) => rule === 'volume-types');
  expect(found).toHaveLength(1);
  expect(looks).toBeLessThan(20);
});
