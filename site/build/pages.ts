import { join } from 'node:path';
import { build, createServer } from 'vitepress';
import { SETTINGS_VARIABLE, type SiteSettings } from '../.vitepress/settings.ts';
import { buildPlayground } from './playground.ts';

const site = join(import.meta.dirname, '..');
const PUBLIC = join(site, '.public');

/** Makes the static files of the site. @param folder where; it is emptied first */
export async function buildSite(folder: string, settings: SiteSettings): Promise<void> {
  process.env[SETTINGS_VARIABLE] = JSON.stringify(settings);
  await buildPlayground(PUBLIC);
  await build(site, { outDir: folder });
}

/** Serves the site on this machine alone; a page is built again when its source changes, and the playground is not. @returns the address */
export async function serveSite(port: number): Promise<string> {
  await buildPlayground(PUBLIC);
  const server = await createServer(site, { port, host: '127.0.0.1' });
  await server.listen();
  return server.resolvedUrls?.local[0] ?? `http://127.0.0.1:${port}/`;
}
