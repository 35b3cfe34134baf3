import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { backends } from '../../src/core/profiles/index.ts';
import { rules } from '../../src/core/rules/index.ts';
import { checks } from '../../src/doctor/checks/index.ts';
import { wallChecks } from '../../src/live/checks/index.ts';
import { attributeOf, type Element, elementsIn, hasClass, readHtml, textOf } from './html.ts';

const root = join(import.meta.dirname, '../..');
const folder = inject('siteFolder');
const { pathname: base } = new URL(inject('siteUrl'));

const sources = globSync('**/*.md', { cwd: join(root, 'docs') }).toSorted();
const files = globSync('**/*.html', { cwd: folder }).toSorted();
const elements = new Map(files.map((file) => [file, elementsIn(readHtml(join(folder, file)))]));
const elementsOf = (file: string): Element[] => elements.get(file) ?? [];
const builtOf = (source: string): string => (source === 'README.md' ? 'documentation.html' : source.replace(/\.md$/, '.html'));

test('every page of docs is built', () => {
  expect(sources.length).toBeGreaterThan(120);
  expect(sources.map(builtOf).filter((file) => !files.includes(file))).toEqual([]);
});

test('every page of docs is in the navigation of every page', () => {
  for (const file of ['documentation.html', 'rules/privileged.html']) {
    const sidebar = elementsOf(file).find((each) => hasClass(each, 'VPSidebar'));
    const links = sidebar === undefined ? [] : elementsIn(sidebar).map((each) => attributeOf(each, 'href'));
    expect(
      sources.map(builtOf).filter((each) => !links.includes(`${base}${each}`)),
      file,
    ).toEqual([]);
  }
});

test('no link, script, style or picture of the built site is dead, with its anchor', () => {
  const idsOf = (file: string): Set<string | undefined> => new Set(elementsOf(file).map((each) => attributeOf(each, 'id')));
  let internal = 0;
  const dead = files.flatMap((file) =>
    elementsOf(file).flatMap((element) => {
      const link = attributeOf(element, 'href') ?? attributeOf(element, 'src');
      if (link === undefined || /^(?:data:|mailto:)/.test(link)) return [];
      const url = new URL(link, `http://site${base}${file}`);
      // The other version of the menu is not built here.
      if (url.host !== 'site' || url.pathname.startsWith(`${base}v0.1.0/`)) return [];
      internal += 1;
      const path = decodeURIComponent(url.pathname.slice(base.length));
      const target = existsSync(join(folder, path)) && statSync(join(folder, path)).isDirectory() ? join(path, 'index.html') : path;
      if (!url.pathname.startsWith(base) || !existsSync(join(folder, target))) return [`${file}: ${link}`];
      const anchor = decodeURIComponent(url.hash.slice(1));
      return anchor === '' || idsOf(target).has(anchor) ? [] : [`${file}: ${link} has no such anchor`];
    }),
  );
  expect(internal).toBeGreaterThan(10_000);
  expect(dead).toEqual([]);
}, 300_000);

test('links to files of the repository lead to it, and the files exist', () => {
  const links = files.flatMap((file) => elementsOf(file).map((each) => attributeOf(each, 'href') ?? ''));
  const inRepository = [...new Set(links)].flatMap(
    (link) => /^https:\/\/github\.com\/cloister-dev\/cloister\/(?:blob|tree|edit)\/main\/([^#]*)/.exec(link)?.[1] ?? [],
  );
  expect(inRepository).toContain('charts/cloister/README.md');
  expect(inRepository).toContain('docs/rules/privileged.md');
  expect(inRepository.filter((each) => !existsSync(join(root, each)))).toEqual([]);
});

test.each(sources)('%s has the headings and the blocks of code of its source', (source) => {
  const written = readFileSync(join(root, 'docs', source), 'utf8');
  const content = elementsOf(builtOf(source)).find((each) => hasClass(each, 'vp-doc'));
  const built = content === undefined ? [] : elementsIn(content);
  const isAnchor = (each: Element): boolean => hasClass(each, 'header-anchor');
  const headings = built
    .filter(({ tagName }) => /^h[1-6]$/.test(tagName))
    .map((each) => `${each.tagName} ${textOf(each, isAnchor).trim()}`);
  const blocks = built.filter(({ tagName }) => tagName === 'pre').map((each) => textOf(each).trimEnd());
  expect(headings).toEqual(headingsIn(written));
  expect(blocks).toEqual(blocksIn(written));
});

const FENCE = /^( *)(`{3,})[^\n]*\n([\s\S]*?)^\1\2 *$/gm;

/** The text of each fenced block, without the indent of the list item that it stands in. */
const blocksIn = (text: string): string[] =>
  [...text.matchAll(FENCE)].map(([, indent = '', , block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trimEnd());

const headingsIn = (text: string): string[] =>
  [...text.replaceAll(FENCE, '').matchAll(/^(#+) (.*)$/gm)].map(([, marks = '', heading = '']) => {
    const plain = heading.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1').replaceAll(/[`*\\]/g, '');
    return `h${marks.length} ${plain.trim()}`;
  });

describe.each([
  ['rules', rules],
  ['profiles', backends],
  ['checks', [...wallChecks, ...checks]],
] as const)('the index of the %s', (name, all) => {
  test('has every one of the sources, with its sentence, and a link to its page', () => {
    const rows = elementsOf(`${name}/index.html`).filter(({ tagName }) => tagName === 'tr');
    const listed = rows.flatMap((row) => {
      const link = elementsIn(row).find(({ tagName }) => tagName === 'a');
      return link === undefined ? [] : [`${attributeOf(link, 'href')} ${textOf(row)}`];
    });
    expect(listed).toHaveLength(all.length);
    for (const [index, { id, summary }] of all.entries()) {
      expect(listed[index]).toContain(`${base}${name}/${id}.html ${id}`);
      expect(listed[index]).toContain(summary);
    }
  });
});

test('the menu of versions leads to each version', () => {
  const links = elementsOf('documentation.html').map((each) => attributeOf(each, 'href') ?? '');
  expect(links).toContain(`${inject('siteUrl')}v0.1.0/`);
});
