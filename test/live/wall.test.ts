import { describe, expect, test } from 'vitest';
import { answerWall } from '../../src/live/wall.ts';
import { type WallCase, wallFacts } from '../support/wall-facts.ts';

const stateOf = (given: WallCase): string => answerWall(wallFacts(given)).state;
const BACKENDS = ['userns', 'sysbox', 'kata-qemu', 'kata-clh', 'kata-fc', 'kata-acrn', 'gvisor'];

test.each(BACKENDS)('the wall of %s stands where the node proves each part of it, and nothing contradicts', (backend) => {
  expect(answerWall(wallFacts({ backend }))).toEqual({ state: 'stands', findings: [] });
});

test.each(BACKENDS)('the wall of %s is claimed where nodes or classes could not be read', (backend) => {
  expect(stateOf({ backend, node: undefined })).toBe('claimed');
  expect(stateOf({ backend, node: undefined, class: undefined })).toBe('claimed');
  if (backend !== 'userns') expect(stateOf({ backend, class: undefined })).toBe('claimed');
});

describe('of several answers', () => {
  test('that the pod asks for no wall counts first, then that the wall is missing, then that it does not run', () => {
    const node = { handlers: new Map([['', false]]), labels: {} };
    expect(stateOf({ node })).toBe('missing');
    expect(stateOf({ node, pod: { phase: 'Pending' } })).toBe('missing');
    expect(stateOf({ pod: { phase: 'Pending' } })).toBe('down');
    expect(stateOf({ pod: { phase: 'Pending', isRunning: true } })).toBe('stands');
    expect(stateOf({ node, isRequested: false, pod: { phase: 'Pending' } })).toBe('none');
  });

  test('Sysbox needs the class and the user namespace', () => {
    const withoutFeature = new Map([['sysbox-runc', undefined]]);
    expect(stateOf({ backend: 'sysbox', node: { handlers: withoutFeature, labels: { 'sysbox-runtime': 'running' } } })).toBe('claimed');
    expect(stateOf({ backend: 'sysbox', class: null })).toBe('claimed');
  });

  test('a virtual machine in the place of a user namespace must be listed by the node', () => {
    const pod = { runtimeClass: 'kata' };
    expect(stateOf({ pod, class: { handler: 'kata-qemu' } })).toBe('stands');
    expect(stateOf({ pod, class: { handler: 'kata-qemu' }, node: { handlers: new Map() } })).toBe('claimed');
    expect(stateOf({ pod, class: { handler: 'kata-other' } })).toBe('missing');
  });

  test('a handler that the node lists proves a wall only if its name is known', () => {
    const node = (handler: string) => ({ handlers: new Map([[handler, undefined]]) });
    expect(stateOf({ backend: 'gvisor', class: { handler: 'nvidia' }, node: node('nvidia') })).toBe('claimed');
    expect(stateOf({ backend: 'gvisor', class: { handler: 'runsc-kvm' }, node: node('runsc-kvm') })).toBe('stands');
    expect(
      stateOf({ backend: 'gvisor', options: { runtimeClassName: 'nvidia' }, class: { handler: 'nvidia' }, node: node('nvidia') }),
    ).toBe('stands');
  });

  test('findings that do not concern the wall leave its answer', () => {
    const { state, findings } = answerWall(wallFacts({ pod: { serviceAccount: 'builder', claims: ['home'] }, sharers: { home: 'other' } }));
    expect([state, findings.map(({ check }) => check)]).toEqual(['stands', ['service-account', 'shared-claim']]);
  });
});

test.each(BACKENDS)('of a pod that asks for no wall of %s, nothing is said about one', (backend) => {
  const handlers = new Map([['', false]]);
  const given = { backend, isRequested: false, node: { handlers, labels: {}, kubelet: 'v1.29.0' }, class: { handler: 'runc' } };
  expect(answerWall(wallFacts(given))).toEqual({ state: 'none', findings: [] });
  expect(answerWall(wallFacts({ ...given, class: null, node: { ...given.node, kubelet: 'v1.35.0' } }))).toEqual({
    state: 'none',
    findings: [],
  });
});

test('names of the cluster cannot forge lines in a message', () => {
  const { findings } = answerWall(wallFacts({ node: { taints: [{ key: 'a\nb\u202e', value: '', effect: 'NoSchedule' }] } }));
  expect(findings.map(({ message }) => message).join()).toMatch(/taint a\\u\{a\}b\\u\{202e\}/);
});
