import type {
  CollectionTag,
  DocumentOptions,
  ParsedNode,
  ParseOptions,
  ScalarTag,
  SchemaOptions,
  ToStringOptions,
  YAMLMap,
  YAMLSeq,
} from 'yaml';
import { type Alias, Composer, Document, isAlias, isMap, isScalar, LineCounter, type Pair, Parser, Scalar, visit } from 'yaml';
import type { Json } from '../core/json.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** A problem at an offset of a text. */
export interface YamlProblem {
  readonly offset: number;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** One document of a stream: its nodes, which are used to edit the text, and its value. */
export interface YamlDocument {
  readonly root: ParsedNode | null;
  readonly value: Json;
  readonly aliases: readonly AliasUse[];
  readonly merges: ReadonlyMap<YAMLMap.Parsed, Merge>;
}

/** Where a node is: the value of a pair, or an item of a list; undefined: the root of its document. */
export type NodeLocation =
  | { readonly kind: 'value'; readonly map: YAMLMap.Parsed; readonly pair: MapPair; readonly parent: NodeLocation }
  | { readonly kind: 'item'; readonly list: YAMLSeq.Parsed; readonly index: number; readonly parent: NodeLocation }
  | undefined;
export type MapPair = Pair<ParsedNode, ParsedNode | null>;

export interface AliasUse {
  readonly alias: ParsedNode;
  readonly target: ParsedNode;
  readonly value: Json;
  readonly location: NodeLocation;
  /** The map that merges the alias (`<<: *alias`); absent: the alias is a value. */
  readonly mergedBy?: YAMLMap.Parsed;
}

/** The pairs that `<<` merges into a map. */
export interface Merge {
  readonly pair: MapPair;
  readonly entries: { readonly [key: string]: Json };
  /** Keys that the map overrides: removing such a key from the map would uncover the merged value. */
  readonly overridden: ReadonlySet<string>;
}

export interface YamlStream {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly YamlProblem[];
  readonly lines: LineCounter;
}

/** How many values aliases may expand to. A manifest of 3 MB (the API server's limit) has far fewer; aliases of aliases can produce far more. */
const MAX_EXPANDED = 100_000;

/** Reads a stream of YAML (or JSON) documents. The value of an empty document is null. */
export function parseStream(text: string): YamlStream {
  const lines = makeLineCounter(text);
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) return { documents: [], problems: [forbiddenAt(forbidden)], lines };
  try {
    const problems: YamlProblem[] = [];
    const documents: YamlDocument[] = [];
    for (const document of piecesOf(text).flatMap(parsePiece)) {
      documents.push(readDocument(document, problems));
      // After a document that is not valid YAML, further problems may only be a consequence of it.
      if (document.errors.length > 0) break;
    }
    return { documents, problems, lines };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { documents: [], problems: [tooDeep(0)], lines };
  }
}

/** Parses one piece of a stream. Offsets of nodes and errors count from the start of the stream. */
function parsePiece({ start, text }: Piece): Document.Parsed<ParsedNode>[] {
  const parser = new Parser();
  parser.offset = start;
  return [...new Composer<ParsedNode>(READING).compose(parser.parse(text))];
}

function makeLineCounter(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  return lines;
}

/**
 * Control characters, which kubectl refuses.
 * Source: sigs.k8s.io/yaml/goyaml.v2/readerc.go ("control characters are not allowed")
 */
const FORBIDDEN = /(?![\t\n\r\u0085])[\p{Cc}\ufffe\uffff]/u;

function forbiddenAt({ 0: character, index }: RegExpExecArray): YamlProblem {
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return {
    offset: index,
    message: `the control character U+${code} is not allowed`,
    remedy: 'remove it, or write it as an escape in double quotes',
  };
}

/** Text that `parseStream` reads as this value, without a line break at its end. */
export function printYaml(
  value: Json,
  options: Pick<ToStringOptions, 'indent' | 'indentSeq' | 'collectionStyle' | 'flowCollectionPadding'>,
): string {
  const document = new Document(value, { ...SCHEMA, aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      // A string with line breaks stays on one line: by default the printer writes it on several lines.
      if (typeof node.value === 'string' && node.value.includes('\n')) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.POSITIVE_INFINITY, ...options }).replace(/\n$/, '');
}

