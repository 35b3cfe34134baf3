import { isUtf8 } from 'node:buffer';
import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { err, ok, type Result } from '../core/result.ts';
import { fileProblemOf } from '../io-errors.ts';
import { type IgnorePattern, isIgnored } from './ignore.ts';
import type { InputProblem } from './problem.ts';
import { type FileContent, readText, type SourceDocument } from './read.ts';

export const STDIN = '-';
const MANIFEST = /\.(?:ya?ml|json)$/;

export interface FoundFiles {
  readonly files: readonly string[];
  /** Number of files that a pattern ignores. */
  readonly ignored: number;
  readonly problems: readonly InputProblem[];
}

/**
 * The files to read, each once, whatever its names. Files are found and read without waiting: a command has nothing else to do, and each wait costs
 * more CPU time than the work of a small file.
 * @param names files, folders (searched recursively for *.yaml, *.yml and *.json, in the order of their names) and `-` for standard input
 */
export function filesOf(names: readonly string[], patterns: readonly IgnorePattern[]): FoundFiles {
  const files: string[] = [];
  const problems: InputProblem[] = [];
  const seen = new Set<string>();
  let ignored = 0;
  for (const name of names) {
    const found = filesAt(name);
    if (!found.ok) problems.push(found.error);
    for (const file of found.ok ? found.value : []) {
      if (file !== STDIN && isIgnored(file, patterns)) {
        ignored += 1;
        continue;
      }
      // Ignored links were left out above, so that an ignored link does not hide the file that it points to.
      const id = identityOf(file);
      if (seen.has(id)) continue;
      seen.add(id);
      files.push(file);
    }
  }
  return { files, ignored, problems };
}

function filesAt(name: string): Result<readonly string[], InputProblem> {
  if (name === STDIN) return ok([name]);
  try {
    if (!statSync(name).isDirectory()) return ok([name]);
    const files = manifestsBelow(name);
    files.sort();
    if (files.length > 0) return ok(files);
    return err({ file: name, message: 'this folder has no manifests', remedy: 'name a folder with *.yaml, *.yml or *.json files' });
  } catch (error) {
    return err(readProblemOf(name, error));
  }
}

/** Hidden files and folders are left out. `readdirSync` with `recursive` would follow links to folders. */
function manifestsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((each) => {
    const file = join(folder, each.name);
    if (each.name.startsWith('.')) return [];
    if (each.isDirectory()) return manifestsBelow(file);
    return MANIFEST.test(file) && isToBeRead(each, file) ? [file] : [];
  });
}

/** Links to files are followed and links to folders are not, as in kubectl. A broken link is read, so that it is reported. */
function isToBeRead(entry: Dirent, file: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isFile();
  try {
    return statSync(file).isFile();
  } catch {
    return true;
  }
}

/** A key of the file, equal for all of its names: `a.yaml`, `./a.yaml` and links to it. */
function identityOf(file: string): string {
  if (file === STDIN) return file;
  try {
    return realpathSync.native(file);
  } catch {
    return file;
  }
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
    return statSync(file).isFile() ? undefined : await readFile(file);
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

/**
 * @param file a name that `filesOf` returned
 * @param known the content of the file; undefined: this function reads it
 */
export function readSource(file: string, known: Buffer | undefined): FileContent {
  let bytes: Buffer;
  try {
    bytes = known ?? readFileSync(file);
  } catch (error) {
    return { problems: [readProblemOf(file, error)] };
  }
  if (!isUtf8(bytes)) return { problems: [{ file, message: 'the text is not UTF-8', remedy: 'save it as UTF-8' }] };
  return readText(file, bytes.toString('utf8'));
}

/** The objects of all files that pods of any file are judged by. Files that cannot be read are left out. */
export function readSurroundings(files: readonly string[], streams: StreamContents): Surroundings {
  const documents = files.flatMap((file) => {
    const bytes = streams.get(file) ?? readIfPossible(file);
    // Parsing costs far more than searching.
    if (bytes === undefined || !SURROUNDING_KINDS.some((kind) => bytes.includes(kind))) return [];
    const content = readSource(file, bytes);
    return 'source' in content ? content.source.documents : [];
  });
  return { namespaces: documents.flatMap(({ namespaces }) => namespaces), storage: documents.flatMap(({ storage }) => storage) };
}

export type Surroundings = Pick<SourceDocument, 'namespaces' | 'storage'>;

/** The first is also the beginning of PersistentVolumeClaim. The fields of a pod that name such objects begin with a small letter. */
const SURROUNDING_KINDS = ['PersistentVolume', 'StorageClass', 'Namespace'];

function readIfPossible(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
