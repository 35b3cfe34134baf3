import type { Json } from '../../core/json.ts';
import { err, ok } from '../../core/result.ts';
import { isBlank, type NodeLocation, type YamlCollection, type YamlMember } from '../yaml/tree.ts';
import type { EditContext } from './context.ts';
import { insideOf, isMultilineFlow, memberAt, NOT_EDITABLE, propertiesOfValue, removeLines, valueStart } from './members.ts';
import { printBlock, printFlow, printScalar, unitOf } from './print.ts';
import { columnOf, endOfLines, eolAt, lineIndent, oneEdit, type PlannedEdits, startsItsLine, textEdit } from './text.ts';

export function replaceValue(context: EditContext, location: NodeLocation, value: Json): PlannedEdits {
  if (location === undefined) return err('a whole document cannot be replaced');
  const { collection } = location;
  const member = memberAt(location);
  if (member === undefined || !collection.isEditable) return err(NOT_EDITABLE);
  const { value: old, end, indicator } = member;
  const isScalar = typeof value !== 'object' || value === null;
  const isBare = member.properties.length === 0;

  const isOneToken = old.kind === 'alias' || (old.kind === 'scalar' && old.style !== 'block' && !isBlank(old));
  if (isScalar && isBare && isOneToken) {
    return oneEdit(old.start, end, printScalar(context, value, { old, isInFlow: collection.isFlow }));
  }
  if (!isScalar && isBare && (old.kind === 'map' || old.kind === 'list') && old.isFlow && !collection.isFlow)
    return oneEdit(old.start, end, printFlow(context, value));
  if (collection.isFlow) {
    const style = { lead: lineIndent(context.text, member.start), isMultiline: isMultilineFlow(context.text, collection) };
    const print = printFlow(context, value, style);
    if (collection.kind === 'list') return oneEdit(member.start, end, print);
    if (indicator === undefined) return oneEdit(end, end, `: ${print}`);
    const from = valueStart(member);
    return from === undefined || from >= end ? oneEdit(indicator + 1, end, ` ${print}`) : oneEdit(from, end, print);
  }
  return replaceInBlock(context, member, collection.kind === 'map' ? { '': value } : [value]);
}

/** @param wrapped a collection with the value as its only member. Its printed text starts with a key or a dash, which the edited text has already. */
function replaceInBlock(context: EditContext, member: YamlMember, wrapped: Json): PlannedEdits {
  const { text } = context;
  const { start, end, indicator, value } = member;
  if (indicator === undefined) return err(NOT_EDITABLE);
  const print = printBlock(context, wrapped, columnOf(text, start)).replace(/^(?:"":|-)/, '');
  const isBroken = /^\r?\n/.test(print);
  const head = indicator + 1;
  const headLineEnd = eolAt(text, head);
  const isBelow = !isBlank(value) && value.start > headLineEnd;
  const lastProperty = propertiesOfValue(member).findLast((property) => property.start < headLineEnd);
  const headEnd = isBelow ? (lastProperty?.end ?? head) : end;
  // A comment on the line of the key stays there, whether the value is on that line or below it.
  const tail = isBelow ? headLineEnd : eolAt(text, end);
  return ok([textEdit(head, headEnd, isBroken ? '' : print), textEdit(tail, eolAt(text, end), isBroken ? print : '')]);
}

export interface NewMember {
  readonly index: number;
  /** An item of a list, or a map with the one pair. */
  readonly value: Json;
}

/** @param location of the collection */
export function addMember(
  context: EditContext,
  collection: YamlCollection,
  { index, value }: NewMember,
  location: NodeLocation,
): PlannedEdits {
  const wrapped = collection.kind === 'list' ? [value] : value;
  const { members } = collection;
  if (!collection.isEditable) return err(NOT_EDITABLE);
  if (collection.isFlow) return addToFlow(context, collection, { index, value: wrapped }, location);

  const { text, lineBreak } = context;
  const before = members[index - 1];
  const first = members[0] as YamlMember;
  const column = columnOf(text, first.start);
  const print = printBlock(context, wrapped, column);
  if (before === undefined) return oneEdit(first.start, first.start, `${print}${lineBreak}${' '.repeat(column)}`);
  const end = endOfLines(text, before.end, column);
  return ok([{ start: end, end, text: `${lineBreak}${' '.repeat(column)}${print}`, addsLines: true }]);
}