/** The key as it is in JSON. */
export function keyOf({ key }: MapPair): string {
  return isScalar(key) ? String(key.value) : '';
}

function tooDeep(offset: number): YamlProblem {
  return {
    offset,
    message: 'the document is nested too deeply to be read',
    remedy: 'no Kubernetes object is nested so deeply: look for brackets that are not closed',
  };
}

function readDocument(document: Document.Parsed<ParsedNode>, problems: YamlProblem[]): YamlDocument {
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    if (code === 'RESOURCE_EXHAUSTION') {
      problems.push(tooDeep(pos[0]));
      break;
    }
    const remedy = code === 'TAG_RESOLVE_FAILED' ? 'write a plain value, without a tag' : 'fix the YAML there';
    problems.push({ offset: pos[0], message: message.replace(/[.:]$/, ''), remedy });
    break;
  }
  const aliases: AliasUse[] = [];
  const merges = new Map<YAMLMap.Parsed, Merge>();
  const anchors = new Map<string, { readonly node: ParsedNode; readonly value: Json }>();
  let expanded = 0;
  const root = document.contents;
  return { root, value: document.errors.length > 0 ? null : read(root, undefined), aliases, merges };

  function read(node: ParsedNode | null, location: NodeLocation, mergedBy?: YAMLMap.Parsed): Json {
    if (node === null) return null;
    if (isAlias(node)) return readAlias(node, location, mergedBy);
    const value = isScalar(node) ? scalarOf(node) : isMap(node) ? readMap(node, location) : readList(node, location, mergedBy);
    if (node.anchor !== undefined) anchors.set(node.anchor, { node, value });
    return value;
  }

  function scalarOf({ value, range }: Scalar.Parsed): Json {
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) report(range[0], 'the number is too large', 'write it in quotes, or make it smaller');
      return value;
    }
    return value as Json;
  }

  function readList(list: YAMLSeq.Parsed, parent: NodeLocation, mergedBy?: YAMLMap.Parsed): Json {
    return list.items.map((item, index) => read(item, { kind: 'item', list, index, parent }, mergedBy));
  }

  function readMap(map: YAMLMap.Parsed, parent: NodeLocation): Json {
    const own: Record<string, Json> = {};
    const merged: Record<string, Json> = {};
    const overridden = new Set<string>();
    for (const pair of map.items) {
      const { key, value } = pair;
      const location = { kind: 'value', map, pair, parent } as const;
      if (isMerge(pair)) {
        const sources = read(value, location, map);
        for (const source of Array.isArray(sources) ? sources : [sources]) mergeFrom(source, key, own, merged);
        merges.set(map, { pair, entries: merged, overridden });
        continue;
      }
      const name = keyOf(pair);
      if (!isScalar(key) || key.value === null) report(key.range[0], 'a key must be text', 'write the key as a string');
      else if (key.anchor !== undefined) report(key.range[0], `the key ${name} has an anchor`, 'write the key without it');
      else if (Object.hasOwn(own, name)) report(key.range[0], `the key ${name} occurs twice`, 'keep one of them');
      put(own, name, read(value, location));
    }
    for (const [name, value] of Object.entries(merged)) {
      if (!Object.hasOwn(own, name)) put(own, name, value);
      else {
        delete merged[name];
        overridden.add(name);
      }
    }
    return own;
  }

  function mergeFrom(source: Json, key: ParsedNode, own: object, merged: Record<string, Json>): void {
    if (typeof source !== 'object' || source === null || Array.isArray(source)) {
      report(key.range[0], '<< must name a map or a list of maps', 'name the anchor of a map');
      return;
    }
    for (const [name, value] of Object.entries(source)) {
      if (Object.hasOwn(own, name)) {
        report(
          key.range[0],
          `the key ${name} is set above <<, which also merges it, and parsers differ in which value they use`,
          'move << to the top of its map',
        );
      }
      if (!Object.hasOwn(merged, name)) put(merged, name, value);
    }
  }

  function readAlias(alias: Alias.Parsed, location: NodeLocation, mergedBy?: YAMLMap.Parsed): Json {
    const anchor = anchors.get(alias.source);
    if (anchor === undefined) {
      report(alias.range[0], `*${alias.source} names no anchor above it`, `put &${alias.source} before the value, or write the value out`);
      return null;
    }
    const value = copy(anchor.value);
    if (expanded > MAX_EXPANDED) report(alias.range[0], `aliases expand to more than ${MAX_EXPANDED} values`, 'write the values out');
    aliases.push({ alias, target: anchor.node, value, location, ...(mergedBy === undefined ? {} : { mergedBy }) });
    return value;
  }

  /** Each alias gets its own copy of the value, because a change of the copy must not change the original. */
  function copy(value: Json): Json {
    expanded += 1;
    if (expanded > MAX_EXPANDED || typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(copy);
    const copied: Record<string, Json> = {};
    for (const [key, each] of Object.entries(value)) put(copied, key, copy(each));
    return copied;
  }

  function report(offset: number, message: string, remedy: string): void {
    problems.push({ offset, message, remedy });
  }
}

