import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCommon } from '../../../src/manifests/yaml/common.ts';
import { readByLibrary } from '../../../src/manifests/yaml/library.ts';
import type { ReadDocument } from '../../../src/manifests/yaml/tree.ts';

const root = join(import.meta.dirname, '../../..');
const documents = globSync(
  ['test/cases/*.yaml', 'examples/**/*.{yaml,json}', 'test/fixtures/**/*.json', 'charts/*/values.yaml', 'docs/**/*.md'],
  {
    cwd: root,
  },
).flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8');
  const texts = file.endsWith('.md') ? [...text.matchAll(/```(?:ya?ml|json)\n([\s\S]*?)```/g)].map(([, inner = '']) => inner) : [text];
  return texts.flatMap((each) => each.split(/^(?=---\n)/m)).filter(({ length }) => length < 50_000);
});

/** Where both must agree. @returns whether the text is common */
function compare(text: string): boolean {
  const read = readCommon(text, 7);
  if (read === undefined) return false;
  const others = [...readByLibrary(text, 7)];
  expect(
    others.flatMap(({ problems }) => problems),
    JSON.stringify(text),
  ).toEqual([]);
  expect(read.map(fieldsOf), JSON.stringify(text)).toStrictEqual(others.map(fieldsOf));
  return true;
}

const fieldsOf = ({ root: node, value, aliases, merges }: ReadDocument): Omit<ReadDocument, 'start'> => ({
  root: node,
  value,
  aliases,
  merges,
});

describe('common YAML', () => {
  test('the manifests and examples of this repository are read as the `yaml` package reads them, and most are common', () => {
    const common = documents.filter(compare);
    expect(documents.length).toBeGreaterThan(150);
    expect(common.length / documents.length).toBeGreaterThan(0.9);
  });

  test.each([
    ['a literal block with an empty line', 'a: |\n  b\n\n  c\nd: |-\n  e\n'],
    ['a literal block at the end of a text without a line break', 'a: |\n    b\n     c'],
    ['a list below its key', 'a:\n- b: c\n  d: e\n-\n  f: g\n- - h\n  - i\nj: k\n'],
    ['comments everywhere', '---  # b\nc: # d\n  # e\n  f: g # h\n  # i\n# j\nk: l\n   # m\n'],
    ['brackets', 'a: [b, "c", {d: e, "f":1}, [], {}]\ng: {h: [1,\n    2\n  ]}\n'],
    ['JSON over several lines', '{\n  "a": [\n    1e3, -0, null\n  ],\n  "b": "\\u00e9\\n\\\\"\n}\n'],
    ['values that are not there', 'a:\nb:   \nc: # d\ne:\n- \n-   # f\n'],
    ['scalars of kubectl', "yes: no\n010: 0x1F\n1_0: ~\n\"on\": 'it''s'\n"],
    ['text with colons and hashes', 'a: b:c#d\ne: f#\ng: http://h\n'],
    ['a document without content', '---\n# a\n'],
    ['a text without a document', '# a\n\n'],
  ])('common YAML is read as the `yaml` package reads it: %s', (_, text) => expect(compare(text)).toBe(true));

  test.each([
    ['an anchor', 'a: &b c\n'],
    ['an alias', 'a: *b\n'],
    ['a merge key', '<<: {a: b}\n'],
    ['a tag', 'a: !!str 1\n'],
    ['a key that occurs twice', 'a: 1\na: 2\n'],
    ['two keys that are equal in JSON', '1: a\n"1": b\n'],
    ['a key that is null', 'null: a\n'],
    ['a number that JSON does not have', 'a: .nan\n'],
    ['a number that is too large', 'a: 1e999\n'],
    ['a value on the next line', 'a:\n  b\n'],
    ['a value on several lines', 'a: b\n  c\n'],
    ['folded text', 'a: >\n  b\n'],
    ['a literal block with a line of more spaces', 'a: |\n  b\n     \n  c\n'],
    ['a tab', 'a:\tb\n'],
    ['line breaks of Windows', 'a: b\r\n'],
    ['a map in a value', 'a: b: c\n'],
    ['a list on the line of its key', 'a: - b\n'],
    ['wrong indentation', 'a:\n    b: c\n  d: e\n'],
    ['a bracket that is not closed', 'a: [b\n'],
    ['a quote that is not closed', "'a: b\n"],
    ['text behind a quote', 'a: "b" c\n'],
    ['a further line of brackets that is not indented', 'a:\n  b: [c,\n  d]\n'],
    ['a comment in brackets', 'a: [b, # c\n  d]\n'],
    ['nesting that is too deep', '['.repeat(10_000)],
  ])('what is not common, or wrong, is left to the package: %s', (_, text) => expect(readCommon(text, 0)).toBeUndefined());

  const BITS =
    '\n| |  |#| #|: |:|- |-|\t|"|\'|[|]|{|}|,|, |>|&a |*a|!!str |~|null|yes|010|.5|1e999|<<|---\n|--- |\n\n|\n  |\n    |# c\n|\\n|\\"|a: b\n|- a\n|? |%|@|\ufeff|\u0085|\u00a0|"a": 1|{a: b}|[a, b]|\n   # c\n|=|$|(|\\|\n-';
  const bit = fc.constantFrom(...BITS.split('|'), '|', '|-', '|\n', "''");
  const change = fc.record({ at: fc.nat(10_000), removed: fc.nat(4), from: fc.nat(10_000), copied: fc.nat(20), bit, kind: fc.nat(2) });
  const part = fc.record({ document: fc.nat(10_000), line: fc.nat(10_000), lines: fc.integer({ min: 2, max: 16 }) });

  test('parts of these documents with random changes are read as the package reads them', () => {
    let common = 0;
    fc.assert(
      fc.property(part, fc.array(change, { maxLength: 4 }), (cut, changes) => {
        const text = changes.reduce((before, { at, removed, from, copied, bit: added, kind }) => {
          const offset = at % (before.length + 1);
          const inserted = kind === 0 ? '' : kind === 1 ? added : before.slice(from % (before.length + 1)).slice(0, copied);
          return before.slice(0, offset) + inserted + before.slice(offset + (kind === 0 ? removed : 0));
        }, partOf(cut));
        if (compare(text)) common += 1;
      }),
      { numRuns: 3_000 },
    );
    expect(common).toBeGreaterThan(300);
  }, 60_000);

  /** Some lines of a document, without the indentation of the first. */
  function partOf(cut: { readonly document: number; readonly line: number; readonly lines: number }): string {
    const lines = (documents[cut.document % documents.length] ?? '').split('\n');
    const from = cut.line % lines.length;
    const taken = lines.slice(from, from + cut.lines);
    const indent = /^ */.exec(taken[0] ?? '')?.[0] ?? '';
    return `${taken.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)).join('\n')}\n`;
  }
});
