import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

export interface Image {
  /** The reference in a pod, such as `localhost/busybox:test`. */
  readonly name: string;
  /** The folder of its file system. Owners, modes and file capabilities are kept. */
  readonly root: string;
  /** A part of the image configuration. */
  readonly config?: {
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Env?: readonly string[];
    readonly User?: string;
    readonly WorkingDir?: string;
  };
}

/**
 * Writes an image with one layer as an archive that `ctr images import`, `podman load` and `docker load` read.
 * Source: https://github.com/moby/docker-image-spec/blob/main/spec.md
 */
export async function writeImage(archive: string, { name, root, config = {} }: Image): Promise<void> {
  const folder = await mkdtemp(join(dirname(archive), 'image-'));
  try {
    await tar(join(folder, 'layer.tar'), root, ['--exclude=./proc/*', '--exclude=./sys/*', '--exclude=./dev/*', '.']);
    const image = {
      architecture: arch() === 'x64' ? 'amd64' : arch(),
      os: 'linux',
      config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], ...config },
      rootfs: { type: 'layers', diff_ids: [`sha256:${await digestOf(join(folder, 'layer.tar'))}`] },
    };
    await writeFile(join(folder, 'config.json'), JSON.stringify(image));
    const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await tar(join(folder, 'whole.tar'), folder, ['manifest.json', 'config.json', 'layer.tar']);
    await rename(join(folder, 'whole.tar'), archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function tar(archive: string, folder: string, members: readonly string[]): Promise<void> {
  const attributes = ['--one-file-system', '--numeric-owner', '--xattrs', '--xattrs-include=security.capability'];
  await promisify(execFile)('tar', ['--create', `--file=${archive}`, `--directory=${folder}`, ...attributes, ...members]);
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
