import { describe, expect, test } from 'vitest';
import type { PatchOp } from '../../../src/core/patch.ts';
import { edit } from '../../../src/manifests/edit/edit.ts';
import { parseStream } from '../../../src/manifests/yaml/stream.ts';

function edited(text: string, ...operations: PatchOp[]): string {
  const result = edit(text, parseStream(text).documents, [operations]);
  return result.ok ? result.value : `error: ${result.error}`;
}

const add = (path: string, value: never | object | string | number | boolean | null): PatchOp => ({
  op: 'add',
  path,
  value: value as never,
});
const replace = (path: string, value: object | string | number | boolean | null): PatchOp => ({
  op: 'replace',
  path,
  value: value as never,
});
const remove = (path: string): PatchOp => ({ op: 'remove', path });

describe('a scalar is replaced in place', () => {
  test.each([
    ['its comment stays', 'a: yes   # why\nb: 1\n', replace('/a', false), 'a: false   # why\nb: 1\n'],
    ['its quotes stay', `a: "x"\nb: 'y'\n`, replace('/b', "it's"), `a: "x"\nb: 'it''s'\n`],
    ['quotes are added where they are needed', 'a: x\n', replace('/a', 'yes'), 'a: "yes"\n'],
    ['line ends stay', 'a: 1\r\nb: 2\r\n', add('/c', { d: 1 }), 'a: 1\r\nb: 2\r\nc:\r\n  d: 1\r\n'],
    [
      'an empty value becomes a block below its comment',
      'a: # none yet\nb: 1\n',
      replace('/a', { c: [1] }),
      'a: # none yet\n  c:\n  - 1\nb: 1\n',
    ],
    ['a byte order mark stays', '\ufeffa: 1\n', add('/b', 2), '\ufeffa: 1\nb: 2\n'],
  ])('a scalar is replaced in place: %s', (_, text, operation, outcome) => expect(edited(text, operation)).toBe(outcome));
});

describe('a pair is removed with its lines', () => {
  test.each([
    ['comments above the next pair stay', 'a: 1 # of a\n# of b\nb: 2\n', remove('/a'), '# of b\nb: 2\n'],
    ['comments directly above it are removed with it', 'x: 1\n# of a\n# why\na: 1\nb: 2\n', remove('/a'), 'x: 1\nb: 2\n'],
    ['comments above an empty line stay', '# head\n\na: 1\nb: 2\n', remove('/a'), '# head\n\nb: 2\n'],
    ['comments of another column stay', 'x:\n  y: 1\n  # of x\na: 1\nb: 2\n', remove('/a'), 'x:\n  y: 1\n  # of x\nb: 2\n'],
    ['comments above an item', 'a:\n- 1\n# two\n- 2\n# three\n- 3\n', remove('/a/1'), 'a:\n- 1\n# three\n- 3\n'],
    ['comments at the start of the text', '\ufeff# of a\na: 1\nb: 2\n', remove('/a'), '\ufeffb: 2\n'],
    ['deeper comments below it are removed with it', 'a:\n  x: 1\n  # inside\nb: 2\n', remove('/a'), 'b: 2\n'],
    ['the first pair after a dash', '- a: 1 # gone\n  b: 2\n', remove('/0/a'), '- b: 2\n'],
    ['the first pair after a dash, with comments after it', '- a: 1\n  # of b\n  b: 2\n', remove('/0/a'), '-\n  # of b\n  b: 2\n'],
    ['the only pair leaves an empty map', 'x: # c\n  # d\n  a: 1\ny: 1\n', remove('/x/a'), 'x: {} # c\ny: 1\n'],
    ['the last pair of a text without a line end', 'a: 1\nb: 2', remove('/b'), 'a: 1'],
    ['a block of text', 'a: |\n  # text\n\n  more\nb: 2\n', remove('/a'), 'b: 2\n'],
  ])('a pair is removed with its lines: %s', (_, text, operation, outcome) => expect(edited(text, operation)).toBe(outcome));
});

describe('an added value has the style of its neighbours', () => {
  test.each([
    ['deep indentation', 'a:\n    b: 1\n', add('/a/c', { d: { e: 1 } }), 'a:\n    b: 1\n    c:\n        d:\n            e: 1\n'],
    ['lists below their key', 'a:\n- 1\n', add('/b', [{ c: 1 }]), 'a:\n- 1\nb:\n- c: 1\n'],
    ['lists indented', 'a:\n  - 1\n', add('/b', [{ c: 1 }]), 'a:\n  - 1\nb:\n  - c: 1\n'],
    ['an item', 'a:\n- b: 1\n  c: 2 # x\nd: 1\n', add('/a/-', { b: 2 }), 'a:\n- b: 1\n  c: 2 # x\n- b: 2\nd: 1\n'],
    ['an item before others', 'a:\n  - 1\n', add('/a/0', 0), 'a:\n  - 0\n  - 1\n'],
    ['flow', 'a: {b: 1}\n', add('/a/c', { d: 'x, y' }), 'a: {b: 1, c: {d: "x, y"}}\n'],
    ['flow with spaces', 'a: [ 1, 2 ] # c\n', add('/a/-', 3), 'a: [ 1, 2, 3 ] # c\n'],
    ['flow over lines', 'a: {\n  b: 1, # one\n  c: 2 # two\n}\n', add('/a/d', 3), 'a: {\n  b: 1, # one\n  c: 2, # two\n  d: 3\n}\n'],
    ['empty flow', 'a: {}\n', add('/a/b', true), 'a: {b: true}\n'],
    ['JSON on a line', '{"a":{"b":1}}', add('/a/c', [{ d: 1 }]), '{"a":{"b":1, "c":[{"d":1}]}}'],
    [
      'JSON over lines',
      '{\n\t"a": {\n\t\t"b": 1\n\t}\n}\n',
      add('/a/c', { d: 1 }),
      '{\n\t"a": {\n\t\t"b": 1,\n\t\t"c": {\n\t\t\t"d": 1\n\t\t}\n\t}\n}\n',
    ],
    ['empty JSON', '{\n  "a": {}\n}\n', add('/a/b', 1), '{\n  "a": {\n    "b": 1\n  }\n}\n'],
  ])('an added value has the style of its neighbours: %s', (_, text, operation, outcome) => expect(edited(text, operation)).toBe(outcome));
});

