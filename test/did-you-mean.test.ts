import { expect, test } from 'vitest';
import { rules } from '../src/core/rules/index.ts';
import { didYouMean, nearest } from '../src/did-you-mean.ts';

const names = rules.map(({ id }) => id);

test.each([
  ['a typing error', 'privilegd', ['privileged']],
  ['two swapped letters', 'selniux', ['selinux']],
  ['a part of a name', 'volume', ['volume-types', 'mapped-volumes']],
  ['a text that is near no name', 'banana', []],
])('the nearest names are found for %s', (_, typed, near) => expect(nearest(typed, names)).toEqual(near));

test('only the nearest name is suggested', () => {
  expect(didYouMean('grnat', ['grantTo', 'grant'])).toBe(' (did you mean grant?)');
  expect(didYouMean('banana', names)).toBe('');
});
