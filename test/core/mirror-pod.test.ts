import { expect, test } from 'vitest';
import { isMirror } from '../../src/core/mirror-pod.ts';
import { podOf, type Sketch } from '../support/test-rule.ts';

const owner = { apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: '1', controller: true };
const metadata = { annotations: { 'kubernetes.io/config.mirror': 'a1b2' }, ownerReferences: [owner] };
const mirror: Sketch = { metadata, nodeName: 'worker-1' };
const kubelet = { username: 'system:node:worker-1', groups: ['system:nodes', 'system:authenticated'] };

test('T14: a pod in which a kubelet reports a static pod of its own node is a mirror pod', () => {
  expect(isMirror(podOf(mirror).pod, kubelet)).toBe(true);
  expect(isMirror(podOf({ ...mirror, metadata: { ...metadata, annotations: { 'kubernetes.io/config.mirror': '' } } }).pod, kubelet)).toBe(
    true,
  );
});

test.each<[string, Sketch, Partial<typeof kubelet>]>([
  ['annotation', { ...mirror, metadata: { ownerReferences: [owner] } }, {}],
  ['group', mirror, { groups: ['system:authenticated', 'my-system:nodes'] }],
  ['name of a node', mirror, { username: 'system:serviceaccount:team-a:worker-1' }],
  ['name of the same node', mirror, { username: 'system:node:worker-2' }],
  ['node', { metadata }, {}],
  ['node, but an empty name', { metadata, nodeName: '' }, { username: 'system:node:' }],
  ['owner', { ...mirror, metadata: { ...metadata, ownerReferences: [] } }, {}],
  ['owner of that name', { ...mirror, metadata: { ...metadata, ownerReferences: [{ ...owner, name: 'worker-2' }] } }, {}],
  ['owner of that kind', { ...mirror, metadata: { ...metadata, ownerReferences: [{ ...owner, kind: 'ReplicaSet' }] } }, {}],
  ['owner of that API', { ...mirror, metadata: { ...metadata, ownerReferences: [{ ...owner, apiVersion: 'example.org/v1' }] } }, {}],
])('T14: without its %s it is none', (_, pod, requester) => {
  expect(isMirror(podOf(pod).pod, { ...kubelet, ...requester })).toBe(false);
});