describe('a member is removed from a flow collection', () => {
  test.each([
    ['the first', 'a: [1, 2, 3]\n', remove('/a/0'), 'a: [2, 3]\n'],
    ['the last', 'a: { b: 1, c: 2 }\n', remove('/a/c'), 'a: { b: 1 }\n'],
    ['the only one', 'a: [ 1 ]\n', remove('/a/0'), 'a: []\n'],
    ['comments stay', 'a: [\n  1, # one\n  2, # two\n]\n', remove('/a/0'), 'a: [\n   # one\n  2, # two\n]\n'],
  ])('a member is removed from a flow collection: %s', (_, text, operation, outcome) => expect(edited(text, operation)).toBe(outcome));
});

describe('an edit changes no other place through an anchor', () => {
  test.each([
    ['an edit through an alias', 'a: &x\n  p: true # p\nb: *x # b\n', replace('/b/p', false), 'a: &x\n  p: true # p\nb: # b\n  p: false\n'],
    [
      'an edit of the aliased value',
      'a: &x\n  p: true\nb: *x\nc: [*x]\n',
      replace('/a/p', false),
      'a: &x\n  p: false\nb:\n  p: true\nc: [{p: true}]\n',
    ],
    ['an alias is removed', 'a: &x {p: 1}\nb: *x\n', remove('/b'), 'a: &x {p: 1}\n'],
    ['an anchor is removed', 'a: &x 1\nb: *x\n', remove('/a'), 'b: 1\n'],
    [
      'a merged key is overridden',
      'a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\n',
      replace('/b/p', 3),
      'a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\n  p: 3\n',
    ],
    ['a merged key is removed', 'a: &x {p: 1, r: 2}\nb:\n  <<: *x\n  q: 2\n', remove('/b/p'), 'a: &x {p: 1, r: 2}\nb:\n  r: 2\n  q: 2\n'],
    ['an edit of the merged map', 'a: &x {p: 1}\nb: {<<: *x, q: 2}\n', replace('/a/p', 3), 'a: &x {p: 3}\nb: {p: 1, q: 2}\n'],
    ['other anchors are unchanged', 'a: &x {p: 1}\nb: *x\nc: 1\n', replace('/c', 2), 'a: &x {p: 1}\nb: *x\nc: 2\n'],
  ])('an edit changes no other place through an anchor: %s', (_, text, operation, outcome) =>
    expect(edited(text, operation)).toBe(outcome),
  );
});

test('a merged key is overridden while the merged map changes too', () => {
  const text = 'a: &x {p: 1}\nb: &y\n  <<: *x\n  q: 2\nc: *x\n';
  expect(edited(text, replace('/a/p', 3), replace('/b/p', 4), replace('/c/p', 5))).toBe(
    'a: &x {p: 3}\nb: &y\n  p: 4\n  q: 2\nc:\n  p: 5\n',
  );
});

test('additions at one offset are written from the inside out', () => {
  expect(edited('a:\n  b: 1\n', add('/c', 3), add('/a/d', 2))).toBe('a:\n  b: 1\n  d: 2\nc: 3\n');
});

test('each document has its own patch', () => {
  const text = 'a: 1\n---\n# empty\n---\na: 2 # two\n';
  const result = edit(text, parseStream(text).documents, [[replace('/a', 3)], [], [add('/b', 4)]]);
  expect(result).toEqual({ ok: true, value: 'a: 3\n---\n# empty\n---\na: 2 # two\nb: 4\n' });
});

describe('an edit that is not possible is reported', () => {
  test.each([
    ['a path that does not exist', 'a: 1\n', remove('/b/c'), 'error: /b/c leads through b, which is not there'],
    ['a path into a scalar', 'a: 1\n', add('/a/b', 1), 'error: /a/b leads into something that is neither a map nor a list'],
    ['keys with question marks', '? a\n: 1\n', add('/b', 1), expect.stringContaining('keys are written with "?"')],
    ['a pair without brackets', 'a: [b: 1]\n', add('/a/0/c', 1), expect.stringContaining('without brackets')],
  ])('an edit that is not possible is reported: %s', (_, text, operation, message) => expect(edited(text, operation)).toEqual(message));
});
