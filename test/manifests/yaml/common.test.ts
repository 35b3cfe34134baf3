import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { pods } from '../../../bench/reviews/pods.ts';
import { readCommon } from '../../../src/manifests/yaml/common.ts';
import { readByLibrary } from '../../../src/manifests/yaml/library.ts';
import { parseStream } from '../../../src/manifests/yaml/stream.ts';
import { isBlank, type ReadDocument, type YamlNode } from '../../../src/manifests/yaml/tree.ts';

const root = join(import.meta.dirname, '../../..');

/** A document without where blank values are: `js-yaml` has no place for them, and `yaml` has the one behind the white space. */
function comparable({ root: node, ...rest }: ReadDocument): unknown {
  return { ...rest, root: node && withoutBlanks(node) };
}

function withoutBlanks(node: YamlNode): unknown {
  if (isBlank(node)) return 'blank';
  if (node.kind !== 'map' && node.kind !== 'list') return node;
  return { ...node, members: node.members.map((member) => ({ ...member, value: withoutBlanks(member.value) })) };
}

/** @returns whether `js-yaml` reads the document. It must then have the values and places of `yaml`. */
function isReadEqually(text: string): boolean {
  const common = readCommon(text);
  if (common === undefined) return false;
  const { document, problems } = readByLibrary(text);
  expect(problems, JSON.stringify(text)).toEqual([]);
  expect(comparable(common), JSON.stringify(text)).toStrictEqual(document && comparable(document));
  return true;
}

const TEXTS = [
  'apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {x: "y", "z":w, v: , u}}\nspec:\n  containers:\n  - name: a\n    args: [a, "b", \'c\', ]\n    command:\n    - sh\n    - -c\n    - |\n      echo a\n\n      echo b\n  hostPID: true # c\n',
  "# head\n---\na: |+\n  x\n\nb: >-\n  y\n  z\n\n# c\nc: \"multi\n  line\"\nd: 'it''s'\n",
  '{"a": [1, 2, {"b": null}], "c": "x\\ny", "d": {}}\n',
  'a:\n- b: c\n  d:\n  - e\n  -\n    f: g\n-\n- - h\n  - i\n',
  'a: b c\n  d e\nf: g\n\n\nh:\n\n  # x\n  i: 1 #y\n',
  '\ufeffyes: no\n010: 0x1F\n1.5: 2020-01-01\n',
];

const CARRIAGE_RETURNS = 'a:\r\n  b: |2-\r\n     c\r\n\r\n  d: e\r\n';

describe('js-yaml and yaml read a document with the same values and places', () => {
  test.each(TEXTS)('%j', (text) => expect(isReadEqually(text)).toBe(true));

  test('a Pod of the benchmark', () => expect(isReadEqually(stringify(pods.small))).toBe(true));

  test('the manifests of this repository', () => {
    const files = globSync('{examples,charts,docs,test,.github}/**/*.{yaml,yml}', { cwd: root });
    const parts = files.flatMap((file) => parseStream(readFileSync(join(root, file), 'utf8')).documents.map(({ part }) => part.text));
    const read = parts.filter(isReadEqually);
    expect(read.length).toBeGreaterThan(parts.length / 2);
  });

  // Mutations of texts: most are no YAML any more, and some are YAML that no person writes.
  const piece = fc.oneof(
    fc.constantFrom(
      ...['a', '1', ' ', '  ', '\n', '\n  ', '\n    ', ':', ': ', '- ', '? ', '#', ' # c', ',', '[', ']', '{', '}', '&x ', '*x', '!!str '],
      ...['!', '|', '|-\n', '>', '>+\n', "'", '"', '<<: ', '\t', '\r\n', '\\\n', '~', 'yes', '\ufeff', '%', '@', '=', '\n\n', '- - '],
    ),
    fc
      .tuple(fc.constantFrom(...TEXTS, CARRIAGE_RETURNS), fc.nat(), fc.nat(20))
      .map(([text, from, length]) => text.slice(from % text.length).slice(0, length)),
  );
  const change = fc.record({ at: fc.nat(), removed: fc.nat(3), added: piece });
  test('changed texts', () => {
    let count = 0;
    fc.assert(
      fc.property(fc.constantFrom(...TEXTS, CARRIAGE_RETURNS), fc.array(change, { minLength: 1, maxLength: 3 }), (text, changes) => {
        const changed = changes.reduce((now, { at, removed, added }) => {
          const start = at % (now.length + 1);
          return now.slice(0, start) + added + now.slice(start + removed);
        }, text);
        for (const { part } of parseStream(changed).documents) {
          // Only JSON may have a carriage return alone, and `yaml` does not read it.
          if (/\r(?!\n)/.test(part.text)) continue;
          if (isReadEqually(part.text)) count += 1;
        }
      }),
      { numRuns: 3_000 },
    );
    expect(count).toBeGreaterThan(300);
  }, 60_000);
});

test.each([
  ['an anchor and an alias', 'a: &x 1\nb: *x\n'],
  ['a merge', 'a: {<<: {b: 1}}\n'],
  ['a tag', 'a: !!str 5\n'],
  ['a directive', '%YAML 1.2\n---\na: 1\n'],
  ['the end of a document', 'a: 1\n...\n'],
  ['a key behind a question mark', '? a\n: 1\n'],
  ['a key without text', ': 1\n'],
  ['a key that is a list', '[a]: 1\n'],
  ['a pair without brackets', 'a: [b: c]\n'],
  ['a pair without brackets whose key is a map', 'a: [{b: c}: d]\n'],
  ['a key twice', 'a: 1\na: 2\n'],
  ['a number that JSON does not have', 'a: .inf\n'],
  ['a number that is too large', 'a: 1e999\n'],
  ['a byte order mark inside', 'a: b\ufeff\n'],
  ['an empty line below a continued line', 'a: "b\\\n\n  c"\n'],
  ['a bracket that closes at the column of its key', 'a: [\n  b\n]\n'],
  ['line ends of Windows', CARRIAGE_RETURNS],
  ['a tab', 'a:\n\t\n'],
  ['a line of blanks', 'a: b\n  \n'],
  ['a block scalar with its indentation', 'a: |2\n    b\n'],
  ['a comment indented less than what follows', 'a:\n#\n  b: c\n'],
  ['no map', '- a\n'],
  ['no value', '# a\n'],
  ['bad YAML', 'a: ]\n'],
  ['101 levels', `a: ${'['.repeat(101)}${']'.repeat(101)}\n`],
])('a rare document is left to the package yaml: %s', (_, text) => expect(readCommon(text)).toBeUndefined());
