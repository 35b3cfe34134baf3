import { expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import type { ProfileOptions } from '../../src/core/profiles/profile.ts';
import { imageStorage } from '../../src/core/rules/image-storage.ts';
import { type Failing, inputOf, type Sketch, testRule } from '../support/test-rule.ts';

const ROOT = '/var/lib/containers';
const main = (...mountPaths: string[]): Sketch => ({
  containers: [{ name: 'main', volumeMounts: mountPaths.map((mountPath) => ({ name: 'data', mountPath })) }],
});
const MOUNTS = 'spec.containers[0].volumeMounts';
const TOOLS = 'spec.containers[1].volumeMounts';
const mounted = (number: number, mountPath: string): Sketch => ({ name: `cloister-storage-${number}`, mountPath });
const emptied = (number: number, emptyDir: Sketch = {}): Sketch => ({ name: `cloister-storage-${number}`, emptyDir });
const token = { name: 'kube-api-access-x7k2p', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } };

testRule(imageStorage, {
  grant: 'containers',
  passes: {
    'a volume there': main(ROOT),
    'a volume there, with a slash behind it': main(`${ROOT}/`),
    'a volume above it': main('/var/lib'),
    'a device there, where the API server takes no mount': {
      containers: [{ name: 'main', volumeDevices: [{ name: 'disk', devicePath: ROOT }] }],
    },
    'a volume at the root of all': main('/'),
    'a read-only volume above the folder of another engine, which may not be in use': {
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'settings', configMap: {} },
      ],
      containers: [
        {
          name: 'main',
          volumeMounts: [
            { name: 'data', mountPath: ROOT },
            { name: 'settings', mountPath: '/var/lib' },
          ],
        },
      ],
    },
    'a token that is taken away, in the folder of another engine': {
      options: { serviceAccountToken: 'remove' },
      pod: {
        volumes: [token, { name: 'data', emptyDir: {} }],
        containers: [
          {
            name: 'main',
            volumeMounts: [
              { name: token.name, mountPath: '/var/lib/docker' },
              { name: 'data', mountPath: ROOT },
            ],
          },
        ],
      },
    },
    'a volume with a null source of a kind that cannot be written to': {
      volumes: [{ name: 'data', emptyDir: {}, configMap: null }],
      ...main(ROOT),
    },
    'an inline CSI volume that can be written to': { volumes: [{ name: 'data', csi: { driver: 'x.y', readOnly: false } }], ...main(ROOT) },
    'no workspace, no storage': { initContainers: [{ name: 'set-up' }] },
    'sudo needs none': { grant: 'sudo', pod: { containers: [{ name: 'main' }] } },
    'a container that restricts itself': { containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }] },
    'a pod that came before its wall': { old: {}, pod: { containers: [{ name: 'main' }] } },
    'a volume anywhere, where the operator lists no place': {
      options: { storage: [] },
      pod: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'home' } }], ...main('/home/dev') },
    },
    'no place listed, and another grant': { grant: 'sudo', options: { storage: [] }, pod: { containers: [{ name: 'main' }] } },
  },
  fails: {
    'nothing mounted': {
      pod: { containers: [{ name: 'main' }] },
      promises: [MOUNTS],
      fixed: { volumes: [emptied(0)], containers: [{ name: 'main', volumeMounts: [mounted(0, ROOT)] }] },
    },
    'a device elsewhere': {
      pod: { containers: [{ name: 'main', volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }] }] },
      promises: [MOUNTS],
      fixed: {
        volumes: [emptied(0)],
        containers: [{ name: 'main', volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }], volumeMounts: [mounted(0, ROOT)] }],
      },
    },
    // The API server mounts it where Kubernetes looks for it; a pod's author may reuse its volume anywhere.
    'only a token that is taken away': {
      options: { serviceAccountToken: 'remove' },
      pod: { volumes: [token], containers: [{ name: 'main', volumeMounts: [{ name: token.name, mountPath: '/' }] }] },
      promises: [MOUNTS],
      fixed: {
        volumes: [token, emptied(0)],
        containers: [{ name: 'main', volumeMounts: [{ name: token.name, mountPath: '/' }, mounted(0, ROOT)] }],
      },
    },
    'null lists': {
      pod: { volumes: null, containers: [{ name: 'main', volumeMounts: null }] },
      promises: [MOUNTS],
      fixed: { volumes: [emptied(0)], containers: [{ name: 'main', volumeMounts: [mounted(0, ROOT)] }] },
    },
    'something mounted beside and below it': {
      pod: main(`${ROOT}-old`, `${ROOT}/storage`, '/var/lib/cont'),
      promises: [MOUNTS],
      fixed: {
        volumes: [emptied(0)],
        containers: [
          {
            name: 'main',
            volumeMounts: [
              { name: 'data', mountPath: `${ROOT}-old` },
              { name: 'data', mountPath: `${ROOT}/storage` },
              { name: 'data', mountPath: '/var/lib/cont' },
              mounted(0, ROOT),
            ],
          },
        ],
      },
    },
    'two workspaces have one each': {
      pod: { containers: [{ name: 'main' }, { name: 'tools' }] },
      promises: [MOUNTS, 'spec.containers[1].volumeMounts'],
      fixed: {
        volumes: [emptied(0), emptied(1)],
        containers: [
          { name: 'main', volumeMounts: [mounted(0, ROOT)] },
          { name: 'tools', volumeMounts: [mounted(1, ROOT)] },
        ],
      },
    },
    'only the container that grantTo names': {
      options: { grantTo: [makeNamePattern('tools')] },
      pod: { containers: [{ name: 'main' }, { name: 'tools' }] },
      promises: ['spec.containers[1].volumeMounts'],
      fixed: { volumes: [emptied(0)], containers: [{ name: 'main' }, { name: 'tools', volumeMounts: [mounted(0, ROOT)] }] },
    },
    'a name that is taken': {
      pod: { volumes: [{ name: 'cloister-storage-0', emptyDir: {} }], containers: [{ name: 'main' }] },
      promises: [MOUNTS],
      fixed: {
        volumes: [{ name: 'cloister-storage-0', emptyDir: {} }, emptied(1)],
        containers: [{ name: 'main', volumeMounts: [mounted(1, ROOT)] }],
      },
    },
    'where the operator says': {
      options: { storage: ['/home/dev/.local/share/containers'] },
      pod: main(ROOT),
      promises: [MOUNTS],
      fixed: {
        volumes: [emptied(0)],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: ROOT }, mounted(0, '/home/dev/.local/share/containers')] }],
      },
    },
    'a mount that is read-only, in the place and above it': {
      options: { storage: [ROOT, '/home/dev/images'] },
      pod: {
        volumes: [{ name: 'data', emptyDir: {} }],
        containers: [
          {
            name: 'main',
            volumeMounts: [
              { name: 'data', mountPath: ROOT, readOnly: true },
              { name: 'data', mountPath: '/home', readOnly: true },
            ],
          },
        ],
      },
      says: [
        `the volume at ${ROOT} is read-only, so it cannot hold images of nested containers`,
        'the volume at /home/dev/images is read-only, so it cannot hold images of nested containers',
      ],
      promises: [`${MOUNTS}[0].mountPath`, `${MOUNTS}[1].mountPath`],
      fixed: 'nothing',
    },
    'a claim that is read-only, where the nearest mount counts': {
      pod: {
        volumes: [
          { name: 'data', persistentVolumeClaim: { claimName: 'a', readOnly: true } },
          { name: 'all', emptyDir: {} },
        ],
        containers: [
          {
            name: 'main',
            volumeMounts: [
              { name: 'all', mountPath: '/var' },
              { name: 'data', mountPath: `${ROOT}/` },
            ],
          },
        ],
      },
      promises: [`${MOUNTS}[1].mountPath`],
      fixed: 'nothing',
    },
    'a claim that is read-only, and a volume above it that is mounted after it': {
      pod: {
        volumes: [
          { name: 'data', persistentVolumeClaim: { claimName: 'a', readOnly: true } },
          { name: 'all', emptyDir: {} },
        ],
        containers: [
          {
            name: 'main',
            volumeMounts: [
              { name: 'data', mountPath: ROOT },
              { name: 'all', mountPath: '/var' },
            ],
          },
        ],
      },
      promises: [`${MOUNTS}[0].mountPath`],
      fixed: 'nothing',
    },
    'an inline CSI volume that is read-only': {
      pod: { volumes: [{ name: 'data', csi: { driver: 'x.y', readOnly: true } }], ...main(ROOT) },
      promises: [`${MOUNTS}[0].mountPath`],
      fixed: 'nothing',
    },
    ...Object.fromEntries(
      ['configMap', 'downwardAPI', 'image', 'projected', 'secret'].map((kind) => [
        `a volume in the place that cannot be written to: ${kind}`,
        {
          pod: { volumes: [{ name: 'data', [kind]: {} }], ...main(ROOT) },
          promises: [`${MOUNTS}[0].mountPath`],
          fixed: 'nothing',
        },
      ]),
    ),
    "a volume that cannot be written to, in the folder of another engine than the operator's": {
      pod: {
        volumes: [{ name: 'data', configMap: {} }],
        ...main('/var/lib/docker/', '/var/lib/dockerless'),
      },
      promises: [MOUNTS, `${MOUNTS}[0].mountPath`],
      fixed: {
        volumes: [{ name: 'data', configMap: {} }, emptied(0)],
        containers: [
          {
            name: 'main',
            volumeMounts: [
              { name: 'data', mountPath: '/var/lib/docker/' },
              { name: 'data', mountPath: '/var/lib/dockerless' },
              mounted(0, ROOT),
            ],
          },
        ],
      },
      leaves: [`${MOUNTS}[0].mountPath`],
    },
    'a token there, which stays, and cannot be written to': {
      pod: { volumes: [token], containers: [{ name: 'main', volumeMounts: [{ name: token.name, mountPath: '/' }] }] },
      promises: [`${MOUNTS}[0].mountPath`],
      fixed: 'nothing',
    },
    'no place listed, and a mount that is read-only': {
      options: { storage: [] },
      pod: {
        volumes: [{ name: 'data', emptyDir: {} }],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/data', readOnly: true }] }],
      },
      promises: [MOUNTS],
      fixed: 'nothing',
    },
    'no place listed, and no volume': {
      options: { storage: [] },
      pod: { volumes: [{ name: 'other', emptyDir: {} }], containers: [{ name: 'main' }] },
      promises: [MOUNTS],
      says: ['the container has no mount that could hold the images of nested containers'],
      fixed: 'nothing',
    },
    ...Object.fromEntries(
      ['configMap', 'downwardAPI', 'image', 'projected', 'secret'].map((kind) => [
        `no place listed, and a volume that cannot be written to: ${kind}`,
        {
          options: { storage: [] },
          pod: { volumes: [{ name: 'data', [kind]: {} }], ...main('/data') },
          promises: [MOUNTS],
          fixed: 'nothing',
        },
      ]),
    ),
    'under sysbox where Docker and where podman keeps its own, so that it counts against the pod': {
      profile: 'sysbox',
      pod: { containers: [{ name: 'main' }] },
      promises: [MOUNTS, MOUNTS],
      fixed: {
        volumes: [emptied(0), emptied(1)],
        containers: [{ name: 'main', volumeMounts: [mounted(0, '/var/lib/docker'), mounted(1, ROOT)] }],
      },
    },
    'under sysbox beside the volume that the author brings': {
      profile: 'sysbox',
      pod: { volumes: [{ name: 'data', emptyDir: {} }], ...main('/var/lib/docker') },
      promises: [MOUNTS],
      fixed: {
        volumes: [{ name: 'data', emptyDir: {} }, emptied(0)],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/var/lib/docker' }, mounted(0, ROOT)] }],
      },
    },
  },
});

