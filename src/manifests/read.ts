import type { Json } from '../core/json.ts';
import { type Path, printPath, valueAt } from '../core/path.ts';
import { CONTAINER_LISTS } from '../core/pod.ts';
import { err, ok, type Result } from '../core/result.ts';
import { isObject } from '../core/shape.ts';
import { podPathOf, type Subject, subjectOf } from '../core/subject.ts';
import { asWritten, type Written } from '../core/written.ts';
import { placesIn } from './lines.ts';
import type { InputProblem } from './problem.ts';
import { headOf, type PlacedDocument, rangeOf, type TextRange } from './range.ts';
import { findShapes, type ShapedPod } from './shapes.ts';
import { type StorageObject, storageObjectOf } from './storage.ts';
import { parseStream, type YamlDocument } from './yaml/stream.ts';

/** A file and its documents. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly documents: readonly SourceDocument[];
}

/** One document of a file. Empty documents are included, so that indices are those of the text. */
export interface SourceDocument {
  readonly yaml: YamlDocument;
  readonly value: Json;
  readonly pods: readonly FoundPod[];
  readonly namespaces: readonly FoundNamespace[];
  readonly storage: readonly StorageObject[];
  /** Objects that may have a pod which cannot be judged. */
  readonly unjudged: readonly UnjudgedObject[];
  /** Number of objects in the document that have no pod. */
  readonly withoutPod: number;
}

/** A Namespace object. */
export interface FoundNamespace {
  readonly name: string;
  /** Only labels whose value is a string. */
  readonly labels: ReadonlyMap<string, string>;
}

export interface FoundPod {
  /** Fields that are not judged in a pod that was read from a cluster, because nothing shows whether its author wrote them. */
  readonly unattributed: readonly Path[];
  /** The document of the subject is the whole object or, if the pod was found by its shape, only the pod. */
  readonly subject: Subject;
  /** Path of the object in the document: [] or, in a List, ['items', 0]. */
  readonly at: Path;
  /** Converts a path in the subject's document to the path in the object. */
  pathOf(path: Path): Path;
  /**
   * Whether the object has the fields of the pod next to fields of its own kind. A fix could
   * then add a pod field that objects of this kind do not have, so a person must make the fix.
   */
  readonly isMixed: boolean;
  /** The range of the first line of the object. */
  headRange(): TextRange;
  /** The range of a field, by its path in the subject's document. A field that the text lacks: the first line of the container or pod that lacks it. */
  rangeOf(path: Path): TextRange;
}

/** An object that may have a pod. */
export interface UnjudgedObject {
  readonly kind: string;
  readonly name: string;
  readonly range: TextRange;
  /** Why Cloister does not judge it. */
  readonly reason: string;
}

/** What is not read of a file, and why. */
export interface SkippedInput extends InputProblem {
  /** Whether the documents above the place are read. */
  readonly isRest?: true;
}

/** What reading a file gives: its manifests, the reason to skip it, or its problems. */
export type FileContent =
  /** If a later document is a template that is not rendered, the rest is skipped from there. */
  | { readonly source: Source; readonly skipped?: SkippedInput }
  /** The file is no manifest. */
  | { readonly skipped: SkippedInput }
  | { readonly problems: readonly InputProblem[] };

/** Reads the documents of a text. */
export function readText(file: string, text: string): FileContent {
  const { documents, problems: yamlProblems } = parseStream(text);
  const placeOf = placesIn(text);
  const [first] = yamlProblems;
  if (first === undefined) return readDocuments(file, text, documents, placeOf);
  const { part } = first;
  const template = templateIn(part.text, first.offset);
  if (template === undefined) {
    return {
      problems: yamlProblems.map(({ part: { start }, offset, message, remedy }) => ({ file, ...placeOf(start + offset), message, remedy })),
    };
  }
  const above = documents.filter((document) => document.part.start < part.start);
  return skipTemplate(readDocuments(file, text, above, placeOf), { file, ...placeOf(part.start + template) });
}

/** @param above what the documents above the template give */
function skipTemplate(above: FileContent, place: Pick<InputProblem, 'file' | 'line' | 'column'>): FileContent {
  const remedy = 'render it first, for example with `helm template`';
  if ('problems' in above) return above;
  const isRest = 'source' in above && above.source.documents.some(({ value }) => value !== null);
  if (!isRest) return { skipped: { ...place, message: 'this is a template that is not rendered', remedy } };
  const message = 'the rest of the file, from here, is a template that is not rendered';
  return { source: above.source, skipped: { ...place, message, remedy, isRest } };
}

function readDocuments(file: string, text: string, documents: readonly YamlDocument[], placeOf: PlacedDocument['placeOf']): FileContent {
  const written = documents.filter(({ value }) => value !== null);
  if (written.length > 0 && written.every(({ value }) => isNoObject(value))) {
    const message = 'this is no manifest: it has neither apiVersion nor kind';
    return { skipped: { file, message, remedy: 'leave it out, or ignore it with --ignore' } };
  }
  const problems: InputProblem[] = [];
  const read = documents.map((document) => readDocument(file, { document, placeOf }, problems));
  return problems.length > 0 ? { problems } : { source: { file, text, documents: read } };
}

const isNoObject = (value: Json): boolean =>
  !isObject(value) || (value.apiVersion === undefined && value.kind === undefined && !Array.isArray(value.items));

