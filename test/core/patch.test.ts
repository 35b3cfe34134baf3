import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { makePatch, type PatchIntent } from '../../src/core/patch.ts';
import { valueAt } from '../../src/core/path.ts';
import { makePointerLookup } from '../../src/core/pointer.ts';

const set = (path: PatchIntent['path'], value: unknown): PatchIntent => ({ path, fix: { set: value as never } });
const remove = (...path: (string | number)[]): PatchIntent => ({ path, fix: { remove: true } });
const append = (path: PatchIntent['path'], ...values: unknown[]): PatchIntent => ({ path, fix: { append: values as never[] } });

/** A document, intents, and the document after them. An independent library applies the operations, and refuses what does not fit. */
const TABLE: readonly (readonly [claim: string, before: object, changes: readonly PatchIntent[], after: object])[] = [
  ['no intent gives no operation', { a: 1 }, [], { a: 1 }],
  ['a value is added', {}, [set(['a'], 1)], { a: 1 }],
  ['a value is replaced', { a: 1 }, [set(['a'], 2)], { a: 2 }],
  ['null is replaced', { a: null }, [set(['a'], 2)], { a: 2 }],
  ['a value may be false, empty or an object', { a: 1 }, [set(['a'], false), set(['b'], ''), set(['c'], {})], { a: false, b: '', c: {} }],
  ['a missing parent is created once', {}, [set(['a', 'b'], 1), set(['a', 'c'], 2)], { a: { b: 1, c: 2 } }],
  [
    'missing parents of parents are created once',
    {},
    [set(['a', 'b', 'c'], 1), set(['a', 'd', 'e'], 2), set(['a', 'b', 'f'], 3)],
    { a: { b: { c: 1, f: 3 }, d: { e: 2 } } },
  ],
  ['a null parent counts as missing', { a: null }, [set(['a', 'b'], 1), set(['a', 'c'], 2)], { a: { b: 1, c: 2 } }],
  ['two parents below null are created', { a: null }, [set(['a', 'b', 'c'], 1)], { a: { b: { c: 1 } } }],
  ['an existing parent keeps its fields', { a: { z: 1 } }, [set(['a', 'b'], 1)], { a: { z: 1, b: 1 } }],
  ['a parent may be an element of a list', { a: [{}, {}] }, [set(['a', 1, 'b', 'c'], 1)], { a: [{}, { b: { c: 1 } }] }],
  ['a slash in a key is escaped', { a: {} }, [set(['a', 'x.io/y'], 1)], { a: { 'x.io/y': 1 } }],
  [
    'a tilde in a key is escaped, and both characters in either order',
    { a: { '~/': 1, '/~': 1, '~1': 1, '~0': 1 } },
    [remove('a', '~/'), remove('a', '/~'), set(['a', '~1'], 2)],
    { a: { '~1': 2, '~0': 1 } },
  ],
  ['an empty key is a key', { '': 1 }, [remove('')], {}],
  ['a key is removed', { a: 1, b: 2 }, [remove('a')], { b: 2 }],
  ['null is removed', { a: null }, [remove('a')], {}],
  ['removing a missing value gives no operation', { a: 1 }, [remove('b'), remove('b', 'c'), remove('a', 'c'), remove('l', 0)], { a: 1 }],
  [
    'elements are removed by their indices before the patch',
    { a: ['p', 'q', 'r', 's'] },
    [remove('a', 0), remove('a', 2)],
    { a: ['q', 's'] },
  ],
  ['elements are removed in any order of the intents', { a: ['p', 'q', 'r'] }, [remove('a', 2), remove('a', 0), remove('a', 1)], { a: [] }],
  [
    'beyond ten as well',
    { a: [...Array(12).keys()] },
    [remove('a', 2), remove('a', 10), remove('a', 9)],
    { a: [0, 1, 3, 4, 5, 6, 7, 8, 11] },
  ],
  [
    'elements of several lists',
    { a: ['p', 'q'], b: { c: ['r', 's'] } },
    [remove('b', 'c', 0), remove('a', 0)],
    { a: ['q'], b: { c: ['s'] } },
  ],
  ['an element is removed and another changed', { a: [{ v: 1 }, { v: 2 }] }, [remove('a', 0), set(['a', 1, 'v'], 3)], { a: [{ v: 3 }] }],
  ['an element is removed and something inside it', { a: [{ v: 1, w: 2 }] }, [remove('a', 0, 'v'), remove('a', 0)], { a: [] }],
  ['an element is replaced', { a: ['p', 'q'] }, [set(['a', 1], 'Q')], { a: ['p', 'Q'] }],
  ['an element is put on', { a: ['p'] }, [append(['a'], 'q')], { a: ['p', 'q'] }],
  ['several are put on, by several', { a: ['p'] }, [append(['a'], 'q', 'r'), append(['a'], 's')], { a: ['p', 'q', 'r', 's'] }],
  ['a list is made where there is none', {}, [append(['a'], 'q'), append(['a'], 'r')], { a: ['q', 'r'] }],
  ['and where there is null', { a: null }, [append(['a'], 'q')], { a: ['q'] }],
  ['and below what is missing', {}, [append(['a', 'b'], 'q'), set(['a', 'c'], 1), append(['a', 'b'], 'r')], { a: { b: ['q', 'r'], c: 1 } }],
  [
    'an element is appended while others are removed',
    { a: ['p', 'q'] },
    [remove('a', 1), append(['a'], 'r'), remove('a', 0)],
    { a: ['r'] },
  ],
  ['an element is appended while another is changed', { a: ['p'] }, [append(['a'], 'r'), set(['a', 0], 'P')], { a: ['P', 'r'] }],
  ['the first intent for a path wins', { a: 1 }, [set(['a'], 2), set(['a'], 3), remove('a')], { a: 2 }],
  ['a removal that is intended twice is made once', { a: ['p', 'q'] }, [remove('a', 0), remove('a', 0)], { a: ['q'] }],
  ['a later intent may append to a list that is set', { a: ['p'] }, [set(['a'], ['q']), append(['a'], 'r')], { a: ['q', 'r'] }],
];

