import type { DocumentOptions, ParseOptions, SchemaOptions } from 'yaml';
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  type Pair,
  type ParsedNode,
  Parser,
  Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Json } from '../../core/json.ts';
import { SCHEMA } from './schema.ts';
import {
  type AliasUse,
  isBlank,
  type Merge,
  type NodeLocation,
  put,
  type ReadDocument,
  type Span,
  type YamlAlias,
  type YamlCollection,
  type YamlList,
  type YamlMap,
  type YamlMember,
  type YamlNode,
  type YamlPair,
  type YamlProblem,
  type YamlScalar,
} from './tree.ts';

/** How many values aliases may expand to. A manifest of 3 MB (the API server's limit) has far fewer; aliases of aliases can produce far more. */
const MAX_EXPANDED = 100_000;

// `readMap` finds duplicate keys. The check of the parser is turned off, because its time is quadratic in the number of keys.
const READING: ParseOptions & SchemaOptions & DocumentOptions = {
  ...SCHEMA,
  keepSourceTokens: true,
  prettyErrors: false,
  uniqueKeys: false,
  logLevel: 'silent',
};

/** What a text gives. Offsets are those of the text. */
export interface Reading {
  /** undefined: the text has no document. */
  readonly document: ReadDocument | undefined;
  readonly problems: readonly YamlProblem[];
  /** The text is no valid YAML, so that problems of the documents below it may only be a consequence. */
  readonly isBroken: boolean;
}

/**
 * Reads the text of one document with the package `yaml`, which reads all of YAML.
 *
 * Reports a problem where kubectl silently chooses one of two meanings: a key that occurs twice, a merge key (`<<`) that follows, in its map,
 * a key that the merged map has, too (kubectl takes the merged value, and other parsers take the value of the key), an unknown tag, and a number that JSON does not have.
 */
export function readByLibrary(text: string): Reading {
  try {
    const [document, second] = new Composer<ParsedNode>(READING).compose(new Parser().parse(text));
    if (document === undefined) return { document: undefined, problems: [], isBroken: false };
    const reading = readDocument(document);
    if (second === undefined || reading.problems.length > 0) return reading;
    return broken({ offset: second.range[0], message: 'a document starts here without a line ---', remedy: 'write --- above it' });
  } catch (error) {
    if (error instanceof RangeError) return broken(tooDeep(0));
    throw error;
  }
}

function broken(problem: YamlProblem): Reading {
  return { document: undefined, problems: [problem], isBroken: true };
}

function tooDeep(offset: number): YamlProblem {
  return {
    offset,
    message: 'the document is nested too deeply to be read',
    remedy: 'no Kubernetes object is nested so deeply: look for brackets that are not closed',
  };
}

type LibraryPair = Pair<ParsedNode, ParsedNode | null>;

interface Read {
  readonly node: YamlNode;
  readonly value: Json;
}

