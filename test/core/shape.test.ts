import { describe, expect, test } from 'vitest';
import { anything, boolean, isObject, list, map, number, object, type Shape, string } from '../../src/core/shape.ts';

const mismatchOf = (shape: Shape<unknown>, value: unknown) => shape(value);

describe.each<[string, Shape<unknown>, readonly unknown[], readonly unknown[]]>([
  ['a string', string, ['', 'x'], [1, true, null, undefined, {}, []]],
  ['true or false', boolean, [true, false], ['true', 0, null, {}]],
  ['a number', number, [0, -1, 1.5], ['1', null, true, []]],
])('%s', (expected, shape, good, bad) => {
  test('a shape accepts values of its type only', () => {
    expect(good.map((value) => mismatchOf(shape, value))).toEqual(good.map(() => undefined));
    expect(bad.map((value) => mismatchOf(shape, value))).toEqual(bad.map(() => ({ path: [], expected })));
  });
});

test('the shape anything accepts every value', () => {
  expect([null, undefined, 1, {}, []].map(anything)).toEqual([undefined, undefined, undefined, undefined, undefined]);
});

describe('an object', () => {
  const shape = object({ a: string, b: object({ c: list(number) }) });

  test('an object may lack named fields, and may have others', () => {
    for (const value of [{}, { a: 'x' }, { a: null, b: null }, { a: undefined }, { b: { c: [1] } }, { other: {} }])
      expect(shape(value)).toBeUndefined();
  });

  test('T42: an object is reported with the path of its first mismatch', () => {
    expect(shape({ a: 1 })).toEqual({ path: ['a'], expected: 'a string' });
    expect(shape({ b: { c: [1, 2, '3'] } })).toEqual({ path: ['b', 'c', 2], expected: 'a number' });
    expect(shape({ b: [] })).toEqual({ path: ['b'], expected: 'an object' });
    for (const value of [null, undefined, [], 'x', 1]) expect(shape(value)).toEqual({ path: [], expected: 'an object' });
  });

  test('T47: an object is checked without the fields that it inherits', () => {
    expect(shape(JSON.parse('{"__proto__": {"a": 1}}'))).toBeUndefined();
  });
});

test('every element of a list is checked, holes and nulls included', () => {
  const shape = list(string);
  expect(shape([])).toBeUndefined();
  expect(shape(['x', null])).toEqual({ path: [1], expected: 'a string' });
  expect(shape(new Array(2))).toEqual({ path: [0], expected: 'a string' });
  for (const value of [{}, { length: 0 }, 'x', null]) expect(shape(value)).toEqual({ path: [], expected: 'a list' });
});

test('T47: every key of a map is checked, `__proto__` included', () => {
  const shape = map(string);
  expect(shape({})).toBeUndefined();
  expect(shape(JSON.parse('{"a/b": "x", "__proto__": "y"}'))).toBeUndefined();
  expect(shape(JSON.parse('{"__proto__": 1}'))).toEqual({ path: ['__proto__'], expected: 'a string' });
  for (const value of [[], 'x', null]) expect(shape(value)).toEqual({ path: [], expected: 'an object' });
});

test('T22: a map above the limit of entries is rejected, whatever they are', () => {
  const entries = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, 'x']));
  expect(map(string)(entries(10_000))).toBeUndefined();
  expect(map(string)(entries(10_001))).toEqual({ path: [], expected: 'a map of at most 10000 entries' });
});

test('a check copies nothing and changes nothing', () => {
  const value = Object.freeze({ a: Object.freeze(['x']) });
  expect(object({ a: list(string) })(value)).toBeUndefined();
});

test('lists, null and primitive values are no objects', () => {
  expect([{}, Object.create(null)].map(isObject)).toEqual([true, true]);
  expect([null, undefined, [], 'x', 1, true].map(isObject)).toEqual([false, false, false, false, false, false]);
});
