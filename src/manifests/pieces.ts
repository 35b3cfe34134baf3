/** A part of a stream that is parsed on its own. */
export interface Piece {
  /** Offset in the stream. */
  readonly start: number;
  readonly text: string;
}

/**
 * The parts of a stream that kubectl separates and YAML does not: JSON objects one after the other (`kubectl get -o json` twice, JSON lines), and
 * a document that starts with a byte order mark below a line `---` (files that were joined).
 * Source: k8s.io/apimachinery/pkg/util/yaml/decoder.go, which splits at `\n---` and gives each part to a parser of its own
 */
export function piecesOf(text: string): readonly Piece[] {
  const starts = startsOfJson(text) ?? startsBelowSeparators(text);
  return starts.map((start, index) => ({ start, text: text.slice(start, starts[index + 1] ?? text.length) }));
}

/** @returns undefined where the text is something else than at least two JSON objects with white space between them */
function startsOfJson(text: string): readonly number[] | undefined {
  const starts: number[] = [];
  const ends: number[] = [];
  let depth = 0;
  let isText = false;
  for (let at = /^\ufeff?\s*/.exec(text)?.[0].length ?? 0; at < text.length; at += 1) {
    const character = text[at] as string;
    if (isText) {
      if (character === '\\') at += 1;
      else if (character === '"') isText = false;
    } else if (character === '{' || character === '[') {
      if (depth === 0 && character === '[') return undefined;
      if (depth === 0) starts.push(at);
      depth += 1;
    } else if (character === '}' || character === ']') {
      depth -= 1;
      if (depth < 0) return undefined;
      if (depth === 0) ends.push(at + 1);
    } else if (depth === 0 && !/\s/.test(character)) {
      return undefined;
    } else if (character === '"') isText = true;
  }
  const isStream = depth === 0 && starts.length > 1 && starts.every((start, index) => isJson(text.slice(start, ends[index])));
  return isStream ? starts : undefined;
}

function startsBelowSeparators(text: string): readonly number[] {
  const marked = text.matchAll(/^---[^\n]*\n\s*?\ufeff/gm);
  return [0, ...[...marked].map(({ index, 0: { length } }) => index + length - 1)];
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
