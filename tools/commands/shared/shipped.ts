import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../../../src/make-folder.ts';

const root = join(import.meta.dirname, '../../..');

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** The packages that the sources import, with their versions: the build bundles them, so that the npm package depends on none. */
export async function shippedPackages(): Promise<Readonly<Record<string, string>>> {
  const { devDependencies } = await readManifest();
  const texts = await Promise.all(globSync('src/**/*.ts', { cwd: root }).map((file) => readFile(join(root, file), 'utf8')));
  const imported = new Set(texts.flatMap((text) => [...text.replace(TYPES, '').matchAll(IMPORT)].map(([, name = '']) => name)));
  const names = [...imported].filter((name) => !builtinModules.includes(name)).toSorted();
  return Object.fromEntries(names.map((name) => [name, versionOf(name, devDependencies)]));
}

/** Imports of types are not in the build. */
const TYPES = /^import type [^;]*;/gm;

/** The package of an import that is not relative and not of Node. */
const IMPORT = /\b(?:from |import\()'((?:@[^/']+\/)?[a-z][^/':]*)(?:\/[^']*)?'/g;

function versionOf(name: string, versions: Readonly<Record<string, string>>): string {
  const version = versions[name];
  if (version === undefined) throw new Error(`src imports ${name}, which package.json does not list`);
  return version;
}

/**
 * Calls a function with a folder that holds the manifest and the lockfile of what is shipped, without what only builds and tests.
 *
 * npm reads a lockfile without these packages: `npm sbom --omit=dev` (npm 11.19) also omits packages that a development dependency requires too,
 * such as yaml and zod.
 */
export async function withShippedProject<Value>(use: (project: string) => Promise<Value>): Promise<Value> {
  const temporary = await mkdtemp(join(tmpdir(), 'cloister-shipped-'));
  try {
    const project = join(temporary, 'cloister'); // npm names a bill of materials after its folder
    await makeFolder(project);
    const { devDependencies: _, ...manifest } = await readManifest();
    await writeFile(join(project, 'package.json'), JSON.stringify({ ...manifest, dependencies: await shippedPackages() }));
    for (const file of ['package-lock.json', '.npmrc']) await cp(join(root, file), join(project, file));
    await npm(project, 'prune', '--package-lock-only', '--offline');
    return await use(project);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

/** @returns what npm prints */
export async function npm(cwd: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('npm', args, { cwd, maxBuffer: 64 * 1024 * 1024 })).stdout;
}

async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest;
}
