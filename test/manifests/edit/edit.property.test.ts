import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, test } from 'vitest';
import type { Json } from '../../../src/core/json.ts';
import type { PatchOp } from '../../../src/core/patch.ts';
import { pointerOf } from '../../../src/core/pointer.ts';
import { edit } from '../../../src/manifests/edit/edit.ts';
import { parseStream } from '../../../src/manifests/yaml/stream.ts';

/** The choices of a writer of YAML, wherever YAML allows several forms. */
interface Hand {
  pick(choices: number): number;
}

const key = fc.constantFrom('a', 'b', 'name', 'spec', 'x-y', 'kubernetes.io/os', 'yes', '010', 'with space', 'a/b~c', '<<', '');
const leaf = fc.constantFrom<Json>(
  null,
  true,
  false,
  0,
  8,
  -1,
  1.5,
  '',
  'text',
  'yes',
  '010',
  '# no comment',
  'a: b',
  "it's",
  '"q"',
  '- x',
  'two\nlines',
  '{',
  ', ]',
);
const { tree } = fc.letrec<{ tree: Json; map: Json; list: Json }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('map'), tie('list')),
  map: fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
  list: fc.array(tie('tree'), { maxLength: 4 }),
}));
const root = fc.dictionary(key, tree, { minKeys: 1, maxKeys: 5, noNullPrototype: true });
const hands = fc.infiniteStream(fc.nat(1000)).map((choices): Hand => ({ pick: (count) => (choices.next().value as number) % count }));

