import type { Json } from '../../core/json.ts';
import { isJson, type Piece, piecesOf } from '../pieces.ts';
import { skipPrologue } from './gaps.ts';
import { readDocument } from './read.ts';
import type { ReadDocument, YamlProblem, YamlTree } from './tree.ts';

/** A document of a stream. */
export interface YamlDocument {
  /** The text of the document with the comments above it. */
  readonly part: Piece;
  readonly value: Json;
  /**
   * Where the values are written, by offsets of the part. A tree takes five times the memory of its value. So only that of the last document is kept,
   * and another one is read again.
   */
  tree(): YamlTree;
}

/** A problem of a document. */
export interface StreamProblem extends YamlProblem {
  /** The offset of the problem is one of this part. */
  readonly part: Piece;
}

export interface YamlStream {
  /** Those above the first one that is no valid YAML. */
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly StreamProblem[];
}

/** Reads a stream of YAML (or JSON) documents. The value of an empty document is null. */
export function parseStream(text: string): YamlStream {
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) return { documents: [], problems: [{ ...forbiddenAt(forbidden), part: { start: 0, text } }] };
  const pieces = piecesOf(text);
  const hidden = LINE_BREAK.exec(text);
  if (hidden !== null && !pieces.every((piece) => isJson(piece.text)))
    return { documents: [], problems: [{ ...hiddenLineAt(hidden), part: { start: 0, text } }] };
  const documents: YamlDocument[] = [];
  const problems: StreamProblem[] = [];
  const keep = makeKeeper();
  for (const part of pieces.flatMap(partsOf)) {
    const reading = readDocument(part.text);
    for (const problem of reading.problems) problems.push({ ...problem, part });
    if (reading.isBroken) break;
    if (reading.document !== undefined) documents.push(keep(part, reading.document));
  }
  return { documents, problems };
}

/**
 * Control characters, which kubectl refuses.
 * Source: sigs.k8s.io/yaml/goyaml.v2/readerc.go ("control characters are not allowed")
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are searched for
const FORBIDDEN = /[\0-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufffe\uffff]/;

function forbiddenAt({ 0: character, index }: RegExpExecArray): YamlProblem {
  const message = `the control character ${codePointOf(character)} is not allowed`;
  return { offset: index, message, remedy: 'remove it, or write it as an escape in double quotes' };
}

/**
 * Characters at which kubectl starts a line of YAML, and other parsers do not: a field below one of them, behind a comment, would be read by kubectl only.
 * In JSON they have no such meaning.
 * Source: sigs.k8s.io/yaml/goyaml.v2/yamlprivateh.go (is_break)
 */
const LINE_BREAK = /[\u0085\u2028\u2029]|\r(?!\n)/;

function hiddenLineAt({ 0: character, index }: RegExpExecArray): YamlProblem {
  const message = `the character ${codePointOf(character)} starts a line for kubectl, and not for other parsers`;
  return { offset: index, message, remedy: 'write a line feed, or write it as an escape in double quotes' };
}

function codePointOf(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The documents of a piece: one starts at `---`, with the comments and directives above it, and ends below `...`. */
function partsOf({ start, text }: Piece): Piece[] {
  const starts = [0];
  for (const { index, 0: marker } of text.matchAll(/^(?:\ufeff?---|\.\.\.)(?=[ \t\r\n]|$)/gm)) {
    const last = starts.at(-1) as number;
    if (marker === '...') starts.push(index + (/^[^\r\n]*(?:\r\n?|\n)?/.exec(text.slice(index))?.[0].length ?? 0));
    else if (skipPrologue(text, last) !== index + marker.length - '---'.length) starts.push(index);
  }
  return starts.map((from, index) => ({ start: start + from, text: text.slice(from, starts[index + 1]) }));
}

/** Makes documents, and keeps only the tree of the last one. */
function makeKeeper(): (part: Piece, document: ReadDocument) => YamlDocument {
  let last: { readonly part: Piece; readonly tree: YamlTree } | undefined;
  return (part, document) => {
    last = { part, tree: document };
    return {
      value: document.value,
      part,
      tree(): YamlTree {
        if (last?.part !== part) last = { part, tree: readDocument(part.text).document ?? NO_TREE };
        return last.tree;
      },
    };
  };
}

const NO_TREE: YamlTree = { root: null, aliases: [], merges: new Map() };
