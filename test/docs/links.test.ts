import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { pagesIn, root } from './page.ts';

const files = pagesIn('.')
  .filter((name) => existsSync(join(root, `docs/${name}.md`)))
  .map((name) => `docs/${name}.md`);

test.each([...files, 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'])(
  'the links of %s within the project have existing targets',
  (file) => {
    for (const [, target = '', anchor] of textOf(file).matchAll(/\]\((?!https:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const path = target === '' ? file : join(dirname(file), target);
      expect(existsSync(join(root, path)), `${file} links to ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(path), `${file} links to ${target}#${anchor}`).toContain(anchor);
    }
  },
);

const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');

/** As GitLab and GitHub make them of headings. */
function anchorsOf(file: string): string[] {
  return [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}
