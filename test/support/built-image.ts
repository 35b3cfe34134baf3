import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { workspaceRoot } from '../../tools/programs/workspace-image.ts';
import { run } from './helm.ts';
import { missingForDebian } from './requirements.ts';

/**
 * The image, built by the buildah of the workspace image from the Dockerfile. Files of this machine replace its bases: its programs for
 * building, and its Node with the libraries that it needs, and nothing else, for running. So every line of the Dockerfile is carried out.
 */

const root = join(import.meta.dirname, '../..');
const NODE = process.execPath;

/** What this machine lacks to build the image, in words; nothing where it can. */
export const missingForImage = await missingForDebian();

export const BUILT_IMAGE = 'localhost/cloister:test';

/** buildah with a store of its own. @throws with what it prints */
export type Buildah = (...args: readonly string[]) => Promise<string>;

/** Builds it into a store in a folder. */
export async function buildImage(folder: string): Promise<Buildah> {
  const buildah = await startBuildah(folder);
  const volumes = await baseForBuilding(buildah, folder);
  await baseForRunning(buildah, folder);
  const buildArguments = ['BUILD=localhost/build', 'BASE=localhost/base', 'VERSION=1.2.3', 'REVISION=abc'].map(
    (each) => `--build-arg=${each}`,
  );
  const environment = ['NODE_EXTRA_CA_CERTS'].flatMap((name) =>
    process.env[name] === undefined ? [] : [`--env=${name}=${process.env[name]}`],
  );
  const settings = [
    '--isolation=chroot',
    '--network=host',
    '--pull-never',
    ...(await ulimits()),
    ...buildArguments,
    ...volumes,
    ...environment,
  ];
  await buildah('bud', ...settings, `--tag=${BUILT_IMAGE}`, root);
  return buildah;
}

/** The limits of this process: buildah would raise them, which root of a machine without CAP_SYS_RESOURCE may not. */
async function ulimits(): Promise<readonly string[]> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  return Object.entries({ nofile: 'Max open files', nproc: 'Max processes' }).map(([name, title]) => {
    const [, soft = '', hard = ''] = new RegExp(`^${title} +(\\S+) +(\\S+)`, 'm').exec(limits) ?? [];
    return `--ulimit=${name}=${[soft, hard].map((value) => (value === 'unlimited' ? '-1' : value)).join(':')}`;
  });
}

/** Where buildah finds the files of this machine. */
const MACHINE = '/machine';

/**
 * Enters a Debian in mounts of its own: `sh -euc SCRIPT sh DEBIAN PLACE FOLDER... -- PROGRAM...`. The Debian stays as it is, because a layer in
 * memory takes what is written. The folders are at the same paths inside.
 */
const ENTER = `
debian=$1 place=$2; shift 2
mount -t tmpfs tmpfs "$place"
mkdir "$place/layer" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=$debian,upperdir=$place/layer,workdir=$place/work" overlay "$place/root"
mkdir "$place/root${MACHINE}"
mount --rbind / "$place/root${MACHINE}"
for each in /proc /dev /sys; do mount --rbind "$each" "$place/root$each"; done
for each in /etc/resolv.conf /etc/hosts; do [ ! -e "$each" ] || cp --remove-destination "$each" "$place/root$each"; done
while [ "$1" != -- ]; do mkdir -p "$place/root$1"; mount --rbind "$1" "$place/root$1"; shift; done
shift
exec chroot "$place/root" "$@"`;

async function startBuildah(folder: string): Promise<Buildah> {
  const debian = await workspaceRoot('workspace');
  const place = await mkdtemp(join(folder, 'enter-'));
  const entering = ['--mount', '--propagation', 'private', 'sh', '-euc', ENTER, 'sh', debian, place, folder, root, '--'];
  const store = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const environment = { ...process.env, HOME: '/root', TMPDIR: folder, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  return async (...args) => {
    const { code, stdout, stderr } = await run('unshare', [...entering, 'buildah', ...store, ...args], '', environment);
    if (code !== 0) throw new Error(`buildah ${args[0]}: ${stderr.slice(-3_000)}${stdout.slice(-3_000)}`);
    return stdout.trim();
  };
}

/** Programs of this machine, and the settings and the cache of npm, are mounted while it builds; the image has only the places for them. */
async function baseForBuilding(buildah: Buildah, folder: string): Promise<readonly string[]> {
  const cache = join(homedir(), '.npm');
  const settings = join(homedir(), '.npmrc');
  const places = ['/usr', '/bin', '/lib', '/lib64', '/etc/ssl', dirname(dirname(NODE)), cache].filter((place) => existsSync(place));
  const context = await mkdtemp(join(folder, 'build-'));
  for (const place of [...places, '/tmp', '/root']) await mkdir(join(context, 'root', place), { recursive: true });
  const environment = `ENV PATH=${dirname(NODE)}:${process.env.PATH} HOME=/root npm_config_prefer_offline=true`;
  await imageOf(buildah, { name: 'localhost/build', lines: [environment], context });
  return [
    ...places.map((place) => `--volume=${MACHINE}${place}:${place}${place === cache ? '' : ':ro'}`),
    ...(existsSync(settings) ? [`--volume=${MACHINE}${settings}:/root/.npmrc:ro`] : []),
  ];
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
