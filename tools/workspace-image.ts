import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached, complaint } from './cache.ts';
import { debianRoot } from './debian.ts';
import { type Image, writeImage } from './image.ts';

/**
 * The image of examples/workspace-image/, made where there is no registry: on a Debian from where this machine's apt gets its packages, by
 * the same list of packages, the same script and the same files.
 */

export const source = join(import.meta.dirname, '../examples/workspace-image');
export const WORKSPACE_IMAGE = 'localhost/workspace:test';
/** Where the Containerfile puts the files of its folder. */
const INSIDE = 'opt/workspace';
const FILES = ['packages', 'setup.sh', 'containers.conf', 'storage.conf'] as const;

/** An archive of it, made once, into the user's cache. Needs root. */
export async function workspaceImage(): Promise<string> {
  const texts = await Promise.all(['Containerfile', ...FILES].map((name) => readFile(join(source, name), 'utf8')));
  const [containerfile = '', packages = ''] = texts;
  const version = createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 12);
  const folder = await cached(`workspace-image-${version}`, ['workspace.tar'], async (into) => {
    const { suite, config } = readContainerfile(containerfile);
    const base = await debianRoot({ name: 'workspace', suite, packages: packages.trim().split('\n') });
    const root = join(into, 'root');
    await run('cp', '--archive', base, root);
    for (const name of FILES) await cp(join(source, name), join(root, INSIDE, name));
    await run('chroot', root, 'sh', `/${INSIDE}/setup.sh`);
    await writeImage(join(into, 'workspace.tar'), { name: WORKSPACE_IMAGE, root, config });
  });
  return join(folder, 'workspace.tar');
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args);
  } catch (error) {
    throw complaint(`The workspace image cannot be made: ${(error as Error).message.trim()}`);
  }
}

/** What a Containerfile says besides its steps: of which suite its Debian is, and how containers of it start. */
export function readContainerfile(text: string): { readonly suite: string; readonly config: NonNullable<Image['config']> } {
  const [, suite] = /^FROM docker\.io\/library\/debian:(\w+)-slim$/m.exec(text) ?? [];
  const [, User] = /^USER (\S+)$/m.exec(text) ?? [];
  const [, WorkingDir] = /^WORKDIR (\S+)$/m.exec(text) ?? [];
  const [, command] = /^CMD (\[.*\])$/m.exec(text) ?? [];
  if (suite === undefined || User === undefined || WorkingDir === undefined || command === undefined)
    throw new Error('The Containerfile must say FROM a Debian, USER, WORKDIR and CMD, each on a line.');
  return { suite, config: { User, WorkingDir, Cmd: JSON.parse(command) } };
}

if (import.meta.main) process.stdout.write(`${await workspaceImage()}\n`);
