import { expect, test } from 'vitest';
import { differences } from '../../src/cluster/difference.ts';

test.each([
  ['the same', { a: [1, { b: 'c' }] }, { a: [1, { b: 'c' }] }, []],
  ['an empty map for none, as the API server fills in', { a: {}, b: 1 }, { b: 1 }, []],
  ['none for an empty map', { b: 1 }, { a: {}, b: 1 }, []],
  ['a value', { a: { b: 1 } }, { a: { b: 2 } }, ['a.b']],
  ['a value less', { a: {} }, { a: { b: 2 } }, ['a.b']],
  ['a value more', { a: { b: 1, c: 0 } }, { a: { b: 1 } }, ['a.c']],
  ['an item less and another order', { a: [2, 1] }, { a: [1, 2, 3] }, ['a.0', 'a.1', 'a.2']],
  ['a list instead of a map', { a: [] }, { a: {} }, ['a']],
  ['an empty list is not nothing', { a: [] }, {}, ['a']],
  ['null is not nothing', { a: null }, {}, ['a']],
  ['a text for a number', { a: '1' }, { a: 1 }, ['a']],
] as const)('%s', (_, live, wanted, paths) => {
  expect(differences(live, wanted).map(({ path }) => path.join('.'))).toEqual(paths);
});
