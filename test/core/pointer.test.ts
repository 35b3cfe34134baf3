import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { makePointerLookup, pointerOf } from '../../src/core/pointer.ts';

describe.each([
  ['a pointer', pointerOf],
  ['a pointer from a cache', makePointerLookup()],
])('%s', (name, lookup) => {
  test(`T46: ${name} escapes what RFC 6901 says, and nothing else`, () => {
    expect(lookup([])).toBe('');
    expect(lookup(['a/b', 'c~d', '~1', 0, '', 'é "\\'])).toBe('/a~1b/c~0d/~01/0//é "\\');
  });

  test(`${name} has as many steps as the depth says`, () => {
    const path = ['spec', 'containers', 0, 'image'];
    expect([0, 1, 2, 3, 4].map((depth) => lookup(path, depth))).toEqual([
      '',
      '/spec',
      '/spec/containers',
      '/spec/containers/0',
      '/spec/containers/0/image',
    ]);
  });

  test(`T46: ${name} is the same each time, after more pointers than the cache holds`, () => {
    const step = fc.oneof(fc.nat(), fc.constantFrom('spec', 'a/b', '~', '__proto__', 'constructor', ''), fc.string());
    const plain = (path: readonly (string | number)[]) =>
      path.map((each) => `/${String(each).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (path) => {
        expect(lookup(path)).toBe(plain(path));
        expect(lookup(path)).toBe(plain(path));
      }),
      { numRuns: 3_000 },
    );
  });

  test(`${name} may be longer than what the cache holds`, () => {
    const path = ['metadata', 'annotations', 'x'.repeat(300), 'below'];
    for (let time = 0; time < 2; time += 1) expect(lookup(path)).toBe(`/metadata/annotations/${'x'.repeat(300)}/below`);
  });
});
