import type { Path } from '../core/path.ts';
import { eolAt } from './edit/text.ts';
import type { TextPlace } from './lines.ts';
import type { YamlDocument } from './yaml/stream.ts';
import type { Span, YamlMap, YamlNode, YamlPair, YamlTree } from './yaml/tree.ts';

/** A part of a text. Lines and columns start at 1; a column counts UTF-16 code units, and `endColumn` is the one behind the last. */
export interface TextRange {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A document in its stream. */
export interface PlacedDocument {
  readonly document: YamlDocument;
  /** @param offset in the stream */
  placeOf(offset: number): TextPlace;
}

/**
 * The range of a field, from its key to the end of its value; of an item, from its first character. The way to a field may lead through aliases
 * and merge keys: then the range is at the anchor, where the value stands.
 * @param path in the document
 * @param owner the container or pod that lacks the field. If the text has no such field, the range is the first line of the owner.
 */
export function rangeOf(placed: PlacedDocument, path: Path, owner: Path): TextRange {
  const tree = placed.document.tree();
  const found = locate(tree, path);
  if (found !== undefined) return makeRange(placed, found);
  return firstLineOf(placed, locate(tree, owner) ?? { start: tree.root?.start ?? 0, end: Number.POSITIVE_INFINITY });
}

/** The first line of a value. */
export function headOf(placed: PlacedDocument, path: Path): TextRange {
  return rangeOf(placed, [...path, ABSENT], path);
}

/** No manifest has this key, because YAML forbids the character. */
const ABSENT = '\u0000';

function locate(tree: YamlTree, path: Path): Span | undefined {
  const { root } = tree;
  if (root === null) return undefined;
  let node: YamlNode = root;
  let found: Span = root;
  for (const step of path) {
    node = targetOf(tree, node);
    if (node.kind === 'map') {
      const pair = pairOf(tree, node, String(step));
      if (pair === undefined) return undefined;
      node = pair.value;
      found = { start: pair.keyStart, end: pair.end };
    } else if (node.kind === 'list') {
      const item = node.members[Number(step)];
      if (item === undefined) return undefined;
      node = item.value;
      found = item.value;
    } else return undefined;
  }
  return found;
}

function targetOf({ aliases }: YamlTree, node: YamlNode): YamlNode {
  return node.kind === 'alias' ? (aliases.find(({ alias }) => alias === node)?.target ?? node) : node;
}

/** The pair of a key: the map's own, or one that it merges. Of several merged maps, the first that has the key counts. */
function pairOf(tree: YamlTree, map: YamlMap, key: string): YamlPair | undefined {
  const own = map.members.find((pair) => pair.key === key);
  const merge = tree.merges.get(map);
  if (own !== undefined || merge === undefined) return own;
  const merging = map.members[merge.index]?.value;
  for (const source of merging?.kind === 'list' ? merging.members.map(({ value }) => value) : [merging]) {
    const target = source && targetOf(tree, source);
    const pair = target?.kind === 'map' ? pairOf(tree, target, key) : undefined;
    if (pair !== undefined) return pair;
  }
  return undefined;
}

function firstLineOf(placed: PlacedDocument, { start, end }: Span): TextRange {
  return makeRange(placed, { start, end: Math.min(end, eolAt(placed.document.part.text, start)) });
}

function makeRange({ document: { part }, placeOf }: PlacedDocument, { start, end }: Span): TextRange {
  const trimmed = start + part.text.slice(start, end).trimEnd().length;
  const [from, to] = [placeOf(part.start + start), placeOf(part.start + trimmed)];
  return { line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
}
