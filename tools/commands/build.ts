import { globSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { build } from 'rolldown';
import { readArguments } from './shared/arguments.ts';

/**
 * Builds dist/, or another folder: `./dev build [folder]`.
 *
 * The bundle consists of few files without unused code: finding and reading a thousand files costs a starting server more time than its own work.
 * The licences of the bundled packages lie beside it, and source maps, which are neither in the npm package nor in the image: with the maps of a
 * release, a stack trace in a log can be read.
 */

const root = join(import.meta.dirname, '../..');
const [folder = 'dist'] = readArguments('usage: ./dev build [folder]', { most: 1 });
const dist = resolve(root, folder);
/** Each command is one file, at the path of its source: `main` loads it by name. */
const commands = globSync('src/commands/*.ts', { cwd: root }).map((file) => [`commands/${basename(file, '.ts')}`, file]);

await rm(dist, { recursive: true, force: true });
const { output } = await build({
  cwd: root,
  input: { main: 'src/main.ts', 'webhook-worker': 'src/webhook-worker.ts', ...Object.fromEntries(commands) },
  platform: 'node',
  output: {
    dir: dist,
    format: 'esm',
    chunkFileNames: 'parts/[name]-[hash].js',
    sourcemap: 'hidden',
    minify: true,
  },
});

const packages = new Set(
  output.flatMap((part) => (part.type === 'chunk' ? part.moduleIds.map(packageOf) : [])).filter((each) => each !== undefined),
);
const licences = await Promise.all([...packages].sort().map(licenceOf));
await writeFile(join(dist, 'THIRD-PARTY-LICENCES.txt'), licences.join('\n'));

/** The folder of the package that contains a module; undefined for a module of Cloister. */
function packageOf(module: string): string | undefined {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module.split(sep).join('/'))?.[0];
}

async function licenceOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const files = globSync('{LICEN[CS]E,LICEN[CS]E.*,licen[cs]e,licen[cs]e.*,COPYING,NOTICE}', { cwd: folder });
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  if (license === undefined && texts.length === 0)
    throw new Error(`${relative(root, folder)} states no licence: see which it has before you bundle it`);
  return `${'-'.repeat(80)}\n${name} ${version} (${license})\n\n${texts.join('\n')}`;
}
