import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { namespaceFactsOf } from '../../src/scan/namespaces.ts';
import { isGoverned, policiesFor } from '../../src/scan/policies.ts';
import type { ScanSettings } from '../../src/scan/types.ts';

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles: {userns: {mayChoose: [gvisor]}, gvisor: {}, kata-qemu: {}}
governs: [{namespaces: [lab-*], enforce: gvisor, audit: kata-qemu}]
`;

function settings(given: Partial<ScanSettings> = {}): ScanSettings {
  const config = parseConfig(CONFIG, 'config.yaml');
  if (!config.ok) throw new Error(config.error.join());
  return {
    ...config.value,
    preview: undefined,
    namespaces: [],
    labels: undefined,
    excluded: new Set(['kube-system', 'cloister-system']),
    pageSize: 100,
    now: new Date(),
    ...given,
  };
}

const namespace = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  name,
  labels: new Map(Object.entries(labels)),
  labelTimes: new Map(),
});
const podWith = (labels: Readonly<Record<string, string>>) => ({ metadata: { labels } });

/** `mode profile/grant` of each policy; a profile that is not configured has no grant. */
function policies(place: ReturnType<typeof namespace>, labels: Readonly<Record<string, string>> = {}, given: Partial<ScanSettings> = {}) {
  return policiesFor(podWith(labels), place, settings(given)).map(({ mode, profile, policy }) =>
    policy === undefined ? `${mode} ${profile}` : `${mode} ${policy.profile.id}/${policy.grant}`,
  );
}

describe('the policies of a pod', () => {
  test.each([
    ['nothing governs', namespace('a'), {}, []],
    ['a label enforces', namespace('a', { 'cloister.dev/enforce': 'userns' }), {}, ['enforce userns/sudo']],
    [
      'labels of several modes',
      namespace('a', { 'cloister.dev/enforce': 'userns', 'cloister.dev/warn': 'gvisor', 'cloister.dev/audit': 'kata-qemu' }),
      {},
      ['enforce userns/sudo', 'warn gvisor/sudo', 'audit kata-qemu/sudo'],
    ],
    ['the name governs', namespace('lab-1'), {}, ['enforce gvisor/sudo', 'audit kata-qemu/sudo']],
    [
      'a label counts before the name',
      namespace('lab-1', { 'cloister.dev/enforce': 'userns' }),
      {},
      ['enforce userns/sudo', 'audit kata-qemu/sudo'],
    ],
    ['a pod opts in', namespace('a'), { 'cloister.dev/profile': 'gvisor' }, ['opt-in gvisor/sudo']],
    [
      'a pod opts in where a profile only warns',
      namespace('a', { 'cloister.dev/warn': 'userns' }),
      { 'cloister.dev/profile': 'gvisor' },
      ['opt-in gvisor/sudo', 'warn userns/sudo'],
    ],
    ['a pod opts in to an unknown profile', namespace('a'), { 'cloister.dev/profile': 'x' }, ['opt-in x']],
    ['a pod chooses', namespace('a', { 'cloister.dev/enforce': 'userns' }), { 'cloister.dev/profile': 'gvisor' }, ['enforce gvisor/sudo']],
    [
      'a pod may not choose',
      namespace('a', { 'cloister.dev/enforce': 'gvisor' }),
      { 'cloister.dev/profile': 'userns' },
      ['enforce gvisor/sudo'],
    ],
    [
      'a pod asks for less',
      namespace('a', { 'cloister.dev/enforce': 'userns' }),
      { 'cloister.dev/grant': 'none' },
      ['enforce userns/none'],
    ],
    ['an unknown profile', namespace('a', { 'cloister.dev/enforce': 'x' }), {}, ['enforce x']],
    ['the namespace of Cloister', namespace('cloister-system', { 'cloister.dev/enforce': 'userns' }), {}, []],
    ['a system namespace', namespace('kube-system', { 'cloister.dev/enforce': 'userns' }), { 'cloister.dev/profile': 'userns' }, []],
  ] as const)('%s', (_, place, labels, expected) => {
    expect(policies(place, labels)).toEqual(expected);
  });

  test('a preview is as if the namespace enforced the profile', () => {
    const preview = settings().profiles.get('userns');
    expect(policies(namespace('a'), {}, { preview })).toEqual(['preview userns/sudo']);
    expect(policies(namespace('a', { 'cloister.dev/enforce': 'gvisor' }), { 'cloister.dev/profile': 'gvisor' }, { preview })).toEqual([
      'preview gvisor/sudo',
    ]);
    expect(policies(namespace('kube-system'), {}, { preview })).toEqual([]);
  });
});

test('a namespace is governed by its label, by its name, or by a preview; never if it is excluded', () => {
  const of = (place: ReturnType<typeof namespace>, given: Partial<ScanSettings> = {}) => isGoverned(place, settings(given));
  const preview = settings().profiles.get('userns');
  expect([of(namespace('a')), of(namespace('a', { 'cloister.dev/audit': 'x' })), of(namespace('lab-2'))]).toEqual([false, true, true]);
  expect([of(namespace('a'), { preview }), of(namespace('cloister-system'), { preview })]).toEqual([true, false]);
});

describe('the facts of a namespace', () => {
  const entry = (time: unknown, keys: readonly string[]) => ({
    manager: 'kubectl-label',
    time,
    fieldsV1: { 'f:metadata': { 'f:labels': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) } },
  });

  test('the time of a label is that of the entry that owns it', () => {
    const managedFields = [
      entry('2030-01-01T00:00:00Z', ['kubernetes.io/metadata.name']),
      entry('2030-01-02T00:00:00Z', ['cloister.dev/enforce']),
      entry('soon', ['cloister.dev/warn']),
    ];
    const facts = namespaceFactsOf({ metadata: { name: 'a', labels: { 'cloister.dev/enforce': 'userns' }, managedFields } });
    expect(facts).toEqual({
      name: 'a',
      labels: new Map([['cloister.dev/enforce', 'userns']]),
      labelTimes: new Map([['cloister.dev/enforce', new Date('2030-01-02T00:00:00Z')]]),
    });
  });

  test.each([null, {}, { metadata: {} }, { metadata: { name: 1 } }])('the object %j is no namespace', (document) => {
    expect(namespaceFactsOf(document)).toBeUndefined();
  });
});
