import { expect, test, vi } from 'vitest';
import { makeAnswerCache } from '../../../src/webhook/review/answer-cache.ts';

test('the cache makes a value once from equal data', () => {
  const cache = makeAnswerCache<object>({ buckets: 8, maxChars: 100 });
  const data = () => ({ a: [1, 'b', null, { c: true }], d: {} });
  const made = cache('', data(), () => ({}));
  expect(cache('', data(), vi.fn())).toBe(made);
  expect(cache('other', data(), () => ({}))).not.toBe(made);
});

test.each([
  ['a value', { a: 1 }, { a: 2 }],
  ['the type of a value', { a: 1 }, { a: '1' }],
  ['null and an absent key', { a: null }, {}],
  ['null and an object', { a: null }, { a: {} }],
  ['false and null', { a: false }, { a: null }],
  ['a key', { a: 1 }, { b: 1 }],
  ['an additional key', { a: 1 }, { a: 1, b: 2 }],
  ['an element', [1, 2], [1, 3]],
  ['an additional element', [1], [1, 2]],
  ['an order', [1, 2], [2, 1]],
  ['a list and an object', [1], { 0: 1 }],
  ['an empty list and an empty object', { a: [] }, { a: {} }],
  ['a key that every object inherits', { x: {} }, JSON.parse('{"__proto__": {}}')],
  ['a deep value', { a: [{ b: [{ c: 1 }] }] }, { a: [{ b: [{ c: 2 }] }] }],
])('the cache keeps apart data that differ in %s', (_, one, other) => {
  for (const [first, second] of [
    [one, other],
    [other, one],
  ]) {
    const cache = makeAnswerCache<number>({ buckets: 8, maxChars: 100 });
    expect(cache('', first, () => 1)).toBe(1);
    expect(cache('', second, () => 2)).toBe(2);
    expect(cache('', structuredClone(first), () => 3)).toBe(1);
  }
});

test('a full cache drops its oldest bucket', () => {
  const cache = makeAnswerCache<number>({ buckets: 2, maxChars: 100 });
  const ask = (word: string, value: number) => cache(word, [word], () => value);
  expect([ask('a', 0), ask('b', 1), ask('a', 2), ask('c', 3)]).toEqual([0, 1, 0, 3]);
  expect([ask('b', 4), ask('c', 5), ask('a', 6)]).toEqual([1, 3, 6]);
  expect(ask('b', 7)).toBe(7);
});

test('a bucket keeps the last four entries', () => {
  const cache = makeAnswerCache<number>({ buckets: 2, maxChars: 100 });
  const ask = (word: string, value: number) => cache('', [word], () => value);
  expect(['a', 'b', 'c', 'd', 'e'].map(ask)).toEqual([0, 1, 2, 3, 4]);
  expect(['b', 'c', 'd', 'e', 'a'].map((word, at) => ask(word, 10 + at))).toEqual([1, 2, 3, 4, 14]);
});

test('the cache does not keep data over its size limit', () => {
  const cache = makeAnswerCache<number>({ buckets: 2, maxChars: 6 });
  expect(['abc', 'abc', 'ab', 'ab'].map((word, value) => cache('', [word], () => value))).toEqual([0, 1, 2, 2]);
});
