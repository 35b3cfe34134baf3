import { mappedVolumes } from '../../src/core/rules/mapped-volumes.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const nfs: Sketch = { volumes: [{ name: 'home', nfs: { server: 'nfs.example.com', path: '/home' } }] };
const csi = (driver: string | null): Sketch => ({ volumes: [{ name: 'home', csi: { driver } }] });
const claimed: Sketch = { volumes: [{ name: 'home', persistentVolumeClaim: { claimName: 'claim-alice' } }] };
const promises = ['spec.volumes[0].nfs'];
const ofDriver = ['spec.volumes[0].csi.driver'];
const ofClaim = ['spec.volumes[0].persistentVolumeClaim.claimName'];
const onStorage = (storage: string) => new Map([['claim-alice', storage]]);

testRule(mappedVolumes, {
  passes: {
    'no volume': {},
    'a disk of the node': { volumes: [{ name: 'cache', emptyDir: {} }] },
    'no source': { volumes: [{ name: 'nfs' }, { name: 'home', nfs: null }] },
    'a driver of secrets': csi('secrets-store.csi.k8s.io'),
    'a driver without a name': csi(null),
    'a claim of unknown storage': claimed,
    'a claim without a name': { volumes: [{ name: 'home', persistentVolumeClaim: {} }] },
    'a claim on block storage': { pod: claimed, claims: onStorage('ebs.csi.aws.com') },
    'a claim on a driver whose name only contains the letters': { pod: claimed, claims: onStorage('transfsmb.example.com') },
    'another claim': { pod: claimed, claims: new Map([['claim-bob', 'nfs']]) },
    'under kata': { profile: 'kata-qemu', pod: nfs },
    'under gvisor': { profile: 'gvisor', pod: claimed, claims: onStorage('nfs') },
  },
  fails: {
    'a volume of NFS': {
      says: ['volume "home" is on nfs, which cannot map the ids of a user namespace, so the pod will not start'],
      advises: ['use a claim on block storage or a local file system, or a profile of Kata or gVisor'],
      pod: nfs,
      promises,
      fixed: 'nothing',
    },
    'a volume of NFS that an exemption lets through': {
      exempt: { 'volume-types': ['nfs'] },
      pod: nfs,
      promises,
      fixed: 'nothing',
    },
    'a volume of SMB': {
      pod: { volumes: [{ name: 'home', azureFile: { shareName: 'home' } }] },
      promises: ['spec.volumes[0].azureFile'],
      fixed: 'nothing',
    },
    'under sysbox': { profile: 'sysbox', pod: nfs, promises, fixed: 'nothing' },
    'a driver of NFS that the operator lists': {
      options: { csiDrivers: ['nfs.csi.k8s.io'] },
      pod: csi('nfs.csi.k8s.io'),
      promises: ofDriver,
      fixed: 'nothing',
    },
    'a claim whose storage is known': {
      says: [
        'volume "home" (claim claim-alice) is on efs.csi.aws.com, which cannot map the ids of a user namespace, so the pod will not start',
      ],
      pod: claimed,
      claims: onStorage('efs.csi.aws.com'),
      promises: ofClaim,
      fixed: 'nothing',
    },
    ...Object.fromEntries(
      [
        'nfs',
        'smb.csi.k8s.io',
        'file.csi.azure.com',
        'filestore.csi.storage.gke.io',
        'rook-ceph.nfs.csi.ceph.com',
        'cluster.local/nfs-subdir-external-provisioner',
      ].map((storage) => [
        `a claim on ${storage}`,
        { pod: claimed, claims: onStorage(storage), promises: ofClaim, fixed: 'nothing' as const },
      ]),
    ),
    'the second of two': {
      pod: { volumes: [{ name: 'cache', emptyDir: {} }, ...(nfs.volumes as readonly object[])] },
      promises: ['spec.volumes[1].nfs'],
      fixed: 'nothing',
    },
  },
});
