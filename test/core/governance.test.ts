import { describe, expect, test } from 'vitest';
import { type Governance, governedBy, governs, governsAny, NO_GOVERNANCE, profilesInForce } from '../../src/core/governance.ts';

const GOVERNANCE: Governance = {
  byName: [
    { namespaces: ['team-a', 'gl-*'], profiles: { enforce: 'userns', audit: 'kata-qemu' } },
    { namespaces: ['gl-free-*'], profiles: { enforce: 'gvisor' } },
    { namespaces: ['open-*'], profiles: {} },
  ],
  otherwise: { warn: 'userns' },
};

describe('governedBy', () => {
  test.each([
    ['gl-1', { profiles: { enforce: 'userns', audit: 'kata-qemu' }, by: 'governs[0] (gl-*)' }],
    ['team-a', { profiles: { enforce: 'userns', audit: 'kata-qemu' }, by: 'governs[0] (team-a)' }],
    // The first element that matches counts.
    ['gl-free-1', { profiles: { enforce: 'userns', audit: 'kata-qemu' }, by: 'governs[0] (gl-*)' }],
    ['elsewhere', { profiles: { warn: 'userns' }, by: 'default' }],
    // An element without a profile excepts its namespaces from the default.
    ['open-house', undefined],
    ['kube-system', undefined],
    ['kube-node-lease', undefined],
  ])('%s', (namespace, governed) => {
    expect(governedBy(namespace, GOVERNANCE)).toEqual(governed);
  });

  test('an excluded namespace is governed by nothing', () => {
    expect(governedBy('gl-1', { ...GOVERNANCE, excluded: ['gl-1'] })).toBeUndefined();
    expect(governedBy('gl-2', { ...GOVERNANCE, excluded: ['gl-1'] })).toBeDefined();
  });

  test('without a default only the named namespaces are governed, and without governance none', () => {
    expect(governedBy('elsewhere', { ...GOVERNANCE, otherwise: {} })).toBeUndefined();
    expect(governedBy('elsewhere', NO_GOVERNANCE)).toBeUndefined();
  });
});

describe('profilesInForce', () => {
  const inForce = (namespace: string, labels: Readonly<Record<string, string>> = {}): readonly object[] =>
    profilesInForce(namespace, (key) => labels[key], GOVERNANCE);

  test('without a label the configuration gives each mode its profile, the strictest mode first', () => {
    expect(inForce('gl-1')).toEqual([
      { mode: 'enforce', profile: 'userns', by: 'governs[0] (gl-*)' },
      { mode: 'audit', profile: 'kata-qemu', by: 'governs[0] (gl-*)' },
    ]);
    expect(inForce('elsewhere')).toEqual([{ mode: 'warn', profile: 'userns', by: 'default' }]);
    expect(inForce('open-house')).toEqual([]);
  });

  test('a label counts before the configuration, in its mode only', () => {
    expect(inForce('gl-1', { 'cloister.dev/audit': 'gvisor', 'cloister.dev/warn': '' })).toEqual([
      { mode: 'enforce', profile: 'userns', by: 'governs[0] (gl-*)' },
      { mode: 'warn', profile: '', by: undefined },
      { mode: 'audit', profile: 'gvisor', by: undefined },
    ]);
    expect(inForce('open-house', { 'cloister.dev/enforce': 'gvisor' })).toEqual([{ mode: 'enforce', profile: 'gvisor', by: undefined }]);
  });

  test('no label governs an excluded namespace', () => {
    expect(inForce('kube-system', { 'cloister.dev/enforce': 'gvisor' })).toEqual([]);
  });
});

test('a profile in any mode governs', () => {
  expect([{}, { audit: 'userns' }].map(governs)).toEqual([false, true]);
});

test('a configuration governs by name with a default or with one element that has a profile', () => {
  const [first, , third] = GOVERNANCE.byName as [Governance['byName'][number], unknown, Governance['byName'][number]];
  const each: readonly Governance[] = [
    NO_GOVERNANCE,
    { byName: [third], otherwise: {} },
    { byName: [third, first], otherwise: {} },
    { byName: [], otherwise: { warn: 'userns' } },
  ];
  expect(each.map(governsAny)).toEqual([false, false, true, true]);
});
