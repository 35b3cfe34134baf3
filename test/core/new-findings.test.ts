import { expect, test } from 'vitest';
import type { Json } from '../../src/core/json.ts';
import { identityOf, selectNewFindings } from '../../src/core/new-findings.ts';

/** The identity of a finding at the only element of a list. */
function identityIn(element: Json): string {
  return identityOf({ rule: 'some-rule', kind: 'escape', path: ['spec', 'list', 0], message: 'found' }, { spec: { list: [element] } });
}

test.each<[string, Json, Json]>([
  ['a name', { name: 'a', value: '1' }, { name: 'a', value: '2' }],
  ['its words, in whatever order', { operator: 'Exists', effect: 'NoExecute' }, { effect: 'NoExecute', operator: 'Exists' }],
  ['its words alone, numbers may change', { operator: 'Exists', tolerationSeconds: 1 }, { operator: 'Exists', tolerationSeconds: 2 }],
  ['itself, if it is a word', 'SYS_ADMIN', 'SYS_ADMIN'],
  ['itself, if it is a number', 70000, 70000],
])('an element is known by %s', (_by, before, now) => expect(identityIn(now)).toBe(identityIn(before)));

test.each<[string, Json, Json]>([
  ['names', { name: 'a' }, { name: 'b' }],
  ['keys', { key: 'a' }, { key: 'b' }],
  ['words beside one key', { key: 'a', effect: 'NoSchedule' }, { key: 'a', operator: 'Exists' }],
  ['words', { operator: 'Exists', effect: 'NoExecute' }, { operator: 'Exists', effect: 'NoSchedule' }],
  ['kinds of words', { operator: 'a' }, { effect: 'a' }],
  ['values', 'SYS_ADMIN', 'NET_ADMIN'],
  ['numbers', 70000, 70001],
])('elements of other %s are others', (_of, one, other) => expect(identityIn(one)).not.toBe(identityIn(other)));

test('rule, container and path distinguish findings', () => {
  const finding = { rule: 'a', kind: 'escape', path: ['spec', 'b'], message: 'found', container: 'c' } as const;
  const others = [
    { ...finding, rule: 'x' },
    { ...finding, container: 'x' },
    { ...finding, path: ['spec', 'x'] },
  ];
  const known = [finding, ...others].map((each) => identityOf(each, {}));
  expect(new Set(known).size).toBe(4);
});

test.each<[string, Json, Json]>([
  ['word', '/opt/qemu', '/tmp/qemu'],
  ['number', 0, 1],
])('a path that ends at another %s is another', (_, one, other) => {
  const identityAt = (value: Json) =>
    identityOf(
      { rule: 'some-rule', kind: 'escape', path: ['metadata', 'annotations', 'a'], message: 'found' },
      { metadata: { annotations: { a: value } } },
    );
  expect(identityAt(one)).toBe(identityAt(one));
  expect(identityAt(other)).not.toBe(identityAt(one));
});

test('T22: a list element is described once, however many findings are about it', () => {
  let reads = 0;
  const element = new Proxy(
    { value: 'x' },
    {
      ownKeys(target) {
        reads += 1;
        return Reflect.ownKeys(target);
      },
    },
  );
  const finding = { rule: 'a', kind: 'escape', path: ['list', 0, 'value'], message: 'found' } as const;
  selectNewFindings(
    Array.from({ length: 100 }, () => finding),
    { list: [element] },
    [finding],
    { list: [element] },
  );
  expect(reads).toBe(1);
});

test('a text that is too long for a stored object is identified by its length and its beginning', () => {
  const long = 'x'.repeat(1_000_000);
  expect(identityIn({ name: long }).length).toBeLessThan(1_000);
  expect(identityIn({ name: long })).toBe(identityIn({ name: long }));
  for (const other of [`${long}x`, `y${long.slice(1)}`]) expect(identityIn({ name: other })).not.toBe(identityIn({ name: long }));
});

test.each([
  [0, 1, 1],
  [1, 1, 0],
  [1, 2, 1],
  [1, 4, 3],
  [2, 1, 0],
])('of the same fault found %i times before and %i times now, %i are new', (before, now, fresh) => {
  const finding = { rule: 'a', kind: 'escape', path: ['spec', 'b'], message: 'found' } as const;
  const times = (count: number) => Array.from({ length: count }, () => finding);
  expect(selectNewFindings(times(now), {}, times(before), {})).toHaveLength(fresh);
});
