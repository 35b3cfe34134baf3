import { namePattern } from '../../src/core/name-pattern.ts';
import { imageStorage } from '../../src/core/rules/image-storage.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const ROOT = '/var/lib/containers';
const main = (...mountPaths: string[]): Sketch => ({
  containers: [{ name: 'main', volumeMounts: mountPaths.map((mountPath) => ({ name: 'data', mountPath })) }],
});
const VOLUMES = 'spec.volumes';
const MOUNTS = 'spec.containers[0].volumeMounts';
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
    'a token there, which stays': {
      volumes: [token],
      containers: [{ name: 'main', volumeMounts: [{ name: token.name, mountPath: '/' }] }],
    },
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
      promises: [VOLUMES, MOUNTS],
      fixed: { volumes: [emptied(0)], containers: [{ name: 'main', volumeMounts: [mounted(0, ROOT)] }] },
    },
    // The API server mounts it where Kubernetes looks for it; a pod's author may reuse its volume anywhere.
    'only a token that is taken away': {
      options: { serviceAccountToken: 'remove' },
      pod: { volumes: [token], containers: [{ name: 'main', volumeMounts: [{ name: token.name, mountPath: '/' }] }] },
      promises: [VOLUMES, MOUNTS],
      fixed: {
        volumes: [token, emptied(0)],
        containers: [{ name: 'main', volumeMounts: [{ name: token.name, mountPath: '/' }, mounted(0, ROOT)] }],
      },
    },
    'null lists': {
      pod: { volumes: null, containers: [{ name: 'main', volumeMounts: null }] },
      promises: [VOLUMES, MOUNTS],
      fixed: { volumes: [emptied(0)], containers: [{ name: 'main', volumeMounts: [mounted(0, ROOT)] }] },
    },
    'something mounted beside and below it': {
      pod: main(`${ROOT}-old`, `${ROOT}/storage`, '/var/lib/cont'),
      promises: [VOLUMES, MOUNTS],
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
      promises: [VOLUMES, MOUNTS, VOLUMES, 'spec.containers[1].volumeMounts'],
      fixed: {
        volumes: [emptied(0), emptied(1)],
        containers: [
          { name: 'main', volumeMounts: [mounted(0, ROOT)] },
          { name: 'tools', volumeMounts: [mounted(1, ROOT)] },
        ],
      },
    },
    'only the container that grantTo names': {
      options: { grantTo: [namePattern('tools')] },
      pod: { containers: [{ name: 'main' }, { name: 'tools' }] },
      promises: [VOLUMES, 'spec.containers[1].volumeMounts'],
      fixed: { volumes: [emptied(0)], containers: [{ name: 'main' }, { name: 'tools', volumeMounts: [mounted(0, ROOT)] }] },
    },
    'a name that somebody took': {
      pod: { volumes: [{ name: 'cloister-storage-0', emptyDir: {} }], containers: [{ name: 'main' }] },
      promises: [VOLUMES, MOUNTS],
      fixed: {
        volumes: [{ name: 'cloister-storage-0', emptyDir: {} }, emptied(1)],
        containers: [{ name: 'main', volumeMounts: [mounted(1, ROOT)] }],
      },
    },
    'where the operator says': {
      options: { storage: ['/home/dev/.local/share/containers'] },
      pod: main(ROOT),
      promises: [VOLUMES, MOUNTS],
      fixed: {
        volumes: [emptied(0)],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: ROOT }, mounted(0, '/home/dev/.local/share/containers')] }],
      },
    },
    'no place listed, and no volume': {
      options: { storage: [] },
      pod: { volumes: [{ name: 'other', emptyDir: {} }], containers: [{ name: 'main' }] },
      promises: [MOUNTS],
      says: ['nothing is mounted in container "main" that could hold the images of nested containers'],
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
      promises: [VOLUMES, MOUNTS, VOLUMES, MOUNTS],
      fixed: {
        volumes: [emptied(0), emptied(1)],
        containers: [{ name: 'main', volumeMounts: [mounted(0, '/var/lib/docker'), mounted(1, ROOT)] }],
      },
    },
    'under sysbox beside the volume that the author brings': {
      profile: 'sysbox',
      pod: { volumes: [{ name: 'data', emptyDir: {} }], ...main('/var/lib/docker') },
      promises: [VOLUMES, MOUNTS],
      fixed: {
        volumes: [{ name: 'data', emptyDir: {} }, emptied(0)],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/var/lib/docker' }, mounted(0, ROOT)] }],
      },
    },
    'under kata in memory, because virtio-fs carries no overlay': {
      profile: 'kata-qemu',
      options: { storage: [ROOT] },
      pod: { containers: [{ name: 'main' }] },
      promises: [VOLUMES, MOUNTS],
      fixed: { volumes: [emptied(0, { medium: 'Memory' })], containers: [{ name: 'main', volumeMounts: [mounted(0, ROOT)] }] },
    },
  },
});
