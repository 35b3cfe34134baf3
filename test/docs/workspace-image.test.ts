import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readContainerfile, source } from '../../tools/workspace-image.ts';
import { PARTS } from '../node/fixture/parts.ts';
import { readPage, rowsOf, sectionOf } from './page.ts';

const textOf = (name: string): string => readFileSync(join(source, name), 'utf8');

test('the page lists the parts that are taken away on a node, each with what is said there', () => {
  const listed = rowsOf(sectionOf(readPage('docs/workspace-image.md'), 'What it needs')).map(([name, , says]) => [name, says]);
  expect(listed).toEqual(PARTS.map(({ name, says }) => [name, says.includes('`') ? `\`\`${says}\`\`` : `\`${says}\``]));
});

test('every setting of engines has its row', () => {
  const settings = [...textOf('containers.conf').matchAll(/^(\w+ = .*?) #/gm)].map(([, setting]) => `\`${setting}\``);
  expect(settings.length).toBeGreaterThan(0);
  expect(PARTS.map(({ name }) => name)).toEqual(expect.arrayContaining(settings));
});

test('the Containerfile takes the same steps and files as the maker without a registry', () => {
  const steps = textOf('Containerfile')
    .replaceAll(/^#.*\n/gm, '')
    .trim()
    .split('\n');
  expect(steps.map((step) => step.split(' ')[0])).toEqual(['FROM', 'COPY', 'RUN', 'USER', 'WORKDIR', 'CMD']);
  expect(steps[1]).toBe('COPY packages setup.sh containers.conf storage.conf /opt/workspace/');
  expect(steps[2]).toBe(
    'RUN apt-get update && xargs apt-get install --yes --no-install-recommends < /opt/workspace/packages && sh /opt/workspace/setup.sh',
  );
  expect(readContainerfile(textOf('Containerfile'))).toEqual({
    suite: 'trixie',
    config: { User: '1000:1000', WorkingDir: '/home/dev', Cmd: ['sleep', 'infinity'] },
  });
});
