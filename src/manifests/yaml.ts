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
import { type Alias, Document, isAlias, isMap, isScalar, LineCounter, type Pair, parseAllDocuments, Scalar, visit } from 'yaml';
import type { Json } from '../core/json.ts';

/** Something wrong at a place of a text. */
export interface Fault {
  readonly offset: number;
  readonly message: string;
  /** What to do. */
  readonly remedy: string;
}

/** One document of a stream: its nodes, for whoever edits the text, and what they mean. */
export interface YamlDocument {
  readonly root: ParsedNode | null;
  readonly value: Json;
  readonly aliases: readonly AliasUse[];
  readonly merges: ReadonlyMap<YAMLMap.Parsed, Merge>;
}

/** Where a value stands: the value of a pair, an item of a list, or undefined: the root of its document. */
export type Spot =
  | { readonly kind: 'value'; readonly map: YAMLMap.Parsed; readonly pair: MapPair; readonly within: Spot }
  | { readonly kind: 'item'; readonly list: YAMLSeq.Parsed; readonly index: number; readonly within: Spot }
  | undefined;
export type MapPair = Pair<ParsedNode, ParsedNode | null>;

export interface AliasUse {
  readonly alias: ParsedNode;
  readonly target: ParsedNode;
  readonly value: Json;
  readonly spot: Spot;
  /** The map that merges it in (`<<: *alias`), if that is what it is for. */
  readonly mergedBy?: YAMLMap.Parsed;
}

/** What `<<` brings into a map. */
export interface Merge {
  readonly pair: MapPair;
  readonly entries: { readonly [key: string]: Json };
  /** Keys that it would bring, did the map not have its own: they would come up if those went. */
  readonly overridden: ReadonlySet<string>;
}

export interface YamlStream {
  readonly documents: readonly YamlDocument[];
  readonly faults: readonly Fault[];
  readonly lines: LineCounter;
}

/** Far beyond any manifest, which the API server takes up to 3 MB of; far below what aliases of aliases can unfold to. */
const MAX_UNFOLDED = 100_000;

/** Reads a stream of YAML (or JSON) documents. Documents that say nothing have the value null. */
export function parseStream(text: string): YamlStream {
  const lines = new LineCounter();
  try {
    const parsed = parseAllDocuments<ParsedNode>(text, { ...READING, lineCounter: lines });
    const faults: Fault[] = [];
    const documents = ('empty' in parsed ? [] : parsed).map((document) => readDocument(document, faults));
    return { documents, faults, lines };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { documents: [], faults: [tooDeep(0)], lines };
  }
}

/** Text that `parseStream` reads as this value, without a line break at its end. */
export function printYaml(
  value: Json,
  options: Pick<ToStringOptions, 'indent' | 'indentSeq' | 'collectionStyle' | 'flowCollectionPadding'>,
): string {
  const document = new Document(value, { ...SCHEMA, aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      // Each value on one line: left to itself, the printer breaks such text over several.
      if (typeof node.value === 'string' && node.value.includes('\n')) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.POSITIVE_INFINITY, ...options }).replace(/\n$/, '');
}

/** The key as it counts once the document is JSON. */
export function keyOf({ key }: MapPair): string {
  return isScalar(key) ? String(key.value) : '';
}

function tooDeep(offset: number): Fault {
  return { offset, message: 'the document is nested too deeply to be read', remedy: 'no Kubernetes object is: look for runaway brackets' };
}

