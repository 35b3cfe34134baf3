import { type Piece, piecesOf } from '../pieces.ts';
import { readCommon } from './common.ts';
import { readByLibrary, tooDeep } from './library.ts';
import type { YamlDocument, YamlProblem } from './tree.ts';

export interface YamlStream {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly YamlProblem[];
}

/** Reads a stream of YAML (or JSON) documents. The value of an empty document is null. */
export function parseStream(text: string): YamlStream {
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) return { documents: [], problems: [forbiddenAt(forbidden)] };
  const pieces = piecesOf(text);
  return readQuickly(pieces) ?? readWhole(pieces);
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
 * The documents of a stream without a problem: each that is written in common YAML is read by `readCommon`, and the others by the library.
 * @returns undefined where a document has a problem, or where a line may concern several documents
 */
function readQuickly(pieces: readonly Piece[]): YamlStream | undefined {
  const documents: YamlDocument[] = [];
  for (const piece of pieces) {
    if (OF_THE_STREAM.test(piece.text)) return undefined;
    for (const part of documentsOf(piece)) {
      const read = readCommon(part.text, part.start) ?? readOne(part);
      if (read === undefined) return undefined;
      documents.push(...read);
    }
  }
  return { documents, problems: [] };
}

/** Directives and ends of documents, and the mark at the start of a stream. */
const OF_THE_STREAM = /^(?:%|\.\.\.|\ufeff)/m;

/** The parts of a text that start with the line `---`, and what is above the first. */
function documentsOf({ start, text }: Piece): Piece[] {
  const starts = [...new Set([0, ...[...text.matchAll(/^---(?=[ \t\r\n]|$)/gm)].map(({ index }) => index)])];
  return starts.map((from, index) => ({ start: start + from, text: text.slice(from, starts[index + 1]) }));
}

function readOne({ start, text }: Piece): readonly YamlDocument[] | undefined {
  try {
    const documents = [...readByLibrary(text, start)];
    return documents.length <= 1 && documents.every(({ problems }) => problems.length === 0) ? documents : undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

function readWhole(pieces: readonly Piece[]): YamlStream {
  const documents: YamlDocument[] = [];
  const problems: YamlProblem[] = [];
  try {
    for (const { start, text } of pieces) {
      for (const document of readByLibrary(text, start)) {
        documents.push(document);
        problems.push(...document.problems);
        // After a document that is not valid YAML, further problems may only be a consequence of it.
        if (document.isBroken) return { documents, problems };
      }
    }
    return { documents, problems };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { documents: [], problems: [tooDeep(0)] };
  }
}