const kata = { profile: 'kata-qemu', grant: 'containers', options: { storage: [ROOT] } } as const;
const ofMemory = (number: number, sizeLimit: string): Sketch => emptied(number, { medium: 'Memory', sizeLimit });
const limitedTo = (memory: unknown): Sketch => ({ name: 'main', resources: { limits: { memory } } });

/** One container, and the size of its one volume. */
function sized(container: Sketch, sizeLimit: string, ofPod: Sketch = {}): Failing {
  return {
    pod: { ...ofPod, containers: [container] },
    promises: [MOUNTS],
    fixed: { ...ofPod, volumes: [ofMemory(0, sizeLimit)], containers: [{ ...container, volumeMounts: [mounted(0, ROOT)] }] },
  };
}

testRule(imageStorage, {
  ...kata,
  passes: {
    'a volume of memory of the author, of whatever size': {
      volumes: [{ name: 'data', emptyDir: { medium: 'Memory' } }],
      ...main(ROOT),
    },
    'a volume on disk, where the handler makes block devices of emptyDirs': {
      options: { ...kata.options, storageMedium: 'disk' },
      pod: { volumes: [{ name: 'data', emptyDir: {} }], ...main(ROOT) },
    },
  },
  fails: {
    'virtio-fs carries no overlay: a volume of memory, half of what a guest has by itself': sized({ name: 'main' }, '1Gi'),
    'half of the memory limit': sized(limitedTo('4Gi'), '2Gi'),
    'half of a limit in powers of ten, in whole mebibytes': sized(limitedTo('5G'), '2384Mi'),
    'half of a limit with an exponent': sized(limitedTo('2e9'), '953Mi'),
    'half of a limit with a fraction': sized(limitedTo('1.5Gi'), '768Mi'),
    'half of a limit that is a bare number': sized(limitedTo(2_147_483_648), '1Gi'),
    'at least 256 MiB': sized(limitedTo('500M'), '256Mi'),
    'a limit that is no quantity is none': sized(limitedTo('much'), '1Gi'),
    'a limit of nothing is none': sized(limitedTo('0'), '1Gi'),
    'a limit beyond all quantities is none': sized(limitedTo('1e300'), '1Gi'),
    'a limit that is an object is none': sized(limitedTo({ Gi: 1 }), '1Gi'),
    'limits of other things are none': sized({ name: 'main', resources: { limits: { cpu: '2' }, requests: { memory: '8Gi' } } }, '1Gi'),
    "the pod's limit where the container has none": sized({ name: 'main' }, '3Gi', { resources: { limits: { memory: '6Gi' } } }),
    "the container's limit before the pod's": sized(limitedTo('4Gi'), '2Gi', { resources: { limits: { memory: '6Gi' } } }),
    'each of several volumes, and each container by its own limit': {
      options: { storage: [ROOT, '/var/tmp'] },
      pod: { containers: [limitedTo('4Gi'), { ...limitedTo('1Gi'), name: 'tools' }] },
      promises: [MOUNTS, MOUNTS, TOOLS, TOOLS],
      fixed: {
        volumes: [ofMemory(0, '2Gi'), ofMemory(1, '2Gi'), ofMemory(2, '512Mi'), ofMemory(3, '512Mi')],
        containers: [
          { ...limitedTo('4Gi'), volumeMounts: [mounted(0, ROOT), mounted(1, '/var/tmp')] },
          { ...limitedTo('1Gi'), name: 'tools', volumeMounts: [mounted(2, ROOT), mounted(3, '/var/tmp')] },
        ],
      },
    },
    "the author's volume stays as it is, and only what is missing is added": {
      options: { storage: [ROOT, '/var/tmp'] },
      pod: { volumes: [{ name: 'data', emptyDir: { medium: 'Memory' } }], ...main(ROOT) },
      promises: [MOUNTS],
      fixed: {
        volumes: [{ name: 'data', emptyDir: { medium: 'Memory' } }, ofMemory(0, '1Gi')],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: ROOT }, mounted(0, '/var/tmp')] }],
      },
    },
    ...Object.fromEntries(
      [{ emptyDir: {} }, { persistentVolumeClaim: { claimName: 'a' } }].map((source): [string, Failing] => [
        `a volume of the author that virtio-fs brings into the guest: ${Object.keys(source)}`,
        {
          pod: { volumes: [{ name: 'data', ...source }], ...main(ROOT, '/var/lib/docker') },
          says: ['/var/lib/docker', ROOT].map(
            (place) =>
              `the volume at ${place} reaches the guest by virtio-fs, which cannot hold an overlay, so it cannot hold images of nested containers`,
          ),
          promises: [`${MOUNTS}[1].mountPath`, `${MOUNTS}[0].mountPath`],
          fixed: 'nothing',
        },
      ]),
    ),
    "the operator's size, whatever the limit": {
      ...sized(limitedTo('16Gi'), '4Gi'),
      options: { ...kata.options, storageSize: '4Gi' },
    },
    'on disk, where the handler makes block devices of emptyDirs': {
      options: { ...kata.options, storageMedium: 'disk' },
      pod: { containers: [limitedTo('4Gi')] },
      promises: [MOUNTS],
      fixed: { volumes: [emptied(0)], containers: [{ ...limitedTo('4Gi'), volumeMounts: [mounted(0, ROOT)] }] },
    },
    "on disk, of the operator's size": {
      options: { ...kata.options, storageMedium: 'disk', storageSize: '20Gi' },
      pod: { containers: [{ name: 'main' }] },
      promises: [MOUNTS],
      fixed: { volumes: [emptied(0, { sizeLimit: '20Gi' })], containers: [{ name: 'main', volumeMounts: [mounted(0, ROOT)] }] },
    },
  },
});

test.each<[string, ProfileOptions, Sketch, string]>([
  [
    'half of the limit',
    {},
    limitedTo('4Gi'),
    'mount an emptyDir of medium Memory there, with sizeLimit 2Gi (half of the memory limit, at least 256Mi)',
  ],
  [
    'what a guest has by itself',
    {},
    { name: 'main' },
    'mount an emptyDir of medium Memory there, with sizeLimit 1Gi (half of the 2Gi of a guest without a memory limit, at least 256Mi)',
  ],
  ["the operator's", { storageSize: '4Gi' }, { name: 'main' }, 'mount an emptyDir of medium Memory there, with sizeLimit 4Gi'],
  ['none on disk', { storageMedium: 'disk' }, { name: 'main' }, 'mount an emptyDir there'],
])('the remedy says which size the volume has, and why: %s', (_, options, container, remedy) => {
  const { findings } = judge(inputOf({ containers: [container] }, { ...kata, options: { ...kata.options, ...options } }));
  expect(findings.filter(({ rule }) => rule === imageStorage.id).map((finding) => finding.remedy)).toEqual([remedy]);
});
