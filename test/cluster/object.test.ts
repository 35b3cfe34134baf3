import { expect, test } from 'vitest';
import { collectionPath, objectPath, titleOf } from '../../src/cluster/object.ts';

const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'b', namespace: 'a' } };
const binding = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicyBinding', metadata: { name: 'c' } };

test('an object has a path in the API, and a title', () => {
  expect([objectPath(secret), titleOf(secret)]).toEqual(['/api/v1/namespaces/a/secrets/b', 'Secret a/b']);
  expect([objectPath(binding), titleOf(binding)]).toEqual([
    '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/c',
    'ValidatingAdmissionPolicyBinding c',
  ]);
});

test('a kind without a known plural is a bug', () => {
  expect(() => collectionPath('v1', 'Sheep', undefined)).toThrow('the plural of Sheep');
});
