import { access, constants, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../src/make-folder.ts';

/** Files that take minutes to build are built once, and kept in the user's cache. */

/**
 * Makes the missing entries of a folder of the cache, and returns the folder. The entries are made in a folder beside it and renamed once all of
 * them are complete, so that concurrent or interrupted runs leave no partial entry.
 */
export async function cached<Name extends string>(
  called: string,
  entries: readonly Name[],
  make: (into: string, missing: readonly Name[]) => Promise<void>,
): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cloister', called);
  const missing = await missingFrom(folder, entries);
  if (missing.length === 0) return folder;
  await makeFolder(folder);
  await removeAbandoned(folder);
  const part = join(folder, `${PART_PREFIX}${process.pid}`);
  try {
    await makeFolder(part);
    await make(part, missing);
    for (const name of missing)
      await rename(join(part, name), join(folder, name)).catch((error) => acceptExisting(error, join(folder, name)));
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return folder;
}

/** The entries that the folder lacks, or whose access mode is not sufficient. */
export async function missingFrom<Name extends string>(
  folder: string,
  entries: readonly Name[],
  mode: number = constants.F_OK,
): Promise<readonly Name[]> {
  const isPresent = await Promise.all(entries.map((name) => isAccessible(join(folder, name), mode)));
  return entries.filter((_, index) => !isPresent[index]);
}

/** An error that the user can solve, without a stack trace. */
export function userError(sentence: string): Error {
  return Object.assign(new Error(sentence), { stack: `Error: ${sentence}` });
}

export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' ');
}

const PART_PREFIX = 'building-';

async function removeAbandoned(folder: string): Promise<void> {
  const abandoned = (await readdir(folder)).filter(
    (name) => name.startsWith(PART_PREFIX) && !isRunning(Number(name.slice(PART_PREFIX.length))),
  );
  await Promise.all(abandoned.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

/** A concurrent run may have made the same entry first, and its result is as good. */
async function acceptExisting(error: NodeJS.ErrnoException, entry: string): Promise<void> {
  if (!(error.code === 'ENOTEMPTY' || error.code === 'EEXIST') || !(await isAccessible(entry))) throw error;
}

function isAccessible(path: string, mode: number = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
