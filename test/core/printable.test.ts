import { expect, test } from 'vitest';
import { printable } from '../../src/core/printable.ts';

test.each([
  ['plain text is left alone', 'volume "data" is of kind nfs ~', 'volume "data" is of kind nfs ~'],
  ['so are letters of any language', 'Größe 尺寸 🚀', 'Größe 尺寸 🚀'],
  ['T43: what controls a terminal is spelled out', 'a\u001b[31m\r\nb\u0000', 'a\\u{1b}[31m\\u{d}\\u{a}b\\u{0}'],
  ['T43: what turns text around is, too', 'a\u202eb', 'a\\u{202e}b'],
  ['T43: so is what ends a line elsewhere', 'a\u2028b\u2029c', 'a\\u{2028}b\\u{2029}c'],
  ['so are halves of a character', 'a\ud83db', 'a\\u{d83d}b'],
])('%s', (_, text, printed) => expect(printable(text)).toBe(printed));

test('a text above the limit ends in an ellipsis', () => {
  expect(printable('abcde', 5)).toBe('abcde');
  expect(printable('abcdef', 5)).toBe('abcd…');
  expect(printable('x'.repeat(201))).toHaveLength(200);
});
