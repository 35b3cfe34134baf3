import { describe, expect, test } from 'vitest';
import { chooseNodes, hasOwnKernel, hasRun, type NodeChoice } from '../../src/doctor/proofs.ts';
import type { NodeFacts } from '../../src/live/facts.ts';
import { proof, WORKER } from '../support/doctor-facts.ts';

const node = (name: string, more: Partial<NodeFacts> = {}): NodeFacts => ({ ...WORKER, name, labels: {}, ...more });
const ANYWHERE = { nodeSelector: {}, tolerations: [] };

const NODES = [
  node('a1'),
  node('a2'),
  node('b1', { osImage: 'Bottlerocket OS 1.50.0' }),
  node('down', { isReady: false }),
  node('drained', { isSchedulable: false }),
  node('gpu', { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] }),
  node('kvm', { labels: { 'katacontainers.io/kata-runtime': 'true' }, kubelet: 'v1.34.1' }),
];

describe('the nodes that run a pod', () => {
  test.each<[NodeChoice, readonly string[]]>([
    ['kinds', ['a1', 'b1', 'kvm']],
    ['all', ['a1', 'a2', 'b1', 'kvm']],
    [1, ['a1']],
    [3, ['a1', 'b1', 'kvm']],
    [4, ['a1', 'b1', 'kvm', 'a2']],
    [99, ['a1', 'b1', 'kvm', 'a2']],
  ])('are with the choice %s: %j', (choice, names) => {
    expect(chooseNodes(NODES, ANYWHERE, choice).map(({ name }) => name)).toEqual(names);
  });

  test('are those that the RuntimeClass of the pod selects', () => {
    const pod = { ...ANYWHERE, nodeSelector: { 'katacontainers.io/kata-runtime': 'true' } };
    expect(chooseNodes(NODES, pod, 'all').map(({ name }) => name)).toEqual(['kvm']);
  });

  test('include a tainted node whose taint the pod tolerates', () => {
    const pod = { ...ANYWHERE, tolerations: [{ key: 'gpu', operator: 'Exists' }] };
    expect(chooseNodes(NODES, pod, 'all').map(({ name }) => name)).toContain('gpu');
  });
});

test.each([
  ['equal boot ids', {}, {}, false],
  ['equal boot ids and another release', { kernelRelease: '5.0' }, {}, false],
  ['other boot ids and the same release', { bootId: 'other' }, {}, true],
  ['another release, without the boot id of the node', { kernelRelease: '5.0' }, { bootId: undefined }, true],
  ['the same release, without a boot id', { bootId: null }, {}, undefined],
  ['nothing', { bootId: null, kernelRelease: null }, {}, undefined],
])('whether the kernel is another one, with %s: %s', (_, report, more, expected) => {
  const found = proof({ node: { ...WORKER, ...more } }, report);
  expect(hasRun(found) && hasOwnKernel(found)).toBe(expected);
});
