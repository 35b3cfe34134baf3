import { expect, test } from 'vitest';
import { apply } from '../src/apply-patch.ts';
import type { PatchOp } from '../src/core/patch.ts';

test('applying operations returns a changed copy and leaves the document as it is', () => {
  const document = { metadata: { name: 'a' }, spec: { containers: [{ name: 'x', ports: [1, 2] }, { name: 'y' }] } };
  const before = structuredClone(document);
  const after = apply(document, [
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

test('the changed copy shares with the document what no operation changes', () => {
  const document = { metadata: {}, spec: { containers: [{ name: 'x' }, { name: 'y' }] } };
  const after = apply(document, [{ op: 'replace', path: '/spec/containers/0/name', value: 'z' }]) as typeof document;
  expect(after.metadata).toBe(document.metadata);
  expect(after.spec.containers[1]).toBe(document.spec.containers[1]);
});

test('an object that stands in a document twice is changed in one place only', () => {
  const shared = { level: 1 };
  const after = apply({ a: shared, b: shared }, [{ op: 'replace', path: '/a/level', value: 2 }]);
  expect(after).toEqual({ a: { level: 2 }, b: { level: 1 } });
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
