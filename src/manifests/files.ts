import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { err, ok, type Result } from '../core/result.ts';
import { fileProblemOf } from '../io-errors.ts';
import { type IgnorePattern, isIgnored } from './ignore.ts';
import type { InputProblem } from './problem.ts';

export const STDIN = '-';
const MANIFEST = /\.(?:ya?ml|json)$/;

export interface FoundFiles {
  readonly files: readonly string[];
  /** Number of files that a pattern ignores. */
  readonly ignored: number;
  readonly problems: readonly InputProblem[];
}

/**
 * The files to read, each once, whatever its names.
 * @param names files, folders (searched recursively for *.yaml, *.yml and *.json, in the order of their names) and `-` for standard input
 */
export async function filesOf(names: readonly string[], patterns: readonly IgnorePattern[]): Promise<FoundFiles> {
  const files: string[] = [];
  const problems: InputProblem[] = [];
  const seen = new Set<string>();
  let ignored = 0;
  for (const name of names) {
    const found = await filesAt(name);
    if (!found.ok) problems.push(found.error);
    for (const file of found.ok ? found.value : []) {
      if (file !== STDIN && isIgnored(file, patterns)) {
        ignored += 1;
        continue;
      }
      // Ignored links were left out above, so that an ignored link does not hide the file that it points to.
      const id = await identityOf(file);
      if (seen.has(id)) continue;
      seen.add(id);
      files.push(file);
    }
  }
  return { files, ignored, problems };
}

async function filesAt(name: string): Promise<Result<readonly string[], InputProblem>> {
  if (name === STDIN) return ok([name]);
  try {
    if (!(await stat(name)).isDirectory()) return ok([name]);
    const files: string[] = [];
    for (const each of await readdir(name, { recursive: true, withFileTypes: true })) {
      const file = join(each.parentPath, each.name);
      const isHidden = /(?:^|[/\\])\./.test(relative(name, file));
      if (MANIFEST.test(file) && !isHidden && (await isToBeRead(each, file))) files.push(file);
    }
    files.sort();
    if (files.length > 0) return ok(files);
    return err({ file: name, message: 'this folder has no manifests', remedy: 'name a folder with *.yaml, *.yml or *.json files' });
  } catch (error) {
    return err(readProblemOf(name, error));
  }
}

/** Links to files are followed and links to folders are not, as in kubectl. A broken link is read, so that it is reported. */
async function isToBeRead(entry: Dirent, file: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isFile();
  try {
    return (await stat(file)).isFile();
  } catch {
    return true;
  }
}

/** A key of the file, equal for all of its names: `a.yaml`, `./a.yaml` and links to it. */
async function identityOf(file: string): Promise<string> {
  return file === STDIN ? file : realpath(file).catch(() => file);
}

/** The content of the files that can be read only once: standard input and pipes, such as those of `<(command)`. */
export type StreamContents = Map<string, Buffer>;

/**
 * Reads the streams among the files. One that cannot be read is left out, so that reading it as a file reports why.
 * @param files names that `filesOf` returned
 * @param stdin what `-` names
 */
export async function readStreams(files: readonly string[], stdin: Readable): Promise<StreamContents> {
  const contents: StreamContents = new Map();
  for (const file of files) {
    const bytes = await readStream(file, stdin);
    if (bytes !== undefined) contents.set(file, bytes);
  }
  return contents;
}

async function readStream(file: string, stdin: Readable): Promise<Buffer | undefined> {
  if (file === STDIN) return buffer(stdin);
  try {
    return (await stat(file)).isFile() ? undefined : await readFile(file);
  } catch {
    return undefined;
  }
}

export function readProblemOf(file: string, error: unknown): InputProblem {
  return { file, ...fileProblemOf(error as NodeJS.ErrnoException) };
}

/** @returns the text of an optional file; undefined: it does not exist */
export async function readOptional(file: string): Promise<Result<string | undefined, InputProblem>> {
  try {
    return ok(await readFile(file, 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? ok(undefined) : err(readProblemOf(file, error));
  }
}
