import { expect, test } from 'vitest';
import { differences } from '../../src/cluster/difference.ts';

test.each([
  ['two equal objects', { a: [1, { b: 'c' }] }, { a: [1, { b: 'c' }] }, []],
  ['an empty map for an absent one, as the API server writes it', { a: {}, b: 1 }, { b: 1 }, []],
  ['an absent map for an empty one', { b: 1 }, { a: {}, b: 1 }, []],
  ['a different value', { a: { b: 1 } }, { a: { b: 2 } }, ['a.b']],
  ['a missing value', { a: {} }, { a: { b: 2 } }, ['a.b']],
  ['an extra value', { a: { b: 1, c: 0 } }, { a: { b: 1 } }, ['a.c']],
  ['a missing item and another order', { a: [2, 1] }, { a: [1, 2, 3] }, ['a.0', 'a.1', 'a.2']],
  ['a list instead of a map', { a: [] }, { a: {} }, ['a']],
  ['an empty list for an absent one', { a: [] }, {}, ['a']],
  ['null for an absent value', { a: null }, {}, ['a']],
  ['a text for a number', { a: '1' }, { a: 1 }, ['a']],
] as const)('the differences are found for: %s', (_, live, desired, paths) => {
  expect(differences(live, desired).map(({ path }) => path.join('.'))).toEqual(paths);
});
