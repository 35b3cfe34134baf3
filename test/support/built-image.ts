import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from './helm.ts';

/**
 * The image, built by buildah from the Dockerfile. Its bases are stood in for by what this machine has: for building its own programs, for running
 * its Node with the libraries that it needs, and nothing else. So every line of the Dockerfile is carried out.
 */

const root = join(import.meta.dirname, '../..');
const NODE = process.execPath;

/** Whether it can be built here. */
export const canBuildImage = process.getuid?.() === 0 && spawnSync('buildah', ['--version']).status === 0;

export const BUILT_IMAGE = 'localhost/cloister:test';

/** buildah with a store of its own. @throws with what it says */
export type Buildah = (...args: readonly string[]) => Promise<string>;

/** Builds it into a store in a folder. */
export async function buildImage(folder: string): Promise<Buildah> {
  const store = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const buildah: Buildah = async (...args) => {
    const { code, stdout, stderr } = await run('buildah', [...store, ...args]);
    if (code !== 0) throw new Error(`buildah ${args[0]}: ${stderr.slice(-3_000)}${stdout.slice(-3_000)}`);
    return stdout.trim();
  };
  const volumes = await baseForBuilding(buildah, folder);
  await baseForRunning(buildah, folder);
  const bases = ['--build-arg=BUILD=localhost/build', '--build-arg=BASE=localhost/base'];
  const environment = ['NODE_EXTRA_CA_CERTS'].flatMap((name) =>
    process.env[name] === undefined ? [] : [`--env=${name}=${process.env[name]}`],
  );
  const registry = `--volume=${join(homedir(), '.npmrc')}:/root/.npmrc:ro`;
  const settings = ['--isolation=chroot', '--network=host', '--pull-never', ...bases, ...volumes, registry, ...environment];
  await buildah('bud', ...settings, `--tag=${BUILT_IMAGE}`, root);
  return buildah;
}

/** Programs of this machine are mounted while it builds; what the image itself holds are the places for them. */
async function baseForBuilding(buildah: Buildah, folder: string): Promise<readonly string[]> {
  const places = ['/usr', '/bin', '/lib', '/lib64', '/etc/ssl', dirname(dirname(NODE)), join(homedir(), '.npm')];
  const context = await mkdtemp(join(folder, 'build-'));
  for (const place of [...places, '/tmp', '/root']) await mkdir(join(context, 'root', place), { recursive: true });
  const environment = `ENV PATH=${dirname(NODE)}:${process.env.PATH} HOME=/root npm_config_prefer_offline=true`;
  await imageOf(buildah, { name: 'localhost/build', lines: [environment], context });
  return places.map((place) => `--volume=${place}:${place}${place.endsWith('.npm') ? '' : ':ro'}`);
}

async function baseForRunning(buildah: Buildah, folder: string): Promise<void> {
  const context = await mkdtemp(join(folder, 'base-'));
  const { stdout } = await run('ldd', [NODE]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  if (libraries.length < 4) throw new Error(`ldd names no libraries of ${NODE}: ${stdout}`);
  for (const library of libraries) await cp(library, join(context, 'root', library), { dereference: true });
  await cp(NODE, join(context, 'root/nodejs/bin/node'));
  await mkdir(join(context, 'root/etc'), { recursive: true });
  await writeFile(join(context, 'root/etc/passwd'), 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n');
  for (const place of ['dev', 'proc', 'tmp', 'config', 'tls']) await mkdir(join(context, 'root', place), { recursive: true });
  await imageOf(buildah, { name: 'localhost/base', lines: [], context });
}

interface Base {
  readonly name: string;
  readonly lines: readonly string[];
  /** A folder whose `root` is the image's file system. */
  readonly context: string;
}

async function imageOf(buildah: Buildah, { name, lines, context }: Base): Promise<void> {
  await writeFile(join(context, 'Containerfile'), ['FROM scratch', 'COPY root/ /', ...lines, ''].join('\n'));
  await buildah('bud', '--isolation=chroot', '--tag', name, context);
}
