import { describe, expect, test } from 'vitest';
import { isEqualJson } from '../../src/core/json.ts';

const nested = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}1${']'.repeat(levels)}`);

describe('two values of JSON', () => {
  test.each<[unknown, unknown]>([
    [null, null],
    ['a', 'a'],
    [{}, {}],
    [
      { a: 1, b: [2, { c: null }] },
      { b: [2, { c: null }], a: 1 },
    ],
    [nested(30), nested(30)],
  ])('%j equals %j', (one, other) => {
    expect(isEqualJson(one, other)).toBe(true);
    expect(isEqualJson(other, one)).toBe(true);
  });

  test.each<[unknown, unknown]>([
    [null, {}],
    [0, false],
    [1, {}],
    [[], {}],
    [{ a: 1 }, {}],
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: 1 }, { b: 1 }],
    [[1, 2], [1]],
    [
      [1, 2],
      [2, 1],
    ],
    [JSON.parse('{"__proto__":1}'), {}],
    [{ toString: 1 }, {}],
  ])('%j differs from %j', (one, other) => {
    expect(isEqualJson(one, other)).toBe(false);
    expect(isEqualJson(other, one)).toBe(false);
  });
});

test('T44: values of 100,000 levels are compared without a full stack, and count as different', () => {
  expect(isEqualJson(nested(100_000), nested(100_000))).toBe(false);
  const maps = (): unknown => JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`);
  expect(isEqualJson(maps(), maps())).toBe(false);
});
