import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { installSite } from '../../tools/commands/shared/site.ts';
import { chromium, missingForChromium } from '../../tools/programs/chromium.ts';
import { serveFolder } from './serve-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the built site. */
    readonly siteFolder: string;
    /** Where the site is served, with a slash at the end. */
    readonly siteUrl: string;
    /** The program Chromium, or what this machine lacks for it. */
    readonly chromium: { readonly program: string } | { readonly missing: string };
  }
}

/** As on GitHub Pages, the site is not at the root of its address. */
const BASE = '/cloister/';

/** Builds the site once for all tests, and serves its files. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = await missingForChromium();
  project.provide('chromium', missing === undefined ? { program: await chromium() } : { missing });
  await installSite();
  const folder = await mkdtemp(join(tmpdir(), 'cloister-site-'));
  const server = await serveFolder(folder, BASE);
  // The packages of the site may have been installed only now.
  const { buildSite } = await import('../build/pages.ts');
  await buildSite(folder, {
    url: server.url,
    ref: 'main',
    versions: [
      { ref: 'main', url: server.url },
      { ref: 'v0.1.0', url: `${server.url}v0.1.0/` },
    ],
  });
  project.provide('siteFolder', folder);
  project.provide('siteUrl', server.url);
  return async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  };
}
