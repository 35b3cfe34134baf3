import { expect, test } from 'vitest';
import type { Json } from '../../src/core/json.ts';
import { remedyOf } from '../../src/core/remedy.ts';

test('a finding says what to do about it, in its own words where it has some', () => {
  expect(remedyOf({ remedy: 'use another prefix', fix: { remove: true } })).toBe('use another prefix');
  expect(remedyOf({ fix: { remove: true } })).toBe('remove it');
  expect(remedyOf({ fix: { append: ['ALL', { name: 'a' }] } })).toBe('add ALL, {name: a}');
  expect(remedyOf({})).toBe('change it by hand');
});

test.each<[Json, string]>([
  [false, 'false'],
  [0, '0'],
  [null, 'null'],
  ['RuntimeDefault', 'RuntimeDefault'],
  ['cloister/workspace.json', 'cloister/workspace.json'],
  ['/var/lib/docker', '/var/lib/docker'],
  [{ type: 'Localhost', localhostProfile: 'a' }, '{type: Localhost, localhostProfile: a}'],
  [['NET_ADMIN', ['b']], '[NET_ADMIN, [b]]'],
  [{}, '{}'],
  [[], '[]'],
])('%j is written as a manifest has it', (value, written) => expect(remedyOf({ fix: { set: value } })).toBe(`set it to ${written}`));

test.each(['', 'true', 'FALSE', 'no', 'Off', 'n', '8', '-a', '.a', 'a b', 'a: b', 'a\nb', 'ä'])(
  '%j would be read as something else, or might be, and is quoted',
  (text) => {
    expect(remedyOf({ fix: { set: text } })).toBe(`set it to ${JSON.stringify(text)}`);
  },
);

test.each(['nothing', 'only', 'yesterday', 'y-axis', 'truth'])('%s only begins like a word for something else', (text) =>
  expect(remedyOf({ fix: { set: text } })).toBe(`set it to ${text}`),
);