test.each(TABLE)('%s', (_, before, intents, after) => {
  const document = structuredClone(before);
  const operations = makePatch(document, intents);
  expect(document, 'the document is only read').toEqual(before);
  expect(applyToCopy(document, JSON.parse(JSON.stringify(operations)))).toEqual(after);
  expect(makePatch(document, intents, makePointerLookup())).toEqual(operations);
});

describe('operations', () => {
  test('operations are as few as possible', () => {
    expect(makePatch({ a: [1, 2] }, [set(['m', 'n', 'o'], 1), append(['a'], 3), remove('a', 0), remove('x')])).toEqual([
      { op: 'add', path: '/m', value: { n: { o: 1 } } },
      { op: 'add', path: '/a/-', value: 3 },
      { op: 'remove', path: '/a/0' },
    ]);
  });

  test('operations leave the data of a fix unchanged', () => {
    const drop = Object.freeze(['ALL']);
    const change: PatchIntent = { path: ['a'], fix: { set: drop } };
    expect(makePatch({}, [change, append(['a'], 'X')])).toEqual([{ op: 'add', path: '/a', value: ['ALL', 'X'] }]);
    expect(drop).toEqual(['ALL']);
    const added = Object.freeze(['p']);
    makePatch({}, [{ path: ['a'], fix: { append: added } }, append(['a'], 'q')]);
    expect(added).toEqual(['p']);
    const profile = Object.freeze({ type: 'RuntimeDefault' });
    makePatch({}, [set(['a'], profile), set(['a', 'b'], 1)]);
    expect(profile).toEqual({ type: 'RuntimeDefault' });
  });

  test('T47: operations ignore what every object inherits', () => {
    expect(makePatch({}, [remove('constructor'), remove('toString', 'name'), remove('__proto__')])).toEqual([]);
    expect(valueAt(JSON.parse('{"__proto__": {"a": 1}}'), ['__proto__', 'a'])).toBe(1);
    expect(valueAt([1, 2], ['map'])).toBeUndefined();
  });
});

test('T46: values set at random paths are in the patched document', () => {
  const key = fc.constantFrom('a', 'b', 'c~/', '0');
  const path = fc.array(key, { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.dictionary(key, fc.dictionary(key, fc.integer()))),
      fc.uniqueArray(path, { selector: String }),
      (before, paths) => {
        const intents = paths.map((each, index) => set(each, index));
        const document = applyToCopy(before, makePatch(before, intents));
        for (const [index, each] of paths.entries()) expect(valueAt(document, each)).toBe(index);
      },
    ),
  );
});
