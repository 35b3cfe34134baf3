import { expect, test } from 'vitest';
import { excerptOf } from '../../src/core/excerpt.ts';

test('a text of 100 characters is quoted whole, and a longer one ends with an ellipsis in its place 100', () => {
  expect(excerptOf('x'.repeat(100))).toBe('x'.repeat(100));
  expect(excerptOf('x'.repeat(101))).toBe(`${'x'.repeat(99)}…`);
  expect(excerptOf('x'.repeat(100_000))).toBe(`${'x'.repeat(99)}…`);
});
