import { serviceAccountToken } from '../../src/core/rules/service-account-token.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const remove = { serviceAccountToken: 'remove' } as const;
const token = (name: string): Sketch => ({
  name,
  projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'kube-root-ca.crt' } }] },
});
const mount = (name: string): Sketch => ({ name, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' });
const injected = 'kube-api-access-x7k2p';
const data = { name: 'data', emptyDir: {} };
const without = { automountServiceAccountToken: false };

testRule(serviceAccountToken, {
  options: remove,
  passes: {
    'a token, where the profile keeps it': {
      options: {},
      pod: {
        automountServiceAccountToken: true,
        volumes: [token(injected), { name: 'id', projected: { sources: [{ podCertificate: {} }] } }],
        containers: [{ name: 'main', volumeMounts: [mount(injected)] }],
      },
    },
    'none, where it is to go': { ...without, volumes: [data], containers: [{ name: 'main' }] },
    'a projection of other things': {
      ...without,
      volumes: [{ name: 'info', projected: { sources: [{ downwardAPI: {} }, { serviceAccountToken: null, podCertificate: null }] } }],
    },
    'a volume of another kind under such a name': {
      ...without,
      volumes: [{ name: injected, emptyDir: {} }],
      containers: [{ name: 'main', volumeMounts: [{ name: injected, mountPath: '/scratch' }] }],
    },
  },
  fails: {
    'nothing said, which mounts one': { pod: {}, finds: ['spec.automountServiceAccountToken'], fixed: without },
    'asked for': { pod: { automountServiceAccountToken: true }, finds: ['spec.automountServiceAccountToken'], fixed: without },
    null: { pod: { automountServiceAccountToken: null }, finds: ['spec.automountServiceAccountToken'], fixed: without },
    'what the API server injected goes with its mounts': {
      pod: {
        volumes: [data, token(injected)],
        initContainers: [{ name: 'set-up', volumeMounts: [mount(injected)] }],
        containers: [{ name: 'main', volumeMounts: [mount(injected), { name: 'data', mountPath: '/data' }] }],
      },
      finds: [
        'spec.automountServiceAccountToken',
        'spec.volumes[1]',
        'spec.initContainers[0].volumeMounts[0]',
        'spec.containers[0].volumeMounts[0]',
      ],
      fixed: {
        ...without,
        volumes: [data],
        initContainers: [{ name: 'set-up', volumeMounts: [] }],
        containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
      },
    },
    "the author's own projection, which a person must decide about": {
      pod: { ...without, volumes: [token('vault')], containers: [{ name: 'main', volumeMounts: [mount('vault')] }] },
      finds: ['spec.volumes[0]'],
      fixed: 'nothing',
    },
    'a certificate of the identity, which a person must decide about': {
      pod: {
        ...without,
        volumes: [{ name: 'id', projected: { sources: [{ podCertificate: { signerName: 'x.y/z', keyType: 'ED25519' } }] } }],
      },
      says: ['volume "id" holds a certificate of the pod\'s identity'],
      finds: ['spec.volumes[0].projected'],
      fixed: 'nothing',
    },
    'under every wall': { profile: 'kata-qemu', grant: 'none', pod: {}, finds: ['spec.automountServiceAccountToken'], fixed: without },
  },
});
