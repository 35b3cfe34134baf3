import { type CST, isMap, type YAMLMap, type YAMLSeq } from 'yaml';
import type { MapPair, NodeLocation } from '../yaml.ts';
import type { EditContext } from './context.ts';
import { columnOf, endOfLines, lineStart, type TextEdit, textEdit } from './text.ts';

/** A map or a list of the document. */
export type Collection = YAMLMap.Parsed | YAMLSeq.Parsed;

/** A pair or an item in the text, from its first character to its last, without the comment after it. */
export interface Member {
  readonly index: number;
  readonly item: CST.CollectionItem;
  readonly start: number;
  readonly end: number;
}

/** In the order of the collection. Empty where the text has no brackets or lines for the collection, as for the map in `[a: b]`. */
export function membersOf(collection: Collection): readonly Member[] {
  const token = collection.srcToken;
  if (token === undefined) return [];
  const items = isMap(collection)
    ? collection.items.map((pair) => (pair as MapPair & { srcToken?: CST.CollectionItem }).srcToken)
    : (token.items as CST.CollectionItem[]).filter(({ start, sep, value }) => sep ?? value ?? start.some(isSignificant));
  return items.flatMap((item, index) => {
    if (item === undefined) return [];
    const first = item.start.find(isSignificant) ?? item.key ?? item.sep?.[0] ?? item.value;
    return first === undefined ? [] : [{ index, item, start: first.offset, end: endOf(item) }];
  });
}

const SIGNIFICANT: ReadonlySet<string> = new Set(['anchor', 'tag', 'seq-item-ind', 'explicit-key-ind', 'map-value-ind']);
export const isSignificant = ({ type }: { readonly type: string }): boolean => SIGNIFICANT.has(type);

function endOf({ start, key, sep, value }: CST.CollectionItem): number {
  if (value !== undefined && !isBlank(value)) return contentEnd(value);
  const last = sep?.findLast(isSignificant) ?? key ?? start.findLast(isSignificant);
  return last == null ? 0 : contentEnd(last);
}

export const isBlank = (token: CST.Token): boolean => token.type === 'scalar' && token.source === '';

export function contentEnd(token: CST.Token): number {
  switch (token.type) {
    case 'block-map':
    case 'block-seq':
      return Math.max(token.offset, ...(token.items as CST.CollectionItem[]).map(endOf));
    case 'flow-collection':
      return token.end[0] === undefined ? token.offset + 1 : token.end[0].offset + 1;
    case 'block-scalar': {
      const header = token.props.map((prop) => ('source' in prop ? prop.source : '')).join('');
      // `+` keeps the empty lines at the end; without it they are not part of the scalar.
      const content = /^[|>]\d?\+/.test(header) ? token.source.replace(/\r?\n$/, '') : token.source.trimEnd();
      return token.offset + header.length + (content === '' ? -1 : content.length);
    }
    default:
      return token.offset + ('source' in token ? token.source.length : 0);
  }
}

export const isFlow = (collection: Collection): boolean => collection.srcToken?.type === 'flow-collection';

/** The range between the brackets of a flow collection. */
export function insideOf(collection: Collection): { readonly start: number; readonly end: number } {
  const token = collection.srcToken as CST.FlowCollection;
  return { start: token.start.offset + 1, end: contentEnd(token) - 1 };
}

export function isMultilineFlow({ text }: EditContext, collection: Collection): boolean {
  const { start, end } = insideOf(collection);
  return text.slice(start, end).includes('\n');
}

/** Whether the collection has its own range in the text, and no key is written with `?`. */
export function isEditable(collection: Collection): boolean {
  const members = membersOf(collection);
  return (
    (isFlow(collection) || members.length > 0) &&
    members.length === collection.items.length &&
    !members.some(({ item }) => item.start.some(({ type }) => type === 'explicit-key-ind'))
  );
}

export const NOT_EDITABLE = 'it is in a collection whose keys are written with "?" or without brackets: write the keys as `key: value`';

export function collectionAt(location: NonNullable<NodeLocation>): Collection {
  return location.kind === 'value' ? location.map : location.list;
}

/** The index in `collectionAt`. */
export function indexOf(location: NonNullable<NodeLocation>): number {
  return location.kind === 'item' ? location.index : location.map.items.indexOf(location.pair);
}

/**
 * Removes the lines of a member with the line break at their end, or, at the end of a text without one, the line break before them. The comments
 * directly above belong to the member, if their column is that of the member.
 */
export function removeLines(text: string, { start, end }: Member): TextEdit {
  const column = columnOf(text, start);
  let from = lineStart(text, start);
  while (from > 0) {
    const above = lineStart(text, from - 1);
    const line = text.slice(above, from);
    if (above === from || !line.trimStart().startsWith('#') || line.length - line.trimStart().length !== column) break;
    from = above;
  }
  const to = endOfLines(text, end, column);
  const next = text.indexOf('\n', to) + 1;
  if (next > 0) return textEdit(from, next, '');
  return textEdit(from === 0 ? 0 : text[from - 2] === '\r' ? from - 2 : from - 1, to, '');
}
