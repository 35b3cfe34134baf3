import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { command } from '../../src/commands/node-profile.ts';
import { readAdditions } from '../../tools/commands/seccomp.ts';
import { readPage, root, rowsOf, sectionOf } from './page.ts';

const page = readPage('docs/node-profile.md');

test('the page has a section for exactly the flags of the command, with variable and default', () => {
  const [install] = command.commands;
  const described = page.text.split('\n### ').flatMap((section) => {
    const [, flag] = /^`(--\w+)`\n/.exec(section) ?? [];
    return flag === undefined ? [] : [{ flag, variable: /Also\s`(\w+)`/.exec(section)?.[1], unset: /Default: `(.*)`/.exec(section)?.[1] }];
  });
  expect(described).toEqual(
    install?.options.map(({ long, envVar, defaultValue }) => ({ flag: long, variable: envVar, unset: defaultValue })),
  );
});

test('the page lists the added system calls, each with its reason and the error without it', async () => {
  const additions = await readAdditions();
  expect(rowsOf(sectionOf(page, 'What it lets through'))).toEqual(
    additions.map(({ name, reason, without }) => [`\`${name}\``, reason, without.includes('`') ? without : `\`${without}\``]),
  );
});

test('the page names the pinned version of containerd', () => {
  const [, pinned] = /containerd\/v2 v(\S+)/.exec(readFileSync(join(root, 'tools/programs/seccomp/go.mod'), 'utf8')) ?? [];
  expect(/containerd (\d\S+) gives/.exec(page.text)?.[1]).toBe(pinned);
});
