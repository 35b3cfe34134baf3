import { expect, test, vi } from 'vitest';
import { makeMemory } from '../../src/webhook/memory.ts';

test('makes a thing once for each key', () => {
  const remember = makeMemory<object>({ entries: 8, keyLength: 8 });
  const made = remember('a', () => ({}));
  expect(remember('a', vi.fn())).toBe(made);
  expect(remember('b', () => ({}))).not.toBe(made);
});

test('forgets what came first, and keeps to its bounds', () => {
  const remember = makeMemory<number>({ entries: 2, keyLength: 8 });
  for (const [value, key] of ['a', 'b', 'c'].entries()) remember(key, () => value);
  expect(remember('b', () => 7)).toBe(1);
  expect(remember('c', () => 7)).toBe(2);
  expect(remember('a', () => 7)).toBe(7);
  expect(remember('b', () => 8)).toBe(8);
});

test('keeps nothing of keys that are too long', () => {
  const remember = makeMemory<number>({ entries: 2, keyLength: 2 });
  expect(['abc', 'abc', 'ab', 'ab'].map((key, value) => remember(key, () => value))).toEqual([0, 1, 2, 2]);
});