function isMerge({ key }: MapPair): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.value === '<<';
}

/** Sets a key, even if it is `__proto__`. */
function put(object: Record<string, Json>, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/**
 * The scalars of YAML as kubectl reads them, so that the judged object is the one that the API server receives. Kubectl reads booleans of YAML 1.1
 * (`yes`, `on`, `y`), octal numbers (`010` is 8), underscores in numbers, and keys of any scalar type as text. It reads no base-60 numbers, and reads
 * dates as text. No schema of the `yaml` package does all of this.
 *
 * Where kubectl silently chooses one of two meanings, `parseStream` rejects the text: a key that occurs twice, a merge key below a key of the same
 * map that it also merges (kubectl uses the merged value, other parsers use the value of the map), unknown tags, and numbers that JSON does not have.
 * Source: goyaml.v2/resolve.go of sigs.k8s.io/yaml
 */
const SCALARS: (ScalarTag | CollectionTag)[] = [
  scalar(
    'null',
    /^(?:~|null|Null|NULL)?$/,
    (value) => value === null,
    () => null,
  ),
  scalar(
    'bool',
    /^(?:[Yy]|[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)$/,
    (value) => value === true,
    () => true,
  ),
  scalar(
    'bool',
    /^(?:[Nn]|[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)$/,
    (value) => value === false,
    () => false,
  ),
  scalar('int', /^[-+]?0[bB][01_]*[01][01_]*$/, never, (text) => integer(text, 2)),
  scalar('int', /^[-+]?0[xX][\da-fA-F_]*[\da-fA-F][\da-fA-F_]*$/, never, (text) => integer(text, 16)),
  scalar('int', /^[-+]?0[oO]?[0-7_]*[0-7][0-7_]*$/, never, (text) => integer(text, 8)),
  scalar('int', /^[-+]?(?:0_*|[1-9][\d_]*)$/, Number.isInteger, (text) => integer(text, 10)),
  scalar(
    'float',
    /^(?:[-+]?\d[\d_]*(?:\.[\d_]*)?|[-+]?\.\d+)(?:[eE][-+]?\d+)?$/,
    (value) => typeof value === 'number',
    (text) => Number(text.replaceAll('_', '')),
  ),
  scalar('float', /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/, never, (text, fail) => {
    fail(`${text} is a number that JSON does not have`);
    return null;
  }),
  // This tag makes the printer put the text `<<` in quotes.
  scalar('merge', /^<<$/, never, (text) => text),
];

const SCHEMA: SchemaOptions & DocumentOptions = {
  schema: 'failsafe',
  customTags: (tags) => [...tags, ...SCALARS],
  resolveKnownTags: false,
  merge: false,
};
// `readMap` finds duplicate keys. The check of the parser is turned off, because its time is quadratic in the number of keys.
const READING: ParseOptions & SchemaOptions & DocumentOptions = {
  ...SCHEMA,
  keepSourceTokens: true,
  prettyErrors: false,
  uniqueKeys: false,
  logLevel: 'silent',
};

function scalar(
  name: string,
  test: RegExp,
  identify: (value: unknown) => boolean,
  resolve: (text: string, fail: (message: string) => void) => Json,
): ScalarTag {
  return { tag: `tag:yaml.org,2002:${name}`, default: true, test, identify, resolve, stringify: ({ value }) => JSON.stringify(value) };
}

function never(): boolean {
  return false;
}

function integer(text: string, radix: number): number {
  const digits = text.replaceAll('_', '').replace(/^[-+]?(?:0[bBoOxX])?/, '');
  return (text.startsWith('-') ? -1 : 1) * Number.parseInt(digits, radix) || 0;
}
