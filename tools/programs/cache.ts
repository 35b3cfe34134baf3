import { access, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What tests need and what takes minutes to make is made once, and kept in the user's cache. */

/**
 * The folder of the cache that is called so, with everything in it that is wanted. What is missing is made beside it, under the same names,
 * and renamed when all of it is whole: two makers at once, or one that was interrupted, never leave half a thing.
 */
export async function cached<Name extends string>(
  called: string,
  wanted: readonly Name[],
  make: (into: string, missing: readonly Name[]) => Promise<void>,
): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cloister', called);
  const missing = await lacking(folder, wanted);
  if (missing.length === 0) return folder;
  await mkdir(folder, { recursive: true });
  await removeAbandoned(folder);
  const part = join(folder, `${MAKING}${process.pid}`);
  try {
    await mkdir(part, { recursive: true });
    await make(part, missing);
    for (const name of missing) await rename(join(part, name), join(folder, name)).catch((error) => yieldToTwin(error, join(folder, name)));
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return folder;
}

/** Those that are not there, or not as they have to be. */
export async function lacking<Name extends string>(
  folder: string,
  wanted: readonly Name[],
  mode: number = constants.F_OK,
): Promise<readonly Name[]> {
  const there = await Promise.all(wanted.map((name) => isThere(join(folder, name), mode)));
  return wanted.filter((_, index) => !there[index]);
}

/** For the person at the keyboard, who has something to install: a stack would only hide the sentence. */
export function complaint(sentence: string): Error {
  return Object.assign(new Error(sentence), { stack: `Error: ${sentence}` });
}

export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' ');
}

const MAKING = 'building-';

async function removeAbandoned(folder: string): Promise<void> {
  const abandoned = (await readdir(folder)).filter((name) => name.startsWith(MAKING) && !isRunning(Number(name.slice(MAKING.length))));
  await Promise.all(abandoned.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

/** A folder does not replace one that another maker has finished meanwhile; that one is as good. */
async function yieldToTwin(error: NodeJS.ErrnoException, finished: string): Promise<void> {
  if (!(error.code === 'ENOTEMPTY' || error.code === 'EEXIST') || !(await isThere(finished))) throw error;
}

function isThere(path: string, mode: number = constants.F_OK): Promise<boolean> {
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
