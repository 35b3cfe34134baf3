import { expect, test } from 'vitest';
import { command } from '../../src/commands/ensure.ts';
import { HANDS_OFF_ANNOTATION } from '../../src/core/labels.ts';
import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../../src/core/object-names.ts';
import { readPage } from './page.ts';

const page = readPage('docs/ensure.md');

test('the page has a section for exactly the flags of the command', () => {
  const described = [...page.text.matchAll(/^### `(--[\w-]+)`$/gm)].map(([, flag]) => flag);
  expect(described).toEqual(command.options.map(({ long }) => long));
});

test('the page contains the names of the objects that ensure writes', () => {
  expect(page.text).toContain(`\`${HANDS_OFF_ANNOTATION}: "true"\``);
  expect(page.text).toContain(`mutatingwebhookconfiguration ${MUTATING_CONFIGURATION} `);
  expect(page.text).toContain(`validatingwebhookconfiguration ${VALIDATING_CONFIGURATION} `);
});