function readDocument(document: Document.Parsed<ParsedNode>, faults: Fault[]): YamlDocument {
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    if (code === 'RESOURCE_EXHAUSTION') {
      faults.push(tooDeep(pos[0]));
      break;
    }
    const remedy = code === 'TAG_RESOLVE_FAILED' ? 'write a plain value, without a tag' : 'mend the YAML there';
    faults.push({ offset: pos[0], message: message.replace(/[.:]$/, ''), remedy });
  }
  const aliases: AliasUse[] = [];
  const merges = new Map<YAMLMap.Parsed, Merge>();
  const anchors = new Map<string, { readonly node: ParsedNode; readonly value: Json }>();
  let unfolded = 0;
  const root = document.contents;
  return { root, value: document.errors.length > 0 ? null : read(root, undefined), aliases, merges };

  function read(node: ParsedNode | null, spot: Spot, mergedBy?: YAMLMap.Parsed): Json {
    if (node === null) return null;
    if (isAlias(node)) return readAlias(node, spot, mergedBy);
    const value = isScalar(node) ? scalarOf(node) : isMap(node) ? readMap(node, spot) : readList(node, spot, mergedBy);
    if (node.anchor !== undefined) anchors.set(node.anchor, { node, value });
    return value;
  }

  function scalarOf({ value, range }: Scalar.Parsed): Json {
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) fault(range[0], 'the number is too large', 'write it in quotes, or make it smaller');
      return value;
    }
    return value as Json;
  }

  function readList(list: YAMLSeq.Parsed, within: Spot, mergedBy?: YAMLMap.Parsed): Json {
    return list.items.map((item, index) => read(item, { kind: 'item', list, index, within }, mergedBy));
  }

  function readMap(map: YAMLMap.Parsed, within: Spot): Json {
    const own: Record<string, Json> = {};
    const merged: Record<string, Json> = {};
    const overridden = new Set<string>();
    for (const pair of map.items) {
      const { key, value } = pair;
      const spot = { kind: 'value', map, pair, within } as const;
      if (isMerge(pair)) {
        const sources = read(value, spot, map);
        for (const source of Array.isArray(sources) ? sources : [sources]) mergeFrom(source, key, own, merged);
        merges.set(map, { pair, entries: merged, overridden });
        continue;
      }
      const name = keyOf(pair);
      if (!isScalar(key) || key.value === null) fault(key.range[0], 'a key must be text', 'write the key as a word');
      else if (key.anchor !== undefined) fault(key.range[0], `the key ${name} has an anchor`, 'write the key without it');
      else if (Object.hasOwn(own, name)) fault(key.range[0], `the key ${name} stands here twice`, 'keep the one that is meant');
      put(own, name, read(value, spot));
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
      fault(key.range[0], '<< must name a map or a list of maps', 'name the anchor of a map');
      return;
    }
    for (const [name, value] of Object.entries(source)) {
      if (Object.hasOwn(own, name)) {
        fault(
          key.range[0],
          `<< brings the key ${name}, which stands above it, and readers differ about which counts`,
          'move << to the top of its map',
        );
      }
      if (!Object.hasOwn(merged, name)) put(merged, name, value);
    }
  }

  function readAlias(alias: Alias.Parsed, spot: Spot, mergedBy?: YAMLMap.Parsed): Json {
    const anchor = anchors.get(alias.source);
    if (anchor === undefined) {
      fault(alias.range[0], `*${alias.source} names no anchor above it`, `put &${alias.source} where it is meant, or write the value out`);
      return null;
    }
    const value = copy(anchor.value);
    if (unfolded > MAX_UNFOLDED) fault(alias.range[0], `aliases unfold to more than ${MAX_UNFOLDED} values`, 'write out what is meant');
    aliases.push({ alias, target: anchor.node, value, spot, ...(mergedBy === undefined ? {} : { mergedBy }) });
    return value;
  }

  /** Values of an alias are its own: what is done to one place is not done to the other. */
  function copy(value: Json): Json {
    unfolded += 1;
    if (unfolded > MAX_UNFOLDED || typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(copy);
    const copied: Record<string, Json> = {};
    for (const [key, each] of Object.entries(value)) put(copied, key, copy(each));
    return copied;
  }

  function fault(offset: number, message: string, remedy: string): void {
    faults.push({ offset, message, remedy });
  }
}

function isMerge({ key }: MapPair): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.value === '<<';
}

/** `__proto__` is a key like any other. */
function put(object: Record<string, Json>, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/**
 * YAML as kubectl reads it, so that what is judged is what the API server would get: YAML 1.1's booleans (`yes`, `on`, `y`), octals (`010`
 * is 8), underscores in numbers, keys of any scalar type turned into text; no base-60 numbers, and dates stay text.
 *
 * Where that reader silently picks one of two meanings, this one refuses: a key that stands twice, a merge key below a key it overrides
 * (the merge wins there, and loses elsewhere), tags it would have to guess at, and numbers that JSON does not have.
 * Source: sigs.k8s.io/yaml, whose scalars are those of its goyaml.v2/resolve.go
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
  // Known so that text which looks like it is written in quotes.
  scalar('merge', /^<<$/, never, (text) => text),
];

const SCHEMA: SchemaOptions & DocumentOptions = {
  schema: 'failsafe',
  customTags: (tags) => [...tags, ...SCALARS],
  resolveKnownTags: false,
  merge: false,
};
// Keys are compared once they are text; the parser's own comparison takes the square of their number.
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