function readDocument(document: Document.Parsed<ParsedNode>): Reading {
  const problems = problemsOf(document);
  const isBroken = document.errors.length > 0;
  const aliases: AliasUse[] = [];
  const merges = new Map<YamlMap, Merge>();
  const anchors = new Map<string, Read>();
  let expanded = 0;
  const start = document.range[0];
  if (isBroken) return { document: undefined, problems, isBroken };
  const { node, value } = document.contents === null ? { node: blankAt(start), value: null } : read(document.contents, undefined);
  return { document: { root: value === null && isBlank(node) ? null : node, value, aliases, merges }, problems, isBroken };

  function read(node: ParsedNode, location: NodeLocation, mergedBy?: YamlMap): Read {
    if (isAlias(node)) return readAlias(node, location, mergedBy);
    const made: Read = isScalar(node)
      ? { node: scalarOf(node), value: valueOfScalar(node) }
      : isMap(node)
        ? readMap(node as YAMLMap.Parsed, location)
        : readList(node as YAMLSeq.Parsed, location, mergedBy);
    if (node.anchor !== undefined) anchors.set(node.anchor, made);
    return made;
  }

  function valueOfScalar({ value, range }: Scalar.Parsed): Json {
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) report(range[0], 'the number is too large', 'write it in quotes, or make it smaller');
      return value;
    }
    return value as Json;
  }

  function readList(list: YAMLSeq.Parsed, parent: NodeLocation, mergedBy?: YamlMap): Read {
    const members: YamlMember[] = [];
    const items = itemsOf(list);
    const places = items.map(placeOf);
    const node: YamlList = { kind: 'list', ...collectionOf(list, items, places), members };
    const value: Json[] = [];
    for (const [index, item] of list.items.entries()) {
      const made = read(item as ParsedNode, { collection: node, index, parent }, mergedBy);
      members.push({ ...(places[index] ?? unplaced(made.node)), value: made.node });
      value.push(made.value);
    }
    return { node, value };
  }

  function readMap(map: YAMLMap.Parsed, parent: NodeLocation): Read {
    const members: YamlPair[] = [];
    const items = itemsOf(map);
    const places = items.map(placeOf);
    const node: YamlMap = { kind: 'map', ...collectionOf(map, items, places), members };
    const own: Record<string, Json> = {};
    const merged: Record<string, Json> = {};
    const overridden = new Set<string>();
    for (const [index, pair] of (map.items as LibraryPair[]).entries()) {
      const { key, value } = pair;
      const location = { collection: node, index, parent };
      const made: Read =
        value === null ? { node: blankAt(key.range[1]), value: null } : read(value, location, isMerge(pair) ? node : undefined);
      const name = isScalar(key) ? String(key.value) : '';
      members.push({ ...(places[index] ?? unplaced(made.node)), key: name, keyStart: key.range[0], value: made.node });
      if (isMerge(pair)) {
        for (const source of Array.isArray(made.value) ? made.value : [made.value]) mergeFrom(source, key, own, merged);
        merges.set(node, { index, entries: merged, overridden });
        continue;
      }
      if (!isScalar(key) || key.value === null) report(key.range[0], 'a key must be text', 'write the key as a string');
      else if (key.anchor !== undefined) report(key.range[0], `the key ${name} has an anchor`, 'write the key without it');
      else if (Object.hasOwn(own, name)) report(key.range[0], `the key ${name} occurs twice`, 'keep one of them');
      put(own, name, made.value);
    }
    for (const [name, value] of Object.entries(merged)) {
      if (!Object.hasOwn(own, name)) put(own, name, value);
      else {
        delete merged[name];
        overridden.add(name);
      }
    }
    return { node, value: own };
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

  function readAlias({ source, range: [start, end] }: ParsedAlias, location: NodeLocation, mergedBy?: YamlMap): Read {
    const alias: YamlAlias = { kind: 'alias', start, end };
    const anchor = anchors.get(source);
    if (anchor === undefined) {
      report(start, `*${source} names no anchor above it`, `put &${source} before the value, or write the value out`);
      return { node: alias, value: null };
    }
    const value = copy(anchor.value);
    if (expanded > MAX_EXPANDED) report(start, `aliases expand to more than ${MAX_EXPANDED} values`, 'write the values out');
    aliases.push({ alias, target: anchor.node, value, location, ...(mergedBy === undefined ? {} : { mergedBy }) });
    return { node: alias, value };
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

type ParsedAlias = Extract<ParsedNode, { readonly source: string; readonly anchor?: never }> & { readonly source: string };

/** The first problem that the package has with the document. */
function problemsOf({ errors, warnings }: Document.Parsed): YamlProblem[] {
  const [first] = [...errors, ...warnings];
  if (first === undefined) return [];
  const { code, message, pos } = first;
  if (code === 'RESOURCE_EXHAUSTION') return [tooDeep(pos[0])];
  const remedy = code === 'TAG_RESOLVE_FAILED' ? 'write a plain value, without a tag' : 'fix the YAML there';
  return [{ offset: pos[0], message: message.replace(/[.:]$/, ''), remedy }];
}

function isMerge({ key }: LibraryPair): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.value === '<<';
}

const STYLES: Readonly<Record<string, YamlScalar['style']>> = {
  QUOTE_SINGLE: 'single-quoted',
  QUOTE_DOUBLE: 'double-quoted',
  BLOCK_LITERAL: 'block',
  BLOCK_FOLDED: 'block',
};

function scalarOf({ type, range, srcToken }: Scalar.Parsed): YamlScalar {
  return {
    kind: 'scalar',
    style: STYLES[type ?? ''] ?? 'plain',
    start: range[0],
    end: srcToken === undefined ? range[1] : contentEnd(srcToken),
  };
}

const blankAt = (offset: number): YamlScalar => ({ kind: 'scalar', style: 'plain', start: offset, end: offset });

/** A member that the text has no range for, such as the map in `[a: b]`. */
const unplaced = ({ start, end }: YamlNode): Place => ({
  start,
  end,
  indicator: undefined,
  comma: undefined,
  properties: NO_PROPERTIES,
});

type LibraryCollection = YAMLMap.Parsed | YAMLSeq.Parsed;

type SourceItem = CST.CollectionItem | undefined;

function collectionOf(
  { srcToken: token, range, items }: LibraryCollection,
  written: readonly SourceItem[],
  places: readonly (Place | undefined)[],
): Omit<YamlCollection, 'kind' | 'members'> {
  const isFlow = token?.type === 'flow-collection';
  const isEditable =
    (isFlow || places.length > 0) &&
    places.length === items.length &&
    places.every((each) => each !== undefined) &&
    !written.some((item) => item?.start.some(({ type }) => type === 'explicit-key-ind'));
  return { isFlow, isEditable, start: range[0], end: token === undefined ? range[1] : contentEnd(token) };
}

/** Empty where the text has no brackets or lines for the collection, as for the map in `[a: b]`. */
function itemsOf(collection: LibraryCollection): SourceItem[] {
  const token = collection.srcToken;
  if (token === undefined) return [];
  if (isMap(collection)) return collection.items.map((pair) => (pair as LibraryPair & { srcToken?: CST.CollectionItem }).srcToken);
  return (token.items as CST.CollectionItem[]).filter(({ start, sep, value }) => sep ?? value ?? start.some(isSignificant));
}

type Place = Omit<YamlMember, 'value'>;

/** Where a member is; undefined: the text has no range for it. */
function placeOf(item: SourceItem): Place | undefined {
  if (item === undefined) return undefined;
  const { start, key, sep, value } = item;
  const first = start.find(isSignificant) ?? key ?? sep?.[0] ?? value;
  if (first == null) return undefined;
  return {
    start: first.offset,
    end: endOf(item),
    indicator: (sep ?? start).find(isIndicator)?.offset,
    comma: start.find(({ type }) => type === 'comma')?.offset,
    properties: propertiesOf(start, sep),
  };
}

const NO_PROPERTIES: readonly Span[] = [];
const isIndicator = ({ type }: CST.SourceToken): boolean => type === 'map-value-ind' || type === 'seq-item-ind';
const isProperty = ({ type }: CST.SourceToken): boolean => type === 'anchor' || type === 'tag';

function propertiesOf(start: readonly CST.SourceToken[], sep: readonly CST.SourceToken[] = []): readonly Span[] {
  if (!start.some(isProperty) && !sep.some(isProperty)) return NO_PROPERTIES;
  return [...start, ...sep].filter(isProperty).map(spanOf);
}

const spanOf = ({ offset, source }: CST.SourceToken): Span => ({ start: offset, end: offset + source.length });

const isSignificant = (token: CST.SourceToken): boolean => isIndicator(token) || isProperty(token) || token.type === 'explicit-key-ind';

function endOf({ start, key, sep, value }: CST.CollectionItem): number {
  if (value !== undefined && !(value.type === 'scalar' && value.source === '')) return contentEnd(value);
  const last = sep?.findLast(isSignificant) ?? key ?? start.findLast(isSignificant);
  return last == null ? 0 : contentEnd(last);
}

/** The end of the last member. Items after it have only comments, and are skipped. */
function endOfLast(items: readonly CST.CollectionItem[]): number | undefined {
  for (let index = items.length - 1; index >= 0; index -= 1) {
    const end = endOf(items[index] as CST.CollectionItem);
    if (end > 0) return end;
  }
  return undefined;
}

/** @param block a block scalar, from its `|` or `>` to the line break of its last line */
export function writtenLength(block: string): number {
  // `+` keeps the empty lines at the end; without it they are not part of the scalar.
  const keepsEnd = /^[|>]\d?\+/.test(block);
  return (keepsEnd ? block.replace(/\r?\n$/, '') : block.trimEnd()).length;
}

function contentEnd(token: CST.Token): number {
  switch (token.type) {
    case 'block-map':
    case 'block-seq':
      return endOfLast(token.items) ?? token.offset;
    case 'flow-collection':
      return token.end[0] === undefined ? token.offset + 1 : token.end[0].offset + 1;
    case 'block-scalar': {
      const header = token.props.map((prop) => ('source' in prop ? prop.source : '')).join('');
      return token.offset + writtenLength(header + token.source);
    }
    default:
      return token.offset + ('source' in token ? token.source.length : 0);
  }
}
