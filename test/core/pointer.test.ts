import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pointerOf } from '../../src/core/pointer.ts';

test('T46: pointers escape what RFC 6901 says, and nothing else', () => {
  expect(pointerOf([])).toBe('');
  expect(pointerOf(['a/b', 'c~d', '~1', 0, '', 'é "\\'])).toBe('/a~1b/c~0d/~01/0//é "\\');
});

test('lead as deep as they are asked to', () => {
  const path = ['spec', 'containers', 0, 'image'];
  expect([0, 1, 2, 3, 4].map((depth) => pointerOf(path, depth))).toEqual([
    '',
    '/spec',
    '/spec/containers',
    '/spec/containers/0',
    '/spec/containers/0/image',
  ]);
});

test('T46: are right the first time and ever after, however many there were in between', () => {
  const step = fc.oneof(fc.nat(), fc.constantFrom('spec', 'a/b', '~', '__proto__', 'constructor', ''), fc.string());
  const plain = (path: readonly (string | number)[]) =>
    path.map((each) => `/${String(each).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  // More than are remembered.
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (path) => {
      expect(pointerOf(path)).toBe(plain(path));
      expect(pointerOf(path)).toBe(plain(path));
    }),
    { numRuns: 3_000 },
  );
});

test('what is long is right as well', () => {
  const path = ['metadata', 'annotations', 'x'.repeat(300), 'below'];
  for (let time = 0; time < 2; time += 1) expect(pointerOf(path)).toBe(`/metadata/annotations/${'x'.repeat(300)}/below`);
});
