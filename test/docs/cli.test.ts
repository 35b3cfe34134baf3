import { expect, test } from 'vitest';
import { cliPage } from '../../tools/commands/docs.ts';
import { readPage } from './page.ts';

const page = readPage('docs/cli.md');

test('docs/cli.md equals the output of `./dev docs`', async () => {
  expect(page.text, 'run ./dev docs').toBe(await cliPage());
});

test('docs/cli.md has a section for each command', () => {
  expect([...page.sections.keys()]).toEqual(
    [
      ...[
        'serve',
        'fix',
        'check',
        'scan',
        'test',
        'explain',
        'schema',
        'manifests',
        'ensure',
        'doctor',
        'certs dev',
        'node-profile install',
      ],
      ...['probe', 'completion', 'version'],
    ].map((name) => `\`cloister ${name}\``),
  );
});
