import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPage, root } from './page.ts';

const page = readPage('docs/troubleshooting.md');
const sources = [...globSync('src/**/*.ts', { cwd: root }), 'charts/cloister/templates/_config.tpl']
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n');

/** Our own words: what headings quote, and what the tables quote, but for what is the API server's, the kubelet's or helm's. */
const headings = [...page.text.matchAll(/^###.*?"([^"…]+)"$/gm)].map(([, text = '']) => text);
const cells = [...page.text.matchAll(/^\| (`.*`.*?) \| /gm)].flatMap(([, cell = '']) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
);
const FOREIGN =
  /no endpoints|deadline|timeout|x509|requested resource|seccomp profile|user namespaces|host ID|RuntimeClass|effective uid|secret key|additional properties|ownership|conflict with|violates|insufficient quota|^cloister (ensure|explain)|^no serving|sudo|none/;

test.each([...headings, ...cells.filter((text) => !FOREIGN.test(text))])('Cloister says "%s"', (text) => {
  expect(text.split('…').filter((part) => !sources.includes(part.trim()))).toEqual([]);
});

test('this test reads headings and tables', () => {
  expect(headings.length).toBeGreaterThanOrEqual(6);
  expect(cells.length).toBeGreaterThan(30);
});
