import { describe, expect, test } from 'vitest';
import type { Pod } from '../../src/core/pod.ts';
import { findAddedProgram, findConsequence, findStart } from '../../src/core/pod-update.ts';

type Spec = NonNullable<Pod['spec']>;
const podOf = (spec: Spec): Pod => ({ spec: { containers: [{ name: 'main', image: 'a' }], ...spec } });
const NODE = { key: 'node', operator: 'Exists', effect: 'NoSchedule' } as const;
const ADDED = ['not-ready', 'unreachable'].map((each) => ({
  ...{ key: `node.kubernetes.io/${each}`, operator: 'Exists', effect: 'NoExecute' },
  tolerationSeconds: 300,
}));
const AFFINITY = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ namespaces: ['a'] }] } };
const GATES = [{ name: 'a' }, { name: 'b' }];

/** Every kind of change: the old spec, the new one, and the words; undefined for a change that does not count. */
const PROGRAMS: Readonly<Record<string, readonly [old: Spec, now: Spec, words: string | undefined]>> = {
  'no change': [{}, {}, undefined],
  'another image': [{}, { containers: [{ name: 'main', image: 'b' }] }, 'gives container "main" another image'],
  'a debug container': [{}, { ephemeralContainers: [{ name: 'debug', image: 'a' }] }, 'adds container "debug"'],
  'an init container': [{}, { initContainers: [{ name: 'init' }] }, 'adds container "init"'],
  'a container without a name': [{}, { ephemeralContainers: [{ image: 'a' }] }, 'adds container ""'],
  'a container that leaves': [{ ephemeralContainers: [{ name: 'debug', image: 'a' }] }, {}, undefined],
  'containers in another order': [
    { containers: [{ name: 'a' }, { name: 'b' }] },
    { containers: [{ name: 'b' }, { name: 'a' }] },
    undefined,
  ],
  'a second container like the first': [
    {},
    {
      containers: [
        { name: 'main', image: 'a' },
        { name: 'main', image: 'a' },
      ],
    },
    'gives container "main" another image',
  ],
};

const CONSEQUENCES: typeof PROGRAMS = {
  'one of two scheduling gates': [{ schedulingGates: GATES }, { schedulingGates: GATES.slice(1) }, 'removes a scheduling gate'],
  'a node selector': [{}, { nodeSelector: { disk: 'ssd' } }, 'changes nodeSelector'],
  'no node selector any more': [{ nodeSelector: { disk: 'ssd' } }, {}, 'changes nodeSelector'],
  'the same node selector': [{ nodeSelector: { disk: 'ssd' } }, { nodeSelector: { disk: 'ssd' } }, undefined],
  'an empty node selector': [{}, { nodeSelector: {} }, undefined],
  'an affinity': [{}, { affinity: AFFINITY }, 'changes affinity'],
  'no affinity any more': [{ affinity: AFFINITY }, {}, 'changes affinity'],
  'an empty affinity': [{ affinity: {} }, {}, undefined],
  'a toleration': [{}, { tolerations: [NODE] }, 'changes tolerations'],
  'no toleration any more': [{ tolerations: [NODE] }, { tolerations: [] }, 'changes tolerations'],
  'a toleration instead of another': [{ tolerations: [NODE] }, { tolerations: [{ ...NODE, key: 'other' }] }, 'changes tolerations'],
  'the tolerations that the API server adds': [{ tolerations: [NODE] }, { tolerations: [NODE, ...ADDED] }, undefined],
  'a deadline': [{}, { activeDeadlineSeconds: 1 } as Spec, undefined],
};

describe('findAddedProgram', () => {
  test.each(Object.entries(PROGRAMS))('finds: %s', (_, [old, now, words]) => {
    expect(findAddedProgram(podOf(now), podOf(old))).toBe(words);
  });

  test.each(Object.entries(CONSEQUENCES))('finds no program: %s', (_, [old, now]) => {
    expect(findAddedProgram(podOf(now), podOf(old))).toBeUndefined();
  });
});

describe('findConsequence', () => {
  test.each(Object.entries({ ...PROGRAMS, ...CONSEQUENCES }))('finds: %s', (_, [old, now, words]) => {
    expect(findConsequence(podOf(now), podOf(old))).toBe(words);
  });
});

describe('findStart', () => {
  test.each([
    [GATES, GATES.slice(1), undefined],
    [GATES, [], 'removes the last scheduling gate'],
    [GATES.slice(1), undefined, 'removes the last scheduling gate'],
    [undefined, [], undefined],
    [[], GATES, undefined],
  ])('from %j to %j', (before, after, words) => {
    expect(findStart(podOf({ schedulingGates: after ?? null }), podOf({ schedulingGates: before ?? null }))).toBe(words);
  });
});
