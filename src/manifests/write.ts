import { chmod, chown, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The bits of a mode that are no file type. */
const PERMISSIONS = 0o7777;

/**
 * Replaces the content of a file: the new content is written beside it and then takes its name, so that at no time the file is half written. The mode
 * of the file stays, and also its owner, if this user may set it. If the path is a link, the file that it points to is replaced.
 * A file with several hard links is not written: the other names would keep the old content.
 * @returns why the file is not written; undefined: it is
 * @throws the error of the file system; the file is then unchanged
 */
export async function replaceFile(file: string, text: string): Promise<string | undefined> {
  const target = await realpath(file);
  const { mode, uid, gid, nlink } = await stat(target);
  if (nlink > 1) {
    return `the file has ${nlink} names (hard links), and only this one would get the new content; it is unchanged: write the printed manifest into it, or remove the other names`;
  }
  const beside = join(dirname(target), `.${basename(target)}.cloister-${process.pid}`);
  // Fails if the name is taken. Until the mode is known, only the owner may read the file.
  await writeFile(beside, text, { flag: 'wx', mode: 0o600 });
  try {
    await chown(beside, uid, gid).catch(() => {});
    await chmod(beside, mode & PERMISSIONS);
    await rename(beside, target);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  return undefined;
}
