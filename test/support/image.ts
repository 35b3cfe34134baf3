import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Image } from './small-node.ts';

const root = join(import.meta.dirname, '../..');

/** What the Dockerfile says of the last stage: how its process starts, and where it finds programs. */
export function imageSettings(): Pick<Image, 'entrypoint' | 'path'> {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8');
  const entrypoint = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(text)?.[1] ?? 'null') as readonly string[];
  const path = /^ENV .*\bPATH=(\S+)/m.exec(text)?.[1];
  if (path === undefined) throw new Error('the Dockerfile sets no PATH');
  return { entrypoint, path };
}

/** The image as folders of this machine: what would be in it, built from the sources, and this machine's Node with its libraries. */
export async function imageFiles(folder: string): Promise<Image> {
  const dist = join(folder, 'dist');
  await promisify(execFile)(process.execPath, [join(root, 'tools/commands/build.ts'), dist]);
  const own = {
    '/cloister/dist': dist,
    '/cloister/package.json': join(root, 'package.json'),
    '/cloister/seccomp': join(root, 'seccomp'),
  };
  const machine = Object.fromEntries(['/usr', '/lib', '/lib64', '/dev', '/proc'].map((path) => [path, path]));
  return { ...imageSettings(), files: { ...own, ...machine, '/nodejs/bin/node': process.execPath } };
}
