import { expect, test } from 'vitest';
import { apply, applyToCopy } from '../src/apply-patch.ts';
import type { PatchOp } from '../src/core/patch.ts';

test('applying operations to a copy leaves the document as it is', () => {
  const document = { metadata: { name: 'a' }, spec: { containers: [{ name: 'x', ports: [1, 2] }, { name: 'y' }] } };
  const before = structuredClone(document);
  const after = applyToCopy(document, [
    { op: 'replace', path: '/spec/containers/0/name', value: 'z' },
    { op: 'remove', path: '/spec/containers/0/ports/1' },
    { op: 'add', path: '/spec/containers/-', value: { name: 'w' } },
    { op: 'add', path: '/spec/a~1b', value: true },
  ]);
  expect(after).toEqual({
    metadata: { name: 'a' },
    spec: { containers: [{ name: 'z', ports: [1] }, { name: 'y' }, { name: 'w' }], 'a/b': true },
  });
  expect(document).toEqual(before);
});

test('T47: a copy has the key `__proto__` of its document as an ordinary key', () => {
  const document = JSON.parse('{"a": {"__proto__": {"polluted": [1]}}}');
  const after = applyToCopy(document, [{ op: 'add', path: '/b', value: true }]) as { a: object };
  expect(JSON.stringify(after)).toBe('{"a":{"__proto__":{"polluted":[1]}},"b":true}');
  expect(Object.getPrototypeOf(after.a)).toBe(Object.prototype);
});

test('applying operations in place returns the document itself', () => {
  const document = { spec: { containers: [{ name: 'x' }] } };
  expect(apply(document, [{ op: 'replace', path: '/spec/containers/0/name', value: 'z' }])).toBe(document);
  expect(document).toEqual({ spec: { containers: [{ name: 'z' }] } });
});

test.each<PatchOp>([
  { op: 'replace', path: '/a/b/c', value: 1 },
  { op: 'remove', path: '/list/5' },
  { op: 'add', path: '/list/5', value: 1 },
  { op: 'add', path: '/__proto__/polluted', value: 1 },
  { op: 'add', path: '/constructor/prototype/polluted', value: 1 },
])('T47: an operation that does not fit the document is an error: $op $path', (operation) => {
  expect(() => apply({ a: {}, list: [1] }, [operation])).toThrow();
  expect('polluted' in {}).toBe(false);
});
