import { expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { remedyOf } from '../../src/core/remedy.ts';
import { volumeTypes } from '../../src/core/rules/volume-types.ts';
import { type Failing, inputOf, LONGEST_MESSAGE, type Sketch, testRule } from '../support/test-rule.ts';

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
const GENERAL = 'use an emptyDir, a persistentVolumeClaim, a configMap or another kind that does not reach the node';
const ENGINE = "run an engine in the pod (every caller of the node's engine is root on the node)";
const DEVICE = 'ask for the resource of a device plugin, which the operator lists in the devices of the profile';
const OWN = 'remove it and its mounts: each container has a /proc and a /sys of its own';
const MODULES = 'remove it and its mounts: the pod loads no modules into the kernel of the node';
const ZONE = 'remove it and its mounts, and set the variable TZ';
const SERVICE = 'use the network, or a csi volume of a driver that the operator lists in csiDrivers';
/** What to do instead of mounting a path of the node. */
const ADVICE: Readonly<Record<string, string>> = {
  '/var/run/docker.sock': ENGINE,
  '/run/containerd/containerd.sock': ENGINE,
  '/run/k3s/containerd/containerd.sock': ENGINE,
  '/var/run/crio': ENGINE,
  '/home/dev/docker.sock': ENGINE,
  '/dev/shm': 'use an emptyDir of medium Memory',
  '/dev/shm/': 'use an emptyDir of medium Memory',
  '/dev/net/tun': DEVICE,
  '/dev/fuse': DEVICE,
  '/dev': GENERAL,
  '/sys/fs/cgroup': OWN,
  '/proc': OWN,
  '/system': GENERAL,
  '/lib/modules': MODULES,
  '/usr/lib/modules/6.1': MODULES,
  '/usr/src': MODULES,
  '/etc/localtime': ZONE,
  '/usr/share/zoneinfo/Europe/Berlin': ZONE,
  '/etc/hosts': GENERAL,
  '/var/run/datadog': SERVICE,
  '/run/spire/sockets': SERVICE,
  '/var/run': GENERAL,
  '/': GENERAL,
};
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
    ...Object.fromEntries(
      Object.entries(ADVICE).map(([path, remedy]): [string, Failing] => [
        `${path}, with what to do instead`,
        {
          pod: host(path),
          finds,
          advises: [`${remedy}, or ask the operator for an exemption (volume-types: ["hostPath:${path}"])`],
          fixed: 'nothing',
        },
      ]),
    ),
    'a kind that has a path but is not of the node': {
      pod: volume({ nfs: { server: 'files', path: '/dev/shm' } }),
      finds: ['spec.volumes[0].nfs'],
      advises: [`${GENERAL}, or ask the operator for an exemption (volume-types: [nfs])`],
      fixed: 'nothing',
    },
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

test('what to do instead leaves room for the exemption, within the length of a message', () => {
  for (const [path, remedy] of Object.entries(ADVICE)) {
    const whole = remedyOf({ rule: 'volume-types', remedy, exemption: `hostPath:${path}` });
    expect(whole.length, whole).toBeLessThanOrEqual(LONGEST_MESSAGE);
  }
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