describe('edited text without anchors', () => {
  test('the value of the edited text is the patched value of the text', () => {
    fc.assert(
      fc.property(root, hands, fc.infiniteStream(fc.nat(10_000)), tree, (value, hand, seeds, given) => {
        const text = write(value, hand);
        expect(meaningOf(text)).toEqual(value);
        const operations = operationsOn(value, seeds, given);
        const edited = edit(text, parseStream(text).documents, [operations]);
        expect(edited.ok, edited.ok ? '' : `${edited.error}: ${text}\n${JSON.stringify(operations)}`).toBe(true);
        if (edited.ok)
          expect(meaningOf(edited.value), `${text}\n=>\n${edited.value}\n${JSON.stringify(operations)}`).toEqual(
            applied(value, operations),
          );
      }),
      { numRuns: 500 },
    );
  }, 60_000);

  test('the edited text is unchanged above and below the patched lines', () => {
    fc.assert(
      fc.property(
        root,
        root,
        tree,
        root,
        hands,
        fc.infiniteStream(fc.nat(10_000)),
        tree,
        (above, below, value, beside, hand, seeds, given) => {
          const [head, tail] = [write({ above }, hand, '\n'), write({ below }, hand, '\n')];
          const text = head + write({ concerned: { value, beside } }, hand, '\n') + tail;
          const operations = operationsOn({ value, beside }, seeds, given).map((each) => ({ ...each, path: `/concerned${each.path}` }));
          const edited = edit(text, parseStream(text).documents, [operations]);
          if (!edited.ok) throw new Error(edited.error);
          expect(edited.value.startsWith(head), edited.value).toBe(true);
          expect(edited.value.endsWith(tail), edited.value).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  }, 60_000);
});

describe('edited text with anchors, aliases and merges', () => {
  const entries = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom<Json>(1, true, { x: 1 }), {
    minKeys: 1,
    maxKeys: 3,
    noNullPrototype: true,
  });
  const item = fc.oneof(
    fc.constant('*one'),
    fc.record({ merged: fc.constantFrom('*one', '[*one, *two]', '*two'), own: entries, isFlow: fc.boolean() }),
    entries,
  );

  test('the value of the edited text is the patched value of the text, at each place separately', () => {
    const given = fc.tuple(entries, entries, fc.array(item, { minLength: 1, maxLength: 4 }), fc.infiniteStream(fc.nat(10_000)), leaf);
    fc.assert(
      fc.property(given, ([one, two, items, seeds, value]) => {
        const text = `one: &one ${JSON.stringify(one)}\ntwo: &two\n${block(two, '  ')}list:\n${items.map(written).join('')}`;
        const before = meaningOf(text) as Json;
        const operations = operationsOn(before, seeds, value);
        const edited = edit(text, parseStream(text).documents, [operations]);
        if (!edited.ok) throw new Error(`${edited.error}: ${text}`);
        expect(meaningOf(edited.value), `${text}\n=>\n${edited.value}`).toEqual(applied(before, operations));
      }),
      { numRuns: 2_000 },
    );
  }, 60_000);

  const block = (map: object, pad: string): string =>
    Object.entries(map)
      .map(([name, value]) => `${pad}${name}: ${JSON.stringify(value)}\n`)
      .join('');

  function written(each: typeof item extends fc.Arbitrary<infer T> ? T : never): string {
    if (typeof each === 'string') return `- ${each}\n`;
    if (!('merged' in each)) return `-\n${block(each, '  ')}`;
    const { merged, own, isFlow } = each as { merged: string; own: object; isFlow: boolean };
    return isFlow ? `- {<<: ${merged}, ${JSON.stringify(own).slice(1, -1)}}\n` : `- <<: ${merged}\n${block(own, '  ')}`;
  }
});

function meaningOf(text: string): Json | undefined {
  const { documents, problems } = parseStream(text);
  expect(problems, text).toEqual([]);
  return documents[0]?.value;
}

function applied(value: Json, operations: readonly PatchOp[]): Json {
  return jsonPatch.applyPatch(
    structuredClone(value),
    operations.map((each) => structuredClone(each) as Operation),
    true,
    true,
  ).newDocument as Json;
}

/** One to four operations, each fitting the result of those before it. */
function operationsOn(value: Json, seeds: Iterator<number>, given: Json): PatchOp[] {
  const next = (count: number): number => (seeds.next().value as number) % count;
  const operations: PatchOp[] = [];
  const wanted = 1 + next(4);
  for (let turn = 0; turn < wanted; turn += 1) {
    const now = applied(value, operations);
    const places = placesIn(now, []);
    const path = places[next(places.length)] ?? [];
    const target = path.reduce<unknown>((at, step) => (at as Record<string | number, unknown>)[step], now);
    const isContainer = typeof target === 'object' && target !== null;
    const kind = next(3);
    if (isContainer && kind === 0) {
      const step = Array.isArray(target)
        ? next(2) === 0
          ? '-'
          : String(next(target.length + 1))
        : (['new', 'hostUsers', 'a'][next(3)] as string);
      operations.push({ op: 'add', path: `${pointerOf(path)}/${step}`, value: given });
    } else if (path.length > 0) {
      operations.push(kind === 1 ? { op: 'remove', path: pointerOf(path) } : { op: 'replace', path: pointerOf(path), value: given });
    }
  }
  return operations;
}

function placesIn(value: Json, path: (string | number)[]): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries: [string | number, Json][] = Array.isArray(value)
    ? value.map((each, index) => [index, each])
    : Object.entries(value as object);
  return [path, ...entries.flatMap(([step, each]) => placesIn(each, [...path, step]))];
}

/** Writes a value as YAML, in one of its many forms. */
function write(value: { readonly [key: string]: Json }, hand: Hand, fixedBreak?: string): string {
  const lineBreak = fixedBreak ?? (hand.pick(6) === 0 ? '\r\n' : '\n');
  const step = [2, 2, 4, 3][hand.pick(4)] as number;
  const end = fixedBreak ?? (hand.pick(6) === 0 ? '' : lineBreak);
  return `${fixedBreak === undefined && hand.pick(5) === 0 ? `# head${lineBreak}---${lineBreak}` : ''}${blockMap(value, 0).join(lineBreak)}${end}`;

  function blockMap(map: { readonly [key: string]: Json }, column: number): string[] {
    return Object.entries(map).flatMap(([name, each]) => [
      ...noise(column),
      ...entry(`${quoted(name)}:`, each, column, hand.pick(2) === 0 ? column : column + step),
    ]);
  }

  function blockList(list: readonly Json[], column: number): string[] {
    return list.flatMap((each) => {
      if (hand.pick(2) === 0 && typeof each === 'object' && each !== null && Object.keys(each).length > 0) {
        const lines = Array.isArray(each) ? blockList(each, column + 2) : blockMap(each as { [key: string]: Json }, column + 2);
        const first = lines.findIndex((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
        if (first === 0) return [...noise(column), `${' '.repeat(column)}- ${(lines[0] as string).trimStart()}`, ...lines.slice(1)];
        return [...noise(column), `${' '.repeat(column)}-`, ...lines];
      }
      return [...noise(column), ...entry('-', each, column, column + 2)];
    });
  }

  function entry(head: string, each: Json, column: number, listColumn: number): string[] {
    const pad = ' '.repeat(column);
    const isEmpty = typeof each !== 'object' || each === null || Object.keys(each).length === 0;
    if (each === null && hand.pick(2) === 0) return [`${pad}${head}${trail()}`];
    if (typeof each === 'string' && each.includes('\n') && hand.pick(2) === 0) {
      return [`${pad}${head} |-`, ...each.split('\n').map((line) => `${' '.repeat(column + step)}${line}`)];
    }
    if (isEmpty || hand.pick(4) === 0) return flowEntry(`${pad}${head} `, each, column);
    if (Array.isArray(each)) return [`${pad}${head}${trail()}`, ...blockList(each, listColumn)];
    return [`${pad}${head}${trail()}`, ...blockMap(each as { [key: string]: Json }, column + step)];
  }

  function flowEntry(head: string, each: Json, column: number): string[] {
    if (typeof each === 'object' && each !== null && Object.keys(each).length > 0 && hand.pick(2) === 0) {
      const parts = Array.isArray(each) ? each.map(flow) : Object.entries(each).map(([name, one]) => `${quoted(name)}: ${flow(one)}`);
      const [open, close] = Array.isArray(each) ? '[]' : '{}';
      const inner = ' '.repeat(column + step);
      const isTrailing = hand.pick(3) === 0;
      const lines = parts.map((part, index) => `${inner}${part}${index < parts.length - 1 || isTrailing ? ',' : ''}${trail()}`);
      return [`${head}${open}`, ...lines, `${' '.repeat(column + 1)}${close}${trail()}`];
    }
    return [`${head}${flow(each)}${trail()}`];
  }

  function flow(each: Json): string {
    const space = hand.pick(2) === 0 ? ' ' : '';
    if (Array.isArray(each)) return `[${space}${each.map(flow).join(', ')}${space}]`;
    if (typeof each === 'object' && each !== null) {
      return `{${space}${Object.entries(each)
        .map(([name, one]) => `${quoted(name)}: ${flow(one)}`)
        .join(', ')}${space}}`;
    }
    return typeof each === 'string' ? quoted(each) : String(each);
  }

  function quoted(text: string): string {
    if (/^[a-z][a-z./-]*$/.test(text) && text !== 'yes' && hand.pick(3) > 0) return text;
    return /^[ -~]*$/.test(text) && hand.pick(2) === 0 ? `'${text.replaceAll("'", "''")}'` : JSON.stringify(text);
  }

  function trail(): string {
    return hand.pick(4) === 0 ? ' # trailing' : '';
  }

  function noise(column: number): string[] {
    return [[], [], [], [`${' '.repeat(column)}# above`], ['']][hand.pick(5)] as string[];
  }
}
