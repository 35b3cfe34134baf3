import { isBlank, type NodeLocation, type Span, type YamlCollection, type YamlMember } from '../yaml/tree.ts';
import { columnOf, endOfLines, lineStart, type TextEdit, textEdit } from './text.ts';

/** The range between the brackets of a flow collection. */
export function insideOf({ start, end }: YamlCollection): Span {
  return { start: start + 1, end: end - 1 };
}

export function isMultilineFlow(text: string, collection: YamlCollection): boolean {
  const { start, end } = insideOf(collection);
  return text.slice(start, end).includes('\n');
}

export const NOT_EDITABLE = 'it is in a collection whose keys are written with "?" or without brackets: write the keys as `key: value`';

/** Anchors and tags behind the `:` or `-`: those of the value. */
export function propertiesOfValue({ indicator = -1, properties }: YamlMember): readonly Span[] {
  return properties.filter(({ start }) => start > indicator);
}

/** The offset of the value with its anchor and its tag; undefined: the text has nothing for it. */
export function valueStart(member: YamlMember): number | undefined {
  return propertiesOfValue(member)[0]?.start ?? (isBlank(member.value) ? undefined : member.value.start);
}

export function memberAt({ collection, index }: NonNullable<NodeLocation>): YamlMember | undefined {
  return collection.members[index];
}

/**
 * Removes the lines of a member with the line break at their end, or, at the end of a text without one, the line break before them. The comments
 * directly above belong to the member, if their column is that of the member.
 */
export function removeLines(text: string, { start, end }: Span): TextEdit {
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
