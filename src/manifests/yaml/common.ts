import type { Json } from '../../core/json.ts';
import { plainValueOf } from './scalars.ts';
import {
  type AliasUse,
  isBlank,
  type Merge,
  type ReadDocument,
  type Span,
  type YamlMap,
  type YamlMember,
  type YamlNode,
  type YamlPair,
  type YamlScalar,
} from './tree.ts';

/** Thrown where the text is not in common YAML. */
const UNCOMMON = new Error('not in common YAML');

/** Manifests are nested less deeply. */
const MAX_DEPTH = 100;
/** An implicit key may have 1,024 characters. */
const MAX_KEY_CHARS = 1_000;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const TAB = 0x09;
const HASH = 0x23;
const COLON = 0x3a;
const COMMA = 0x2c;
const DASH = 0x2d;
const QUOTES = { double: 0x22, single: 0x27 } as const;
const BAR = 0x7c;
const BACKSLASH = 0x5c;
const BRACE = { open: 0x7b, close: 0x7d } as const;
const BRACKET = { open: 0x5b, close: 0x5d } as const;

/** Keys of letters, digits and `_./-`. */
const PLAIN_KEY = /[\w./][\w./-]*(?=:(?:[ \n]|$))/y;
/** Plain text between brackets, which is never ended by one of these characters. */
const PLAIN_IN_FLOW = /(?:[\w./~$(]|-(?=[\w./-]))(?:[\w./~$()=+@%*-]|[: ](?=[\w./~$()=+@%-]))*/y;
/** What plain text on a line of its own does not start with in common YAML, and what it does not contain. */
const NO_PLAIN = /^(?:[?:,[\]{}#&*!|>'"%@`]|-(?: |$))|\t|:(?: |$)/;

const NO_ALIASES: readonly AliasUse[] = [];
const NO_MERGES: ReadonlyMap<YamlMap, Merge> = new Map();
const NO_PROPERTIES: readonly Span[] = [];

interface Read {
  readonly node: YamlNode;
  readonly value: Json;
}

/**
 * Reads a document in common YAML, in a twentieth of the time that the `yaml` package takes: block maps and lists with simple keys, scalars on one line,
 * literal blocks, JSON, and comments. What is not surely common is left to the package: anchors, tags, folded text, tabs, line breaks of Windows, keys that
 * occur twice, whatever is not valid. Wherever this function returns something, the package gives the same tree and the same value.
 * @param text at most one document; `---` may be its first line
 * @param base offset of the text in its stream, which the offsets of the tree start at
 * @returns no document: the text has only comments; undefined: the text is not in common YAML
 */
export function readCommon(text: string, base: number): readonly ReadDocument[] | undefined {
  if (text.includes('\r') || text.includes('\ufeff')) return undefined;
  try {
    return readText(text, base);
  } catch (error) {
    // A RangeError is a text that is too long for a pattern.
    if (error !== UNCOMMON && !(error instanceof RangeError)) throw error;
    return undefined;
  }
}

function readText(text: string, base: number): readonly ReadDocument[] {
  let at = 0;
  let depth = 0;
  const hasMarker = text.startsWith('---');
  if (hasMarker) {
    at = 3;
    endLine();
  }
  /** Column of the content at `at`, where a line is over; -1: there is no more. */
  let column = nextContent();
  if (column < 0) return hasMarker ? [documentOf(base, null, null)] : [];
  if (column > 0) throw UNCOMMON;
  const { node, value } = isOpening(codeAt(at)) ? readLine(-1) : readBlock();
  // A line that is indented as no collection is ends them all.
  if (column >= 0) throw UNCOMMON;
  return [documentOf(base, node, value)];

  function codeAt(offset: number): number {
    return text.charCodeAt(offset);
  }

  function skipSpaces(): void {
    while (codeAt(at) === SPACE) at += 1;
  }

  function endOfLine(): number {
    const found = text.indexOf('\n', at);
    return found < 0 ? text.length : found;
  }

  /** Moves to the next line: the rest of this one has at most a comment. */
  function endLine(): void {
    const from = at;
    skipSpaces();
    if (at < text.length && codeAt(at) !== NEWLINE && (codeAt(at) !== HASH || at === from)) throw UNCOMMON;
    at = Math.min(text.length, endOfLine() + 1);
  }

  /** Moves from the start of a line to the next character that is no comment. @returns its column; -1: there is none */
  function nextContent(): number {
    for (;;) {
      const start = at;
      skipSpaces();
      if (at >= text.length) return -1;
      const code = codeAt(at);
      if (code !== HASH && code !== NEWLINE) return at - start;
      at = Math.min(text.length, endOfLine() + 1);
    }
  }

  /** Reads what ends with its line. */
  function readLine(parent: number): Read {
    const read = readInline(parent);
    endLine();
    column = nextContent();
    return read;
  }

  function isDash(): boolean {
    if (codeAt(at) !== DASH) return false;
    const next = codeAt(at + 1);
    return next === SPACE || next === NEWLINE || at + 1 >= text.length;
  }

  function readBlock(): Read {
    depth += 1;
    if (depth > MAX_DEPTH) throw UNCOMMON;
    const read = isDash() ? readList(column) : readMap(column);
    depth -= 1;
    return read;
  }

  function readMap(own: number): Read {
    const start = base + at;
    const members: YamlPair[] = [];
    const value: Record<string, Json> = {};
    let end = start;
    do {
      const keyStart = base + at;
      const key = readKey();
      if (key === '__proto__' || Object.hasOwn(value, key)) throw UNCOMMON;
      const indicator = base + at;
      at += 1;
      const read = readBehind(own, indicator, true);
      end = isBlank(read.node) ? indicator + 1 : read.node.end;
      members.push({ start: keyStart, end, indicator, comma: undefined, properties: NO_PROPERTIES, key, keyStart, value: read.node });
      value[key] = read.value;
    } while (column === own);
    return { node: { kind: 'map', isFlow: false, isEditable: true, start, end, members }, value };
  }

  function readList(own: number): Read {
    const start = base + at;
    const members: YamlMember[] = [];
    const value: Json[] = [];
    let end = start;
    do {
      const indicator = base + at;
      at += 1;
      const read = readBehind(own, indicator, false);
      end = isBlank(read.node) ? indicator + 1 : read.node.end;
      members.push({ start: indicator, end, indicator, comma: undefined, properties: NO_PROPERTIES, value: read.node });
      value.push(read.value);
    } while (column === own && isDash());
    return { node: { kind: 'list', isFlow: false, isEditable: true, start, end, members }, value };
  }

  /** Reads the value behind a `:` or `-` of a collection in the column `own`. */
  function readBehind(own: number, indicator: number, isPair: boolean): Read {
    skipSpaces();
    if (at >= text.length || codeAt(at) === NEWLINE || codeAt(at) === HASH) {
      const blank = base + at;
      if (codeAt(at) === HASH && blank === indicator + 1) throw UNCOMMON;
      at = Math.min(text.length, endOfLine() + 1);
      column = nextContent();
      if (column > own || (isPair && column === own && isDash())) return readBlock();
      return { node: { kind: 'scalar', style: 'plain', start: blank, end: blank }, value: null };
    }
    if (!isPair && (isDash() || isKey())) {
      column = own + base + at - indicator;
      return readBlock();
    }
    if (codeAt(at) === BAR) return readLiteral(own);
    return readLine(own);
  }

  function isKey(): boolean {
    const start = at;
    const code = codeAt(at);
    if (code !== QUOTES.double && code !== QUOTES.single) return isPlainKey();
    readQuoted();
    const isFollowed = codeAt(at) === COLON;
    at = start;
    return isFollowed;
  }

  function isPlainKey(): boolean {
    PLAIN_KEY.lastIndex = at;
    return PLAIN_KEY.test(text);
  }

  /** Reads a key of a block map, to its `:`. */
  function readKey(): string {
    const start = at;
    const code = codeAt(at);
    let key: string;
    if (code === QUOTES.double || code === QUOTES.single) {
      key = String(readQuoted().value);
      const next = codeAt(at + 1);
      if (codeAt(at) !== COLON || !(next === SPACE || next === NEWLINE || at + 1 >= text.length)) throw UNCOMMON;
    } else {
      if (!isPlainKey()) throw UNCOMMON;
      at = PLAIN_KEY.lastIndex;
      key = nameOf(text.slice(start, at));
    }
    if (at - start > MAX_KEY_CHARS) throw UNCOMMON;
    return key;
  }

  /** Reads a value that needs no lines of its own. */
  function readInline(parent: number): Read {
    const code = codeAt(at);
    if (isOpening(code)) return readFlow(parent);
    if (code === QUOTES.double || code === QUOTES.single) return readQuoted();
    const start = at;
    const line = text.slice(at, endOfLine());
    const comment = line.indexOf(' #');
    let length = comment < 0 ? line.length : comment;
    while (line.charCodeAt(length - 1) === SPACE) length -= 1;
    const plain = line.slice(0, length);
    if (NO_PLAIN.test(plain)) throw UNCOMMON;
    at += length;
    return { node: scalar('plain', start), value: plainOf(plain) };
  }

  function scalar(style: YamlScalar['style'], start: number): YamlScalar {
    return { kind: 'scalar', style, start: base + start, end: base + at };
  }

  function readQuoted(): Read {
    const start = at;
    const isDouble = codeAt(at) === QUOTES.double;
    at = isDouble ? behindDoubleQuote() : behindSingleQuote();
    const quoted = text.slice(start, at);
    if (quoted.includes('\n') || quoted.includes('\t')) throw UNCOMMON;
    if (!isDouble) return { node: scalar('single-quoted', start), value: quoted.slice(1, -1).replaceAll("''", "'") };
    return { node: scalar('double-quoted', start), value: quoted.includes('\\') ? unescaped(quoted) : quoted.slice(1, -1) };
  }

  function behindDoubleQuote(): number {
    let end = at;
    do {
      end = text.indexOf('"', end + 1);
      if (end < 0) throw UNCOMMON;
    } while (isEscaped(end));
    return end + 1;
  }

  function isEscaped(offset: number): boolean {
    let from = offset;
    while (codeAt(from - 1) === BACKSLASH) from -= 1;
    return (offset - from) % 2 === 1;
  }

  function behindSingleQuote(): number {
    let end = text.indexOf("'", at + 1);
    while (end >= 0 && codeAt(end + 1) === QUOTES.single) end = text.indexOf("'", end + 2);
    if (end < 0) throw UNCOMMON;
    return end + 1;
  }

  /** Reads `|` or `|-`, whose first line is not empty. */
  function readLiteral(own: number): Read {
    const start = at;
    at += 1;
    const isStripped = codeAt(at) === DASH;
    if (isStripped) at += 1;
    skipSpaces();
    if (codeAt(at) !== NEWLINE) throw UNCOMMON;
    at += 1;
    const first = spacesFrom(at);
    if (first <= own || isEmptyFrom(at + first)) throw UNCOMMON;
    const lines: string[] = [];
    while (at < text.length) {
      const spaces = spacesFrom(at);
      const end = endOfLine();
      const isEmpty = at + spaces === end;
      if (isEmpty && spaces > first) throw UNCOMMON;
      if (!isEmpty && spaces < first) {
        if (spaces > own || codeAt(at + spaces) === TAB) throw UNCOMMON;
        break;
      }
      lines.push(isEmpty ? '' : text.slice(at + first, end));
      at = Math.min(text.length, end + 1);
    }
    const end = base + start + text.slice(start, at).trimEnd().length;
    while (lines.at(-1) === '') lines.pop();
    column = nextContent();
    return { node: { kind: 'scalar', style: 'block', start: base + start, end }, value: lines.join('\n') + (isStripped ? '' : '\n') };
  }

  function spacesFrom(offset: number): number {
    let end = offset;
    while (codeAt(end) === SPACE) end += 1;
    return end - offset;
  }

  function isEmptyFrom(offset: number): boolean {
    return offset >= text.length || codeAt(offset) === NEWLINE || codeAt(offset) === TAB;
  }

  function isOpening(code: number): boolean {
    return code === BRACE.open || code === BRACKET.open;
  }

  /** @param parent column that each further line must be indented deeper than */
  function readFlow(parent: number): Read {
    depth += 1;
    if (depth > MAX_DEPTH) throw UNCOMMON;
    const start = base + at;
    const isMap = codeAt(at) === BRACE.open;
    const close = isMap ? BRACE.close : BRACKET.close;
    const pairs: YamlPair[] = [];
    const items: YamlMember[] = [];
    const object: Record<string, Json> = {};
    const list: Json[] = [];
    let comma: number | undefined;
    at += 1;
    skipInFlow(parent);
    while (codeAt(at) !== close || comma !== undefined) {
      const member = { start: base + at, comma, properties: NO_PROPERTIES };
      if (isMap) {
        const key = readFlowKey();
        if (key === '__proto__' || Object.hasOwn(object, key)) throw UNCOMMON;
        const indicator = base + at;
        at += 1;
        skipInFlow(parent);
        const read = readInFlow(parent);
        pairs.push({ ...member, end: base + at, indicator, key, keyStart: member.start, value: read.node });
        object[key] = read.value;
      } else {
        const read = readInFlow(parent);
        items.push({ ...member, end: base + at, indicator: undefined, value: read.node });
        list.push(read.value);
      }
      skipInFlow(parent);
      if (codeAt(at) === close) break;
      if (codeAt(at) !== COMMA) throw UNCOMMON;
      comma = base + at;
      at += 1;
      skipInFlow(parent);
    }
    at += 1;
    depth -= 1;
    const collection = { isFlow: true, isEditable: true, start, end: base + at };
    if (isMap) return { node: { kind: 'map', ...collection, members: pairs }, value: object };
    return { node: { kind: 'list', ...collection, members: items }, value: list };
  }

  function skipInFlow(parent: number): void {
    skipSpaces();
    while (codeAt(at) === NEWLINE) {
      const start = at + 1;
      at = start;
      skipSpaces();
      if (at - start <= parent && codeAt(at) !== NEWLINE) throw UNCOMMON;
    }
  }

  function readFlowKey(): string {
    const start = at;
    const code = codeAt(at);
    if (code === QUOTES.double || code === QUOTES.single) {
      const key = String(readQuoted().value);
      if (codeAt(at) !== COLON || at - start > MAX_KEY_CHARS) throw UNCOMMON;
      return key;
    }
    const key = plainInFlow();
    const next = codeAt(at + 1);
    if (codeAt(at) !== COLON || !(next === SPACE || next === NEWLINE) || at - start > MAX_KEY_CHARS) throw UNCOMMON;
    return nameOf(key);
  }

  function readInFlow(parent: number): Read {
    const code = codeAt(at);
    if (isOpening(code)) return readFlow(parent);
    if (code === QUOTES.double || code === QUOTES.single) return readQuoted();
    const start = at;
    const value = plainOf(plainInFlow());
    return { node: scalar('plain', start), value };
  }

  function plainInFlow(): string {
    PLAIN_IN_FLOW.lastIndex = at;
    const [found] = PLAIN_IN_FLOW.exec(text) ?? [];
    if (found === undefined) throw UNCOMMON;
    at += found.length;
    return found;
  }
}

function documentOf(start: number, root: YamlNode | null, value: Json): ReadDocument {
  return { start, root, value, aliases: NO_ALIASES, merges: NO_MERGES };
}

function plainOf(text: string): Json {
  const value = plainValueOf(text, throwUncommon);
  if (typeof value === 'number' && !Number.isFinite(value)) throw UNCOMMON;
  return value;
}

/** The key as it is in JSON. */
function nameOf(text: string): string {
  const value = plainOf(text);
  if (value === null) throw UNCOMMON;
  return String(value);
}

/** JSON has some of the escapes of YAML, with the same meaning. */
function unescaped(quoted: string): Json {
  try {
    return JSON.parse(quoted);
  } catch {
    throw UNCOMMON;
  }
}

function throwUncommon(): never {
  throw UNCOMMON;
}
