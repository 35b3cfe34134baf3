import { join } from 'node:path';
import { defineConfig } from 'vitepress';
import { anchorOf, pageOf, REPOSITORY, readAsOnGitHub } from './markdown.ts';
import { root, sidebar } from './navigation.ts';
import { readSettings } from './settings.ts';

const { url, ref, versions } = readSettings();
const base = url === undefined ? '/' : new URL(url).pathname;

/** The folders of the repository that have pages. The sources are the files of the repository: nothing is copied. */
const WITHOUT_PAGES = '!(docs|site)/**';

export default defineConfig({
  title: 'Cloister',
  description: 'Root inside a Kubernetes workspace, no privileges outside it.',
  base,
  srcDir: '..',
  outDir: 'dist',
  srcExclude: [WITHOUT_PAGES, '*.md', 'site/!(pages)/**', 'site/*.md'],
  rewrites: (file) => (pageOf(file) === undefined ? file : `${pageOf(file)}.md`),
  markdown: {
    anchor: { slugify: anchorOf },
    config: (markdown) => readAsOnGitHub(markdown, ref),
  },
  vite: {
    // The index of the search is one file, which is loaded when a reader searches.
    build: { chunkSizeWarningLimit: 5_000 },
    publicDir: join(root, 'site/.public'),
    // A page of the site is not to be reached from another machine while it is written.
    server: { host: '127.0.0.1' },
  },
  themeConfig: {
    nav: [
      { text: 'Documentation', link: '/documentation', activeMatch: '^/(?!rules/|profiles/|checks/|$)' },
      { text: 'Rules', link: '/rules/' },
      { text: 'Profiles', link: '/profiles/' },
      { text: 'Checks', link: '/checks/' },
      { text: 'Playground', link: '/playground.html', target: '_self', noIcon: true },
      {
        text: ref,
        items:
          versions.length === 0
            ? [{ text: ref, link: '/' }]
            : versions.map((version) => ({ text: version.ref, link: version.url, target: '_self', noIcon: true })),
      },
    ],
    sidebar: sidebar(),
    outline: [2, 3],
    search: { provider: 'local' },
    editLink: { pattern: `${REPOSITORY}/edit/main/:path`, text: 'Edit this page' },
    socialLinks: [{ icon: 'github', link: REPOSITORY, ariaLabel: 'Repository' }],
    footer: { message: 'Apache-2.0' },
  },
});
