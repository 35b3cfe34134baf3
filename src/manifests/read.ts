import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { isMap, isScalar, isSeq, type LineCounter, type ParsedNode } from 'yaml';
import type { Json } from '../core/json.ts';
import { type Path, printPath, valueAt } from '../core/path.ts';
import { err, ok, type Result } from '../core/result.ts';
import { isObject } from '../core/shape.ts';
import { podPathOf, type Subject, subjectOf } from '../core/subject.ts';
import { asWritten } from '../core/written.ts';
import { fileProblemOf } from '../io-errors.ts';
import { keyOf, parseStream, type YamlDocument } from './yaml.ts';

/** A file and its documents. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly documents: readonly SourceDocument[];
}

/** One document of a file. Empty documents are included, so that indices are those of the text. */
export interface SourceDocument {
  readonly value: Json;
  readonly pods: readonly FoundPod[];
  readonly namespaces: readonly FoundNamespace[];
  /** Number of objects in the document that have no pod. */
  readonly withoutPod: number;
}

export interface FoundPod {
  readonly subject: Subject;
  /** Fields of a pod that was read from a cluster which are not judged, because nothing shows whether its author wrote them. */
  readonly unjudged: readonly Path[];
  /** Path of the object in the document: [] or, in a List, ['items', 0]. */
  readonly at: Path;
  /** Line of the object. */
  readonly line: number;
  /** Line of a field of the object, or of the nearest parent that the text has. */
  lineOf(path: Path): number;
}

/** A Namespace object. */
export interface FoundNamespace {
  readonly name: string;
  /** Only those whose value is a text. */
  readonly labels: ReadonlyMap<string, string>;
}

