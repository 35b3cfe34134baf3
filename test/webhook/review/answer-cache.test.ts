import { expect, test, vi } from 'vitest';
import { makeAnswerCache } from '../../../src/webhook/review/answer-cache.ts';

test('makes a thing once from the same data', () => {
  const remember = makeAnswerCache<object>({ buckets: 8, maxChars: 100 });
  const data = () => ({ a: [1, 'b', null, { c: true }], d: {} });
  const made = remember('', data(), () => ({}));
  expect(remember('', data(), vi.fn())).toBe(made);
  expect(remember('other', data(), () => ({}))).not.toBe(made);
});

test.each([
  ['a value', { a: 1 }, { a: 2 }],
  ['a kind of value', { a: 1 }, { a: '1' }],
  ['null and nothing', { a: null }, {}],
  ['null and an object', { a: null }, { a: {} }],
  ['false and null', { a: false }, { a: null }],
  ['a key', { a: 1 }, { b: 1 }],
  ['one key more', { a: 1 }, { a: 1, b: 2 }],
  ['an element', [1, 2], [1, 3]],
  ['one element more', [1], [1, 2]],
  ['an order', [1, 2], [2, 1]],
  ['a list and an object', [1], { 0: 1 }],
  ['an empty list and an empty object', { a: [] }, { a: {} }],
  ['what every object has', { x: {} }, JSON.parse('{"__proto__": {}}')],
  ['something far down', { a: [{ b: [{ c: 1 }] }] }, { a: [{ b: [{ c: 2 }] }] }],
])('tells apart by %s', (_, one, other) => {
  for (const [first, second] of [
    [one, other],
    [other, one],
  ]) {
    const remember = makeAnswerCache<number>({ buckets: 8, maxChars: 100 });
    expect(remember('', first, () => 1)).toBe(1);
    expect(remember('', second, () => 2)).toBe(2);
    expect(remember('', structuredClone(first), () => 3)).toBe(1);
  }
});

test('forgets what came first, and keeps to its bounds', () => {
  const remember = makeAnswerCache<number>({ buckets: 2, maxChars: 100 });
  const ask = (word: string, value: number) => remember(word, [word], () => value);
  expect([ask('a', 0), ask('b', 1), ask('a', 2), ask('c', 3)]).toEqual([0, 1, 0, 3]);
  expect([ask('b', 4), ask('c', 5), ask('a', 6)]).toEqual([1, 3, 6]);
  expect(ask('b', 7)).toBe(7);
});

test('keeps four with the same hint, the last that came', () => {
  const remember = makeAnswerCache<number>({ buckets: 2, maxChars: 100 });
  const ask = (word: string, value: number) => remember('', [word], () => value);
  expect(['a', 'b', 'c', 'd', 'e'].map(ask)).toEqual([0, 1, 2, 3, 4]);
  expect(['b', 'c', 'd', 'e', 'a'].map((word, at) => ask(word, 10 + at))).toEqual([1, 2, 3, 4, 14]);
});

test('keeps nothing of what is too large', () => {
  const remember = makeAnswerCache<number>({ buckets: 2, maxChars: 6 });
  expect(['abc', 'abc', 'ab', 'ab'].map((word, value) => remember('', [word], () => value))).toEqual([0, 1, 2, 2]);
});
