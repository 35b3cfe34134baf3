import { expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { withoutLeftovers } from '../../src/core/leftovers.ts';
import type { PatchOp } from '../../src/core/patch.ts';

const remove = (path: string): PatchOp => ({ op: 'remove', path });

function tidied(before: object, ...patch: PatchOp[]): object {
  return applyToCopy(before, withoutLeftovers(patch, before, applyToCopy(before, patch)));
}

test.each<[string, object, PatchOp[], object]>([
  ['a map', { metadata: { name: 'a', annotations: { x: '1' } } }, [remove('/metadata/annotations/x')], { metadata: { name: 'a' } }],
  ['a list', { a: { add: ['X'], drop: ['Y'] } }, [remove('/a/add/0')], { a: { drop: ['Y'] } }],
  [
    'all maps around it',
    { spec: { containers: [{ name: 'a', securityContext: { capabilities: { add: ['X'] } } }] } },
    [remove('/spec/containers/0/securityContext/capabilities/add/0')],
    { spec: { containers: [{ name: 'a' }] } },
  ],
  [
    'not the spec, and not the metadata',
    { metadata: { labels: { a: '1' } }, spec: { hostPID: true } },
    [remove('/metadata/labels/a'), remove('/spec/hostPID')],
    { metadata: {}, spec: {} },
  ],
  ['not what was empty before', { spec: { a: {}, b: [], c: { d: 1 } } }, [remove('/spec/c/d')], { spec: { a: {}, b: [] } }],
  [
    'not the empty map of an item that moves up',
    {
      spec: {
        volumes: [
          { name: 'a', emptyDir: { medium: 'Memory' } },
          { name: 'b', emptyDir: {} },
        ],
      },
    },
    [remove('/spec/volumes/0')],
    { spec: { volumes: [{ name: 'b', emptyDir: {} }] } },
  ],
  [
    'map of an item that moves up',
    { spec: { volumes: [{ name: 'a' }, { name: 'b', labels: { x: '1' } }] } },
    [remove('/spec/volumes/1/labels/x'), remove('/spec/volumes/0')],
    { spec: { volumes: [{ name: 'b' }] } },
  ],
  [
    'map of an item without a name',
    { sources: [{ secret: { name: 's' } }, { labels: { x: '1' }, path: 'p' }] },
    [remove('/sources/1/labels/x')],
    { sources: [{ secret: { name: 's' } }, { path: 'p' }] },
  ],
  [
    'not the empty map of an item without a name that moves up',
    { sources: [{ podInfo: { x: '1' } }, { podInfo: {} }] },
    [remove('/sources/0')],
    { sources: [{ podInfo: {} }] },
  ],
  [
    'not what the repair itself adds, even if that is empty',
    { spec: { a: { b: 1 }, c: 1 } },
    [
      remove('/spec/a/b'),
      { op: 'add', path: '/spec/volumes', value: [{ name: 'v', emptyDir: {} }] },
      { op: 'add', path: '/spec/list', value: [] },
    ],
    { spec: { c: 1, volumes: [{ name: 'v', emptyDir: {} }], list: [] } },
  ],
  ['a key with a slash', { a: { 'x/y~z': { k: 1 }, b: 1 } }, [remove('/a/x~1y~0z/k')], { a: { b: 1 } }],
])('a repair leaves no emptied %s', (_, before, patch, after) => expect(tidied(before, ...patch)).toEqual(after));

test('operations elsewhere stay', () => {
  const before = { spec: { a: { b: 1 }, c: 1 } };
  const set: PatchOp = { op: 'replace', path: '/spec/c', value: 2 };
  const patch = [remove('/spec/a/b'), set];
  expect(withoutLeftovers(patch, before, applyToCopy(before, patch))).toEqual([set, remove('/spec/a')]);
});

test('operations in each emptied place, or on it, are left out of the patch', () => {
  const before = { spec: { a: { b: 1 }, c: { d: 1 }, e: 1 } };
  const patch: readonly PatchOp[] = [remove('/spec/a/b'), { op: 'replace', path: '/spec/c', value: {} }];
  expect(withoutLeftovers(patch, before, applyToCopy(before, patch))).toEqual([remove('/spec/a'), remove('/spec/c')]);
});

test('a patch that empties nothing is the same', () => {
  const before = { spec: { a: 1, b: 2 } };
  const patch = [remove('/spec/a')];
  expect(withoutLeftovers(patch, before, applyToCopy(before, patch))).toBe(patch);
});
