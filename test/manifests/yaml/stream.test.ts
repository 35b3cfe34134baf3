import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import { printYaml } from '../../../src/manifests/yaml/print.ts';
import { parseStream } from '../../../src/manifests/yaml/stream.ts';

const meaningOf = (text: string): Json | undefined => parseStream(text).documents[0]?.value;
const problemsOf = (text: string): string[] => parseStream(text).problems.map(({ message }) => message);

describe('scalars', () => {
  // Printed by `kubectl patch --local -f - -p '{}' -o json`, kubectl 1.32.
  test.each<[string, Json]>([
    ['yes', true],
    ['y', true],
    ['on', true],
    ['True', true],
    ['NO', false],
    ['n', false],
    ['010', 8],
    ['-010', -8],
    ['0o10', 8],
    ['08', 8],
    ['0_7', 7],
    ['0x1F', 31],
    ['-0x10', -16],
    ['0b11', 3],
    ['1_000', 1000],
    ['+1', 1],
    ['12e03', 12000],
    ['1.', 1],
    ['.5', 0.5],
    ['190:20:30', '190:20:30'],
    ['2020-01-01', '2020-01-01'],
    ['~', null],
    ['', null],
    ['=', '='],
    ['"yes"', 'yes'],
    ["'010'", '010'],
    ['!!str 5', '5'],
    ['!!int "5"', 5],
  ])('the scalar `%s` has the value that kubectl reads', (text, value) => expect(meaningOf(`a: ${text}`)).toStrictEqual({ a: value }));

  test('a scalar that is a key is read as kubectl reads it', () => {
    expect(meaningOf('010: a\nyes: b\n1.5: c\n')).toStrictEqual({ '8': 'a', true: 'b', '1.5': 'c' });
  });
});

describe('T40: ambiguous YAML', () => {
  test.each([
    ['a key that is there twice', 'a: 1\nb: 2\na: 3\n', 'the key a occurs twice'],
    ['two keys that are equal in JSON', '1: a\n"1": b\n', 'the key 1 occurs twice'],
    [
      'a merge below a key that it overrides',
      'a: 1\n<<: {a: 2}\n',
      'the key a is set above <<, which also merges it, and parsers differ in which value they use',
    ],
    ['a tag', 'a: !!binary aGVsbG8=\n', 'Unresolved tag: tag:yaml.org,2002:binary'],
    ['a tag that a directive changes', '%TAG !! tag:x,2000:\n---\na: !!int "5"\n', 'Unresolved tag: tag:x,2000:int'],
    ['a number that JSON does not have', 'a: .nan\n', '.nan is a number that JSON does not have'],
    ['a key that is not text', '[a]: 1\n', 'a key must be text'],
    ['an alias without its anchor', 'a: *x\n', '*x names no anchor above it'],
    ['an alias of the value that contains it', 'a: &x [*x]\n', '*x names no anchor above it'],
  ])('T40: ambiguous YAML is rejected: %s', (_, text, message) => expect(problemsOf(text)).toEqual([message]));
});

test('each alias has its own copy of the value', () => {
  const { a, b } = meaningOf('a: &x {c: [1]}\nb: *x\n') as { a: { c: Json }; b: { c: Json } };
  expect(b).toStrictEqual(a);
  expect(b.c).not.toBe(a.c);
});

test('a merged key applies where the map does not set it', () => {
  expect(meaningOf('x: &x {a: 1, b: 2}\ny: &y {a: 3, c: 4}\nz:\n  <<: [*x, *y]\n  b: 5\n')).toHaveProperty('z', { a: 1, b: 5, c: 4 });
});

test('aliases of aliases expand to a limit', () => {
  const level = (name: string, of: string): string => `${name}: &${name} [${Array(10).fill(of).join(', ')}]\n`;
  const bomb = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].reduce(
    (text, name, index) => text + level(name, `*${'abcdefghi'[index]}`),
    level('a', 'x'),
  );
  expect(problemsOf(bomb)[0]).toBe('aliases expand to more than 100000 values');
});

test('T44: nesting that is too deep is reported and does not overflow the stack', () => {
  expect(problemsOf('['.repeat(100_000)).at(-1)).toBe('the document is nested too deeply to be read');
});

test('T47: `__proto__` is an ordinary key', () => {
  const value = meaningOf('__proto__: {a: 1}\nb: &b {__proto__: 2}\nc: *b\n') as Record<string, object>;
  expect(Object.keys(value)).toEqual(['__proto__', 'b', 'c']);
  expect(Object.keys(value.c ?? {})).toEqual(['__proto__']);
});

test('a printed value is read as the same value', () => {
  const value = {
    yes: 'no',
    '010': '0x1F',
    '<<': null,
    list: ['1_0', '.5', 'a: b', '# c', 'two\nlines', '', {}, []],
    number: 8,
    nested: { on: true },
  };
  expect(meaningOf(printYaml(value, {}))).toStrictEqual(value);
  expect(meaningOf(printYaml(value, { collectionStyle: 'flow', flowCollectionPadding: false }))).toStrictEqual(value);
});