/** @param member its value is wrapped: a list with the item, or a map with the pair */
function addToFlow(context: EditContext, collection: YamlCollection, { index, value }: NewMember, location: NodeLocation): PlannedEdits {
  const { text } = context;
  const { members } = collection;
  const inside = insideOf(collection);
  const [first, second] = members;
  if (first === undefined) {
    const isMultiline = location !== undefined && context.isJson && isMultilineFlow(text, location.collection);
    const print = printFlow(context, value, { lead: lineIndent(text, inside.start), isMultiline });
    return oneEdit(inside.start, inside.end, print.slice(1, -1));
  }
  const gap =
    second === undefined ? `,${/^\s*\n\s*/.exec(text.slice(inside.start, first.start))?.[0] ?? ' '}` : text.slice(first.end, second.start);
  const separator = /^\s*,\s*$/.test(gap) ? gap : `,${context.lineBreak}${lineIndent(text, first.start)}`;
  // The printed value has one level more than the text that is inserted.
  const lead = lineIndent(text, first.start).slice(unitOf(text).length);
  const print = printFlow(context, value, { lead, isMultiline: separator.includes('\n') })
    .slice(1, -1)
    .trim();
  const before = members[index - 1];
  if (before === undefined) return oneEdit(first.start, first.start, print + separator);

  // A comment after the member belongs to it: the comma is written before the comment, and the new member on the next line.
  const rest = text.slice(before.end, Math.min(eolAt(text, before.end), members[index]?.start ?? inside.end));
  if (!rest.includes('#')) return oneEdit(before.end, before.end, separator + print);
  const end = before.end + rest.length;
  const hasComma = rest.trimStart().startsWith(',');
  const comma = hasComma || index < members.length ? '' : ',';
  const below = `${context.lineBreak}${lineIndent(text, first.start)}${print}${index < members.length ? ',' : ''}`;
  return ok([textEdit(before.end, before.end, comma), textEdit(end, end, below)]);
}

export function removeMember(context: EditContext, collection: YamlCollection, index: number, location: NodeLocation): PlannedEdits {
  const { members } = collection;
  const member = members[index];
  if (member === undefined || !collection.isEditable) return err(NOT_EDITABLE);
  if (collection.isFlow) return removeFromFlow(context, collection, index);
  if (members.length === 1) return emptyBlock(context, collection, member, location);

  const { text } = context;
  if (startsItsLine(text, member.start)) return ok([removeLines(text, member)]);
  // The member follows the dash of its parent: the next member moves up, unless comments are between them.
  const next = (members[index + 1] as YamlMember).start;
  if (text.slice(eolAt(text, member.end), next).trim() === '') return oneEdit(member.start, next, '');
  return oneEdit(member.start - (/ *$/.exec(text.slice(0, member.start))?.[0].length ?? 0), eolAt(text, member.end), '');
}

/** A block collection without members is written as `{}` or `[]`. */
function emptyBlock({ text }: EditContext, collection: YamlCollection, member: YamlMember, location: NodeLocation): PlannedEdits {
  const brackets = collection.kind === 'map' ? '{}' : '[]';
  if (location === undefined || !startsItsLine(text, member.start)) return oneEdit(member.start, member.end, brackets);
  const parent = memberAt(location);
  if (parent?.indicator === undefined) return err(NOT_EDITABLE);
  const head = propertiesOfValue(parent).at(-1)?.end ?? parent.indicator + 1;
  return ok([textEdit(head, head, ` ${brackets}`), removeLines(text, member)]);
}

function removeFromFlow({ text }: EditContext, collection: YamlCollection, index: number): PlannedEdits {
  const { members } = collection;
  const { start, end, comma } = members[index] as YamlMember;
  const before = members[index - 1];
  const after = members[index + 1];
  const inside = insideOf(collection);
  const isAlone = before === undefined && after === undefined;
  const [from, to] = isAlone ? [inside.start, inside.end] : after === undefined ? [before?.end ?? start, end] : [start, after.start];
  if (!(text.slice(from, start) + text.slice(end, to)).includes('#')) return oneEdit(from, to, '');
  // Comments stay: only the member is removed, with the comma after it or, where there is none, the comma before it.
  const behind = /^(?:\s|#.*)*,/.exec(text.slice(end, inside.end))?.[0].length;
  const at = behind === undefined ? comma : end + behind - 1;
  return ok([textEdit(start, end, ''), ...(at === undefined ? [] : [textEdit(at, at + 1, '')])]);
}