/**
 * The offset of the first `{{` of a document: an action of a Go template, or of another template language with the same brackets.
 * @param problem offset of the first problem of the parser. There must be one: a text that parses is YAML, even if its strings contain `{{`.
 */
function templateIn(text: string, problem: number): number | undefined {
  const found = /^[^#\n]*?\{\{/m.exec(text);
  if (found === null || problem < text.lastIndexOf('\n', found.index)) return undefined;
  return found.index + found[0].length - 2;
}

interface TypedObject {
  readonly kind: string;
  readonly [field: string]: Json;
}

function readDocument(file: string, placed: PlacedDocument, problems: InputProblem[]): SourceDocument {
  const { value: root } = placed.document;
  const pods: FoundPod[] = [];
  const namespaces: FoundNamespace[] = [];
  const storage: StorageObject[] = [];
  const unjudged: UnjudgedObject[] = [];
  let withoutPod = 0;
  if (root !== null) readObject(root, []);
  return { yaml: placed.document, value: root, pods, namespaces, storage, unjudged, withoutPod };

  function readObject(value: Json, at: Path): void {
    // kubectl reads an object that has a list `items` as a list of objects. Other clients ignore `items`, and create an object of its kind. So the
    // object itself is judged, too, unless its kind ends with `List`.
    if (isObject(value) && Array.isArray(value.items)) {
      for (const [index, item] of value.items.entries()) readObject(typed(item, value), [...at, 'items', index]);
      if (typeof value.kind === 'string' && !value.kind.endsWith('List')) readOne(value, at);
      return;
    }
    readOne(value, at);
  }

  function readOne(value: Json, at: Path): void {
    const group = groupOf(value);
    if (!group.ok) {
      fail(at, ...group.error);
      return;
    }
    const object = value as TypedObject;
    if (podPathOf(group.value, object.kind) === undefined) {
      if (group.value === '' && object.kind === 'Namespace') namespaces.push(namespaceOf(value));
      const stored = storageObjectOf(value, group.value, object.kind);
      if (stored !== undefined) storage.push(stored);
      readShapes(object, group.value, at);
      return;
    }
    const subject = subjectOf(value, group.value, object.kind);
    if (subject.ok) {
      pods.push(makeFoundPod(placed, asWritten(subject.value, { from: 'file' }), at, undefined));
      return;
    }
    const { path, expected } = subject.error;
    fail([...at, ...path], `${path.length === 0 ? 'this' : printPath(path)} is not ${expected}`, `make it ${expected}`);
  }

  function readShapes(object: TypedObject, group: string, at: Path): void {
    const { kind } = object;
    const { items, ...fields } = object;
    // Items are read as objects of their own.
    const shapes = findShapes(Array.isArray(items) ? fields : object, group, kind);
    const { name, namespace } = namesOf(object);
    let reason =
      shapes.unjudged === undefined
        ? undefined
        : `${printPath(shapes.unjudged)} may be part of a pod, and Cloister does not know this kind of object`;
    for (const shaped of shapes.pods) {
      const subject = subjectOf(shaped.pod, '', 'Pod');
      if (subject.ok)
        pods.push(makeFoundPod(placed, { subject: { ...subject.value, group, kind, name, namespace }, unattributed: [] }, at, shaped));
      else reason ??= `${printPath([...shaped.specAt, ...subject.error.path.slice(1)])} is not ${subject.error.expected}`;
    }
    if (reason !== undefined) unjudged.push({ kind, name, range: headOf(placed, at), reason });
    else if (shapes.pods.length === 0) withoutPod += 1;
  }

  function fail(at: Path, message: string, remedy: string): void {
    const { line, column } = rangeOf(placed, at, at.slice(0, -1));
    problems.push({ file, line, column, message, remedy });
  }
}

function makeFoundPod(placed: PlacedDocument, { subject, unattributed }: Written, at: Path, shaped: ShapedPod | undefined): FoundPod {
  const pathOf = (path: Path): Path => {
    if (shaped === undefined) return path;
    return path[0] === 'spec' ? [...shaped.specAt, ...path.slice(1)] : [...shaped.at, ...path];
  };
  const isMixed = shaped !== undefined && subject.kind.toLowerCase() !== 'pod' && (shaped.at.length === 0 || shaped.at === shaped.specAt);
  return {
    subject,
    unattributed,
    at,
    pathOf,
    isMixed,
    headRange: () => headOf(placed, at),
    rangeOf: (path) => rangeOf(placed, [...at, ...pathOf(path)], [...at, ...pathOf(ownerOf(path, subject.at))]),
  };
}

/** The container that has the field, or the pod. */
function ownerOf(path: Path, pod: Path): Path {
  const depth = pod.length + CONTAINER_DEPTH;
  const isInContainer = path.length > depth && CONTAINER_LISTS.some((list) => path[pod.length + 1] === list);
  return isInContainer ? path.slice(0, depth) : pod;
}

/** `spec`, the list, the index. */
const CONTAINER_DEPTH = 3;

function namesOf(object: TypedObject): { readonly name: string; readonly namespace: string | undefined } {
  const metadata = isObject(object.metadata) ? object.metadata : {};
  const textOf = (field: unknown): string | undefined => (typeof field === 'string' && field !== '' ? field : undefined);
  return { name: textOf(metadata.name) ?? textOf(metadata.generateName) ?? '', namespace: textOf(metadata.namespace) };
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
