import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DefaultTheme } from 'vitepress';

/** The folder of the repository. */
export const root = join(import.meta.dirname, '../..');

/** The contents page of the documentation is the one list of all pages: the sidebar has its order and its groups. */
const CONTENTS = 'docs/README.md';

/** The group of the links that stand under no name. */
const UNNAMED = 'Reference';

/** The groups that are closed on pages outside of them, because they are long. */
const LONG = 8;

export function sidebar(): DefaultTheme.SidebarItem[] {
  const groups = new Map<string, DefaultTheme.SidebarItem[]>();
  const [introduction = '', ...sections] = readFileSync(join(root, CONTENTS), 'utf8').split(/^## /m);
  for (const paragraph of introduction.split(/\n\n+/).slice(1)) {
    const [, name = UNNAMED] = /^\*\*(.+?)\*\*/.exec(paragraph) ?? [];
    add(name, paragraph);
  }
  for (const section of sections) add(section.slice(0, section.indexOf('\n')), section);
  return [
    { text: 'All pages', link: '/documentation' },
    ...[...groups].map(([text, items]) => ({ text, items, collapsed: items.length > LONG })),
  ];

  function add(group: string, text: string): void {
    for (const [, page = ''] of text.matchAll(/\]\((?!\.\.\/|https:)([^)#]+)\.md(?:#[^)]*)?\)/g)) {
      const item = { text: titleOf(page), link: `/${page}` };
      const isListed = [...groups.values()].some((items) => items.some(({ link }) => link === item.link));
      if (!isListed) groups.set(group, [...(groups.get(group) ?? []), item]);
    }
  }
}

/** The heading of a page, without marks. */
function titleOf(page: string): string {
  const [, title = page] = /^# (.*)$/m.exec(readFileSync(join(root, `docs/${page}.md`), 'utf8')) ?? [];
  return title.replaceAll('`', '');
}