export interface InputProblem {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/**
 * Reads manifests.
 * @param names files, folders (searched recursively for *.yaml, *.yml and *.json, in the order of their names) and `-` for standard input
 * @returns the files, or all problems of all of them
 */
export async function readManifests(
  names: readonly string[],
  stdin: Readable,
): Promise<Result<readonly Source[], readonly InputProblem[]>> {
  const sources: Source[] = [];
  const problems: InputProblem[] = [];
  const seen = new Set<string>();
  for (const name of names) {
    const files = await filesOf(name);
    if (!files.ok) problems.push(files.error);
    for (const file of files.ok ? files.value : []) {
      if (seen.has(file)) continue;
      seen.add(file);
      const read = await readSource(file, stdin);
      if (read.ok) sources.push(read.value);
      else for (const problem of read.error) problems.push(problem);
    }
  }
  return problems.length > 0 ? err(problems) : ok(sources);
}

/** `file:line:column: what is wrong; what to do`, the format of compilers. */
export function printInputProblem({ file, line, column, message, remedy }: InputProblem): string {
  return `${[file, line, column].filter((part) => part !== undefined).join(':')}: ${message}; ${remedy}`;
}

/** Reads the documents of a text. */
export function readText(file: string, text: string): Result<Source, readonly InputProblem[]> {
  const { documents, problems: yamlProblems, lines } = parseStream(text);
  const problems: InputProblem[] = yamlProblems.map(({ offset, message, remedy }) => ({
    file,
    ...positionOf(lines, offset),
    message,
    remedy,
  }));
  if (problems.length > 0) return err(problems);
  const read = documents.map((document) => readDocument(file, document, lines, problems));
  return problems.length > 0 ? err(problems) : ok({ file, text, documents: read });
}

const STDIN = '-';
const MANIFEST = /\.(?:ya?ml|json)$/;

async function filesOf(name: string): Promise<Result<readonly string[], InputProblem>> {
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

async function readSource(file: string, stdin: Readable): Promise<Result<Source, readonly InputProblem[]>> {
  let bytes: Buffer;
  try {
    bytes = file === STDIN ? await buffer(stdin) : await readFile(file);
  } catch (error) {
    return err([readProblemOf(file, error)]);
  }
  if (!isUtf8(bytes)) return err([{ file, message: 'the text is not UTF-8', remedy: 'save it as UTF-8' }]);
  return readText(file, bytes.toString('utf8'));
}

function readProblemOf(file: string, error: unknown): InputProblem {
  return { file, ...fileProblemOf(error as NodeJS.ErrnoException) };
}

function readDocument(file: string, document: YamlDocument, lines: LineCounter, problems: InputProblem[]): SourceDocument {
  const pods: FoundPod[] = [];
  const namespaces: FoundNamespace[] = [];
  let withoutPod = 0;
  if (document.value !== null) readObject(document.value, []);
  return { value: document.value, pods, namespaces, withoutPod };

  function readObject(value: Json, at: Path): void {
    // As in kubectl, an object with a list of items is a list of objects.
    if (isObject(value) && Array.isArray(value.items)) {
      for (const [index, item] of value.items.entries()) readObject(typed(item, value), [...at, 'items', index]);
      return;
    }
    const group = groupOf(value);
    if (!group.ok) {
      fail(at, ...group.error);
      return;
    }
    const { kind } = value as { readonly kind: string };
    if (podPathOf(group.value, kind) === undefined) {
      withoutPod += 1;
      if (group.value === '' && kind === 'Namespace') namespaces.push(namespaceOf(value));
      return;
    }
    const subject = subjectOf(value, group.value, kind);
    if (subject.ok) {
      pods.push({ ...asWritten(subject.value), at, line: lineOf(at), lineOf: (path) => lineOf([...at, ...path]) });
      return;
    }
    const { path, expected } = subject.error;
    fail([...at, ...path], `${path.length === 0 ? 'this' : printPath(path)} is not ${expected}`, `make it ${expected}`);
  }

  function fail(at: Path, message: string, remedy: string): void {
    problems.push({ file, ...positionOf(lines, offsetOf(document.root, at)), message, remedy });
  }

  function lineOf(at: Path): number {
    return positionOf(lines, offsetOf(document.root, at)).line;
  }
}

function namespaceOf(object: Json): FoundNamespace {
  const name = valueAt(object, ['metadata', 'name']);
  const labels = valueAt(object, ['metadata', 'labels']);
  const texts = Object.entries(isObject(labels) ? labels : {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { name: typeof name === 'string' ? name : '', labels: new Map(texts) };
}

/** The items of a PodList may lack apiVersion and kind. */
function typed(item: Json, { kind, apiVersion }: { readonly kind?: unknown; readonly apiVersion?: unknown }): Json {
  if (!isObject(item) || item.kind !== undefined || typeof kind !== 'string' || kind === 'List' || typeof apiVersion !== 'string')
    return item;
  return { ...item, apiVersion, kind: kind.replace(/List$/, '') } as Json;
}

/** @returns the API group of an object, or what is missing and what to do */
function groupOf(value: Json): Result<string, readonly [message: string, remedy: string]> {
  if (!isObject(value)) return err(['this is not a Kubernetes object', 'write an object with apiVersion and kind']);
  const { apiVersion, kind } = value;
  if (typeof kind !== 'string' || kind === '') return err(['the object has no kind', 'add kind, or leave the object out of the input']);
  if (typeof apiVersion !== 'string' || apiVersion === '') return err([`the ${kind} has no apiVersion`, 'add apiVersion']);
  return ok(apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '');
}

function positionOf(lines: LineCounter, offset: number): { readonly line: number; readonly column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** Offset at which a value starts, together with its key; for a path that is not in the text, the offset of the nearest parent. */
function offsetOf(root: ParsedNode | null, path: Path): number {
  let node = root;
  let offset = root?.range[0] ?? 0;
  for (const step of path) {
    if (isMap(node)) {
      const pair = (node.items as ParsedPair[]).find((each) => keyOf(each) === String(step));
      if (pair === undefined) break;
      offset = isScalar(pair.key) ? pair.key.range[0] : offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)] as ParsedNode | undefined;
      if (item === undefined) break;
      offset = item.range[0];
      node = item;
    } else break;
  }
  return offset;
}
type ParsedPair = Parameters<typeof keyOf>[0];
