import type { Json } from '../../core/json.ts';
import { type Piece, piecesOf } from '../pieces.ts';
import { type LibraryDocument, readByLibrary, tooDeep } from './library.ts';
import type { ReadDocument, YamlProblem, YamlTree } from './tree.ts';

/** A document of a stream. */
export interface YamlDocument {
  /** Offset in the stream of the document, or of comments above it. */
  readonly start: number;
  readonly value: Json;
  /** The part of the stream that the document is read with. It has other documents only where they cannot be read apart. */
  readonly part: Piece;
  /**
   * Where the values are written, by offsets of the stream. A tree takes five times the memory of its value. So only that of the last document is kept,
   * and another one is read again.
   */
  tree(): YamlTree;
}

export interface YamlStream {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly YamlProblem[];
}

/** Reads a stream of YAML (or JSON) documents. The value of an empty document is null. */
export function parseStream(text: string): YamlStream {
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) return { documents: [], problems: [forbiddenAt(forbidden)] };
  const pieces = piecesOf(text);
  return readApart(pieces) ?? readWhole(pieces);
}

/**
 * Control characters, which kubectl refuses.
 * Source: sigs.k8s.io/yaml/goyaml.v2/readerc.go ("control characters are not allowed")
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are searched for
const FORBIDDEN = /[\0-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufffe\uffff]/;

function forbiddenAt({ 0: character, index }: RegExpExecArray): YamlProblem {
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return {
    offset: index,
    message: `the control character U+${code} is not allowed`,
    remedy: 'remove it, or write it as an escape in double quotes',
  };
}

/**
 * The documents of a stream without a problem, each read apart from the others, so that the tree of one can be made without the others.
 * @returns undefined if a document has a problem, or if there is a directive: the whole text is then read, so that problems have their places
 */
function readApart(pieces: readonly Piece[]): YamlStream | undefined {
  const keep = makeKeeper(readPart);
  const documents: YamlDocument[] = [];
  for (const piece of pieces) {
    if (DIRECTIVE.test(piece.text)) return undefined;
    for (const part of partsOf(piece)) {
      const read = readPart(part);
      if (read === undefined) return undefined;
      documents.push(...keep(part, read));
    }
  }
  return { documents, problems: [] };
}

/** A line that changes how later documents are read. */
const DIRECTIVE = /^%/m;

/** The parts of a text that start with the line `---`, and what is above the first. */
function partsOf({ start, text }: Piece): Piece[] {
  const starts = [...new Set([0, ...[...text.matchAll(/^---(?=[ \t\r\n]|$)/gm)].map(({ index }) => index)])];
  return starts.map((from, index) => ({ start: start + from, text: text.slice(from, starts[index + 1]) }));
}

/** @returns the document of the part, or none; undefined: it has a problem */
function readPart({ start, text }: Piece): readonly ReadDocument[] | undefined {
  try {
    const documents = [...readByLibrary(text, start)];
    return documents.length <= 1 && documents.every(({ problems }) => problems.length === 0) ? documents : undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

function readWhole(pieces: readonly Piece[]): YamlStream {
  const readPiece = ({ start, text }: Piece): readonly LibraryDocument[] => [...readByLibrary(text, start)];
  const keep = makeKeeper(readPiece);
  const documents: YamlDocument[] = [];
  const problems: YamlProblem[] = [];
  try {
    for (const piece of pieces) {
      const read = readPiece(piece);
      // After a document that is not valid YAML, further problems may only be a consequence of it.
      const broken = read.findIndex(({ isBroken }) => isBroken);
      const usable = broken < 0 ? read : read.slice(0, broken + 1);
      documents.push(...keep(piece, usable));
      for (const document of usable) problems.push(...document.problems);
      if (broken >= 0) break;
    }
    return { documents, problems };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { documents: [], problems: [tooDeep(0)] };
  }
}

/** Makes documents, and keeps only the tree of the last one. @param read reads a part again, with the same result */
function makeKeeper(
  read: (part: Piece) => readonly ReadDocument[] | undefined,
): (part: Piece, documents: readonly ReadDocument[]) => YamlDocument[] {
  let last: { readonly part: Piece; readonly documents: readonly ReadDocument[] } | undefined;
  return (part, documents) => {
    last = { part, documents };
    return documents.map(({ start, value }, index) => ({
      start,
      value,
      part,
      tree(): YamlTree {
        if (last?.part !== part) last = { part, documents: read(part) ?? [] };
        return last.documents[index] as ReadDocument;
      },
    }));
  };
}
