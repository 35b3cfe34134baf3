import { expect, test } from 'vitest';
import type { Json } from '../../src/core/json.ts';
import { remedyOf } from '../../src/core/remedy.ts';

test('the remedy of a finding is its own text, or else what its fix does', () => {
  expect(remedyOf({ rule: 'sysctls', remedy: 'use another prefix', fix: { remove: true } })).toBe('use another prefix');
  expect(remedyOf({ rule: 'sysctls', fix: { remove: true } })).toBe('remove it');
  expect(remedyOf({ rule: 'sysctls', fix: { append: ['ALL', { name: 'a' }] } })).toBe('add ALL, {name: a}');
  expect(remedyOf({ rule: 'sysctls' })).toBe('change it by hand');
});

test('the remedy names the exemption that would let the value through, as the operator writes it', () => {
  const found = { rule: 'volume-types', remedy: 'use an emptyDir' };
  expect(remedyOf({ ...found, exemption: 'nfs' })).toBe('use an emptyDir, or ask the operator for an exemption (volume-types: [nfs])');
  expect(remedyOf({ ...found, exemption: 'hostPath:/dev/fuse' })).toContain('(volume-types: ["hostPath:/dev/fuse"])');
  expect(remedyOf({ rule: 'capabilities', fix: { remove: true }, exemption: 'NET_ADMIN' })).toBe(
    'remove it, or ask the operator for an exemption (capabilities: [NET_ADMIN])',
  );
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
])('%j is written as a manifest has it', (value, written) =>
  expect(remedyOf({ rule: 'sysctls', fix: { set: value } })).toBe(`set it to ${written}`),
);

test.each(['', 'true', 'FALSE', 'no', 'Off', 'n', '8', '-a', '.a', 'a b', 'a: b', 'a\nb', 'ä'])(
  '%j would be read as something else, or might be, and is quoted',
  (text) => {
    expect(remedyOf({ rule: 'sysctls', fix: { set: text } })).toBe(`set it to ${JSON.stringify(text)}`);
  },
);

test.each(['nothing', 'only', 'yesterday', 'y-axis', 'truth'])(
  '%s is printed without quotes: it only begins like a boolean of YAML',
  (text) => expect(remedyOf({ rule: 'sysctls', fix: { set: text } })).toBe(`set it to ${text}`),
);
