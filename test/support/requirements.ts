import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

/**
 * What this machine lacks to make a root file system of Debian and to run programs in it, in words; nothing where it can.
 * @param further programs that the caller needs beside
 */
export async function missingForDebian(further: readonly string[] = []): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'Linux';
  if (process.getuid?.() !== 0) return 'root';
  const missing = await missingPrograms(['unshare', 'chroot', 'apt-get', 'dpkg-deb', ...further]);
  if (missing !== undefined) return missing;
  const makes = 'mount -t tmpfs node /mnt && mknod /mnt/null c 1 3 && mount -t proc proc /mnt';
  return (await works('unshare', '--mount', '--pid', '--fork', '--net', 'sh', '-c', makes))
    ? undefined
    : 'the right to mount and to make devices, which containers lack';
}

/** In words: `tar, bash on the PATH`. */
async function missingPrograms(names: readonly string[]): Promise<string | undefined> {
  const missing = await Promise.all(names.map(async (name) => ((await isOnPath(name)) ? [] : [name])));
  return missing.flat().length > 0 ? `${missing.flat().join(', ')} on the PATH` : undefined;
}

/** Whether a program ends with 0. */
export function works(program: string, ...args: readonly string[]): Promise<boolean> {
  return promisify(execFile)(program, args).then(
    () => true,
    () => false,
  );
}

async function isOnPath(name: string): Promise<boolean> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = await Promise.all(
    folders.map((folder) =>
      access(join(folder, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}
