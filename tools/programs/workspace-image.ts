import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from '../../src/make-folder.ts';
import { cached, userError } from './cache.ts';
import { debianRoot } from './debian.ts';
import { type Image, writeImage } from './image.ts';

/**
 * The images of examples/workspace-image/, built without a registry: on a Debian from the archive that this machine's apt uses, with the same
 * lists of packages, scripts and files.
 */

export const source = join(import.meta.dirname, '../../examples/workspace-image');
/** The Containerfile copies its folder to this path. */
const INSIDE = 'opt/workspace';

/** Contains podman and buildah. */
export const WORKSPACE_IMAGE = 'localhost/workspace:test';
/** Contains Docker too. */
export const DOCKER_IMAGE = 'localhost/workspace-docker:test';

/** The build targets of the Containerfile: the folders with their packages, files and scripts, in order. */
const TARGETS = {
  workspace: { name: WORKSPACE_IMAGE, layers: ['.'] },
  'workspace-docker': { name: DOCKER_IMAGE, layers: ['.', 'docker'] },
} as const;

type BuildTarget = keyof typeof TARGETS;

/** The archive of a target, built once, into the user's cache. Needs root. */
export async function workspaceImage(target: BuildTarget): Promise<string> {
  const { name, layers } = TARGETS[target];
  const files = (await filesBelow(source)).filter((file) => !file.startsWith('docker/') || target === 'workspace-docker');
  const version = createHash('sha256');
  for (const file of files) version.update(`${file}\0`).update(await readFile(join(source, file)));
  const folder = await cached(`${target}-image-${version.digest('hex').slice(0, 12)}`, ['workspace.tar'], async (into) => {
    const { config } = await readRecipe();
    const base = await workspaceRoot(target);
    const root = join(into, 'root');
    await run('cp', '--archive', base, root);
    for (const file of files.filter((each) => each !== 'Containerfile')) await cp(join(source, file), join(root, INSIDE, file));
    for (const layer of layers) await run('chroot', root, 'sh', join('/', INSIDE, layer, 'setup.sh'));
    await writeImage(join(into, 'workspace.tar'), { name, root, config });
  });
  return join(folder, 'workspace.tar');
}

/**
 * The archive of the workspace image after a command of a Dockerfile that builds on it, once, in the user's cache. Needs root.
 * @param name the reference of the new image in a pod
 * @param command what RUN has
 * @param user what USER has after it
 */
export async function changedWorkspaceImage(
  name: string,
  { command, user }: { readonly command: string; readonly user: string },
): Promise<string> {
  const archive = await workspaceImage('workspace');
  const version = createHash('sha256').update([archive, name, command, user].join('\0')).digest('hex').slice(0, 12);
  const folder = await cached(`workspace-changed-${version}`, ['workspace.tar'], async (into) => {
    const { config } = await readRecipe();
    const root = join(into, 'root');
    await makeFolder(root);
    await run('tar', '--extract', `--file=${archive}`, `--directory=${into}`, 'layer.tar');
    const attributes = ['--numeric-owner', '--same-permissions', '--xattrs', '--xattrs-include=security.capability'];
    await run('tar', '--extract', `--file=${join(into, 'layer.tar')}`, `--directory=${root}`, ...attributes);
    await run('chroot', root, 'sh', '-euc', command);
    await writeImage(join(into, 'workspace.tar'), { name, root, config: { ...config, User: user } });
  });
  return join(folder, 'workspace.tar');
}

/** The Debian of a target, with its packages and before its scripts ran: podman and buildah are in it. Needs root. */
export async function workspaceRoot(target: BuildTarget): Promise<string> {
  const { layers } = TARGETS[target];
  const { suite } = await readRecipe();
  const packages = await Promise.all(layers.map((layer) => readFile(join(source, layer, 'packages'), 'utf8')));
  return debianRoot({ name: target, suite, packages: packages.join('').trim().split('\n') });
}

async function readRecipe(): Promise<ReturnType<typeof readContainerfile>> {
  return readContainerfile(await readFile(join(source, 'Containerfile'), 'utf8'));
}

/** Every file below a folder, relative to it. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args);
  } catch (error) {
    throw userError(`The workspace image cannot be built: ${(error as Error).message.trim()}`);
  }
}

/** The Debian suite of the Containerfile, and the configuration of its image. */
export function readContainerfile(text: string): { readonly suite: string; readonly config: NonNullable<Image['config']> } {
  const [, suite] = /^FROM docker\.io\/library\/debian:(\w+)-slim AS workspace$/m.exec(text) ?? [];
  // Of several instructions of one kind the last one counts, as in a build.
  const lastOf = (instruction: string): string | undefined =>
    [...text.matchAll(new RegExp(`^${instruction} (.+)$`, 'gm'))].map(([, value]) => value).at(-1);
  const [User, WorkingDir, entrypoint, command] = ['USER', 'WORKDIR', 'ENTRYPOINT', 'CMD'].map(lastOf);
  if (suite === undefined || User === undefined || WorkingDir === undefined || entrypoint === undefined || command === undefined)
    throw new Error('The Containerfile must have FROM with a Debian image, USER, WORKDIR, ENTRYPOINT and CMD, each on one line.');
  return { suite, config: { User, WorkingDir, Entrypoint: JSON.parse(entrypoint), Cmd: JSON.parse(command) } };
}

if (import.meta.main) {
  for (const target of Object.keys(TARGETS) as BuildTarget[]) process.stdout.write(`${await workspaceImage(target)}\n`);
}
