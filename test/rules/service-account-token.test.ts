import { expect, test } from 'vitest';
import { findDroppedCertificates, serviceAccountToken } from '../../src/core/rules/service-account-token.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { podOf, type Sketch, testRule } from '../support/test-rule.ts';

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
      says: ['a service account token is mounted', ...[1, 2, 3].map(() => `volume "${injected}" holds a service account token`)],
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
    'a token and a certificate in volumes without a name': {
      pod: {
        ...without,
        volumes: [
          { projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
          { projected: { sources: [{ podCertificate: { signerName: 'x.y/z', keyType: 'ED25519' } }] } },
        ],
      },
      says: ['volume "" holds a service account token', 'volume "" holds a certificate of the pod\'s identity'],
      finds: ['spec.volumes[0]', 'spec.volumes[1].projected'],
      fixed: 'nothing',
    },
    'under every wall': { profile: 'kata-qemu', grant: 'none', pod: {}, finds: ['spec.automountServiceAccountToken'], fixed: without },
  },
});

/** A pod with every kind of source: only the second, the third and the last one have no content. */
const projecting: Sketch = {
  volumes: [
    data,
    {
      name: 'id',
      projected: {
        sources: [{ downwardAPI: {} }, {}, { podCertificate: null, clusterTrustBundle: null }, { secret: null, configMap: {} }],
      },
    },
    { projected: { sources: [{}] } },
  ],
};

const emptySource = (volume: number, source: number, name: string, at: readonly string[] = []): object => ({
  rule: 'service-account-token',
  kind: 'escape',
  path: [...at, 'spec', 'volumes', volume, 'projected', 'sources', source],
  message: `source ${source} of volume "${name}" is empty: it was sent so, or the API server dropped a podCertificate or clusterTrustBundle, whose feature gate is off`,
  remedy: 'remove this source',
});

test('each projected source without content is named, because the API server may have dropped a certificate from it', () => {
  expect(findDroppedCertificates(podOf(projecting))).toEqual([emptySource(1, 1, 'id'), emptySource(1, 2, 'id'), emptySource(2, 0, '')]);
  expect(findDroppedCertificates(podOf({}))).toEqual([]);
});

test('a projected source without content is named at its place in the template of a workload', () => {
  const found = subjectOf({ spec: { template: { spec: projecting } } }, 'apps', 'Deployment');
  if (!found.ok) throw new Error('no subject');
  expect(findDroppedCertificates(found.value)[0]).toEqual(emptySource(1, 1, 'id', ['spec', 'template']));
});
