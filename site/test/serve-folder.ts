import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** Serves the files of a folder on this machine, as a host of static files does. @param base the path of the folder, with slashes */
export async function serveFolder(folder: string, base: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async ({ url = '' }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    // `URL` has resolved `..`, so that the path stays in the folder.
    const path = join(folder, decodeURIComponent(pathname.slice(base.length)));
    const file = (await stat(path).catch(() => undefined))?.isDirectory() ? join(path, 'index.html') : path;
    const content = pathname.startsWith(base) ? await readFile(file).catch(() => undefined) : undefined;
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${base}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
