import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readContainerfile, source } from '../../tools/programs/workspace-image.ts';
import { DOCKER_PARTS, PARTS } from '../node/fixture/parts.ts';
import { readPage, rowsOf, sectionOf } from './page.ts';

const textOf = (name: string): string => readFileSync(join(source, name), 'utf8');

test.each([
  ['What it needs', PARTS],
  ['Docker', DOCKER_PARTS],
])('the page lists under "%s" the parts that node tests remove, each with the printed error', (section, parts) => {
  const listed = rowsOf(sectionOf(readPage('docs/workspace-image.md'), section)).map(([name, , says]) => [name, says]);
  expect(listed).toEqual(parts.map(({ name, says }) => [name, says.includes('`') ? `\`\`${says}\`\`` : `\`${says}\``]));
});

test('every engine setting has a row', () => {
  const files = ['containers.conf', 'no-pivot-root.conf'].map(textOf).join('');
  const settings = [...files.matchAll(/^(\w+ = .*?) #/gm)].map(([, setting]) => `\`${setting}\``);
  expect(settings.length).toBeGreaterThan(4);
  for (const setting of settings) expect(PARTS.map(({ name }) => name.split(',')[0])).toContain(setting);
});

test('the Containerfile and the builder without a registry use the same steps and files', () => {
  const steps = textOf('Containerfile')
    .replaceAll(/^#.*\n/gm, '')
    .trim()
    .split(/\n+/);
  expect(steps).toEqual([
    'FROM docker.io/library/debian:trixie-slim AS workspace',
    'COPY packages setup.sh start.sh containers.conf no-pivot-root.conf storage.conf /opt/workspace/',
    'RUN apt-get update && xargs apt-get install --yes --no-install-recommends < /opt/workspace/packages && sh /opt/workspace/setup.sh',
    'USER 1000:1000',
    'WORKDIR /home/dev',
    'ENTRYPOINT ["workspace-start"]',
    'CMD ["sleep", "infinity"]',
    'FROM workspace AS workspace-docker',
    'USER 0:0',
    'COPY docker /opt/workspace/docker',
    'RUN apt-get update && xargs apt-get install --yes --no-install-recommends < /opt/workspace/docker/packages && sh /opt/workspace/docker/setup.sh',
    'USER 1000:1000',
  ]);
  const copied = steps.filter((step) => step.startsWith('COPY')).flatMap((step) => step.split(' ').slice(1, -1));
  expect(copied.toSorted()).toEqual(
    readdirSync(source)
      .filter((name) => name !== 'Containerfile')
      .toSorted(),
  );
  expect(readContainerfile(textOf('Containerfile'))).toEqual({
    suite: 'trixie',
    config: { User: '1000:1000', WorkingDir: '/home/dev', Entrypoint: ['workspace-start'], Cmd: ['sleep', 'infinity'] },
  });
});
