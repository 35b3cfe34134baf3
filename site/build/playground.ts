import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { build, type OutputChunk } from 'rolldown';

const source = join(import.meta.dirname, '../playground');
const PAGE = 'playground.html';

/**
 * Bundles the playground: a page, and a folder with its scripts. The name of the folder depends on its content, so that a browser never combines
 * files of two versions.
 * @param folder of the site. The page is directly in it.
 */
export async function buildPlayground(folder: string): Promise<void> {
  const [page, worker, html, style] = await Promise.all([
    bundle({ main: join(source, 'main.ts'), editor: join(source, 'editor.ts') }),
    bundle({ worker: join(source, 'worker.ts') }),
    readFile(join(source, PAGE), 'utf8'),
    readFile(join(source, 'style.css'), 'utf8'),
  ]);
  const files: readonly (readonly [name: string, text: string])[] = [
    ...[...page, ...worker].map(({ fileName, code }) => [basename(fileName), code] as const),
    ['style.css', style],
  ];
  const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 12);
  const name = `playground-${hash}`;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await mkdir(join(folder, name));
  for (const [file, text] of files) await writeFile(join(folder, name, file), text);
  await writeFile(join(folder, PAGE), html.replaceAll('"playground/', `"${name}/`));
}

async function bundle(input: Readonly<Record<string, string>>): Promise<OutputChunk[]> {
  const { output } = await build({
    input,
    platform: 'browser',
    // The webhook counts bytes with the Buffer of Node. The package is the same for browsers. The core uses neither.
    transform: { target: 'es2023', inject: { Buffer: ['buffer/', 'Buffer'] } },
    resolve: { alias: { 'buffer/': createRequire(import.meta.url).resolve('buffer/') } },
    moduleTypes: { '.yaml': 'text' },
    write: false,
    output: { format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'shared-[name].js', minify: true },
    onLog(level, log, report) {
      if (level !== 'debug' && log.code === 'UNRESOLVED_IMPORT') throw new Error(log.message);
      report(level, log);
    },
    plugins: [
      {
        name: 'no-node',
        resolveId(id) {
          if (id.startsWith('node:')) throw new Error(`${id} does not exist in a browser: the page must not import it`);
        },
      },
    ],
  });
  return output.filter((each) => each.type === 'chunk');
}
