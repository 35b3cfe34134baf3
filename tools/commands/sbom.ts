import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../../src/make-folder.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev sbom [folder]`: writes the bill of materials of the runtime dependencies with npm, in both common formats.
 *
 * npm reads a lockfile without the development dependencies: `npm sbom --omit=dev` (npm 11.19) also omits runtime dependencies that a development
 * dependency requires too, such as yaml and zod.
 */

const root = join(import.meta.dirname, '../..');
const [folder = join(root, 'sbom')] = readArguments('usage: ./dev sbom [folder]', { most: 1 });
const temporary = await mkdtemp(join(tmpdir(), 'cloister-sbom-'));
try {
  const project = join(temporary, 'cloister'); // npm names the bill after its folder
  await mkdir(project);
  const { devDependencies: _, ...manifest } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  await writeFile(join(project, 'package.json'), JSON.stringify(manifest));
  for (const file of ['package-lock.json', '.npmrc']) await cp(join(root, file), join(project, file));
  await npm(project, 'prune', '--package-lock-only', '--offline');
  await makeFolder(folder);
  for (const [format, ending] of [
    ['cyclonedx', 'cdx'],
    ['spdx', 'spdx'],
  ] as const) {
    const file = join(folder, `cloister.${ending}.json`);
    await writeFile(file, await npm(project, 'sbom', '--package-lock-only', '--sbom-type=application', `--sbom-format=${format}`));
    process.stdout.write(`${file}\n`);
  }
} finally {
  await rm(temporary, { recursive: true });
}

async function npm(cwd: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('npm', args, { cwd, maxBuffer: 64 * 1024 * 1024 })).stdout;
}
