import { isAlias, isMap, isScalar, isSeq, type LineCounter, type ParsedNode, type YAMLMap } from 'yaml';
import type { Path } from '../core/path.ts';
import { eolAt } from './edit/text.ts';
import { keyOf, type MapPair, type YamlDocument } from './yaml.ts';

/** A part of a text. Lines and columns start at 1; a column counts UTF-16 code units, and `endColumn` is the one behind the last. */
export interface TextRange {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A document with the text of its stream. */
export interface PlacedDocument {
  readonly text: string;
  readonly document: YamlDocument;
  readonly lines: LineCounter;
}

/**
 * The range of a field, from its key to the end of its value; of an item, from its first character. The way to a field may lead through aliases
 * and merge keys: then the range is at the anchor, where the value stands.
 * @param path in the document
 * @param owner the container or pod that lacks the field. If the text has no such field, the range is the first line of the owner.
 */
export function rangeOf(placed: PlacedDocument, path: Path, owner: Path): TextRange {
  const found = locate(placed.document, path);
  if (found !== undefined) return makeRange(placed, found);
  return firstLineOf(
    placed,
    locate(placed.document, owner) ?? { start: placed.document.root?.range[0] ?? 0, end: Number.POSITIVE_INFINITY },
  );
}

/** The first line of a value. */
export function headOf(placed: PlacedDocument, path: Path): TextRange {
  return rangeOf(placed, [...path, ABSENT], path);
}

/** No manifest has this key, because YAML forbids the character. */
const ABSENT = '\u0000';

interface Offsets {
  readonly start: number;
  readonly end: number;
}

function locate(document: YamlDocument, path: Path): Offsets | undefined {
  const { root } = document;
  if (root === null) return undefined;
  let node: ParsedNode | null = root;
  let found: Offsets = { start: root.range[0], end: root.range[1] };
  for (const step of path) {
    node = targetOf(document, node);
    if (isMap(node)) {
      const pair = pairOf(document, node as YAMLMap.Parsed, String(step));
      if (pair === undefined) return undefined;
      const keyRange = isScalar(pair.key) ? pair.key.range : undefined;
      const start: number = keyRange?.[0] ?? pair.value?.range[0] ?? found.start;
      node = pair.value;
      found = { start, end: Math.max(node?.range[1] ?? 0, keyRange?.[1] ?? start) };
    } else if (isSeq(node)) {
      const item = node.items[Number(step)] as ParsedNode | undefined;
      if (item === undefined) return undefined;
      node = item;
      found = { start: item.range[0], end: item.range[1] };
    } else return undefined;
  }
  return found;
}

function targetOf({ aliases }: YamlDocument, node: ParsedNode | null): ParsedNode | null {
  return isAlias(node) ? (aliases.find(({ alias }) => alias === node)?.target ?? null) : node;
}

/** The pair of a key: the map's own, or one that it merges. Of several merged maps, the first that has the key counts. */
function pairOf(document: YamlDocument, map: YAMLMap.Parsed, key: string): MapPair | undefined {
  const own = map.items.find((pair) => keyOf(pair) === key);
  const merge = document.merges.get(map);
  if (own !== undefined || merge === undefined) return own;
  const { value } = merge.pair;
  for (const source of isSeq(value) ? (value.items as ParsedNode[]) : [value]) {
    const target = targetOf(document, source);
    const pair = isMap(target) ? pairOf(document, target as YAMLMap.Parsed, key) : undefined;
    if (pair !== undefined) return pair;
  }
  return undefined;
}

function firstLineOf(placed: PlacedDocument, { start, end }: Offsets): TextRange {
  return makeRange(placed, { start, end: Math.min(end, eolAt(placed.text, start)) });
}

function makeRange({ text, lines }: PlacedDocument, { start, end }: Offsets): TextRange {
  const trimmed = start + text.slice(start, end).trimEnd().length;
  const [from, to] = [lines.linePos(start), lines.linePos(trimmed)];
  return { line: Math.max(1, from.line), column: Math.max(1, from.col), endLine: Math.max(1, to.line), endColumn: Math.max(1, to.col) };
}
