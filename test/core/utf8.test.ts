import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isLongerThan } from '../../src/core/utf8.ts';

test('a text is longer than a limit exactly where Node counts more bytes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.constant('\ud800')) }),
      fc.nat(40),
      (text, limit) => {
        expect(isLongerThan(text, limit)).toBe(Buffer.byteLength(text) > limit);
      },
    ),
  );
});

test.each([
  ['a', 1, false],
  ['a', 0, true],
  ['é', 1, true],
  ['é', 2, false],
  ['€', 2, true],
  ['🚪', 3, true],
  ['🚪', 4, false],
])('"%s" compared with %i bytes: %s', (text, limit, expected) => expect(isLongerThan(text, limit)).toBe(expected));
