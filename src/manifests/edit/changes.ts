import { type CST, isMap, isSeq } from 'yaml';
import type { Json } from '../../core/json.ts';
import { err, ok } from '../../core/result.ts';
import type { NodeLocation } from '../yaml.ts';
import type { EditContext } from './context.ts';
import {
  type Collection,
  collectionAt,
  contentEnd,
  indexOf,
  insideOf,
  isBlank,
  isEditable,
  isFlow,
  isMultilineFlow,
  isSignificant,
  type Member,
  membersOf,
  NOT_EDITABLE,
  removeLines,
} from './members.ts';
import { printBlock, printFlow, printScalar, unitOf } from './print.ts';
import { columnOf, endOfLines, eolAt, lineIndent, oneEdit, type PlannedEdits, startsItsLine, textEdit } from './text.ts';

export function replaceValue(context: EditContext, location: NodeLocation, value: Json): PlannedEdits {
  if (location === undefined) return err('a whole document cannot be replaced');
  const collection = collectionAt(location);
  const member = membersOf(collection)[indexOf(location)];
  if (member === undefined || !isEditable(collection)) return err(NOT_EDITABLE);
  const { item, end } = member;
  const isScalar = typeof value !== 'object' || value === null;
  const isBare = ![...item.start, ...(item.sep ?? [])].some(({ type }) => type === 'anchor' || type === 'tag');

  const old = item.value;
  if (isScalar && isBare && old !== undefined && 'source' in old && old.type !== 'block-scalar' && !isBlank(old)) {
    return oneEdit(old.offset, end, printScalar(context, value, { old, isInFlow: isFlow(collection) }));
  }
  if (!isScalar && isBare && old?.type === 'flow-collection' && !isFlow(collection))
    return oneEdit(old.offset, end, printFlow(context, value));
  if (isFlow(collection)) {
    const style = { lead: lineIndent(context.text, member.start), isMultiline: isMultilineFlow(context, collection) };
    const print = printFlow(context, value, style);
    if (location.kind === 'item') return oneEdit(member.start, end, print);
    const colon = item.sep?.find(({ type }) => type === 'map-value-ind');
    if (colon === undefined) return oneEdit(end, end, `: ${print}`);
    const from = [...(item.sep ?? []), item.value].find((token) => token != null && token.offset > colon.offset && !isSpace(token))?.offset;
    return from === undefined || from >= end ? oneEdit(colon.offset + 1, end, ` ${print}`) : oneEdit(from, end, print);
  }
  return replaceInBlock(context, member, location.kind === 'value' ? { '': value } : [value]);
}

const isSpace = ({ type }: CST.Token): boolean => type === 'space' || type === 'newline' || type === 'comment';

/** @param wrapped a collection with the value as its only member. Its printed text starts with a key or a dash, which the edited text has already. */
function replaceInBlock(context: EditContext, { item, start, end }: Member, wrapped: Json): PlannedEdits {
  const { text } = context;
  const tokens = item.sep ?? item.start;
  const indicator = tokens.find(({ type }) => type === 'map-value-ind' || type === 'seq-item-ind');
  if (indicator === undefined) return err(NOT_EDITABLE);
  const print = printBlock(context, wrapped, columnOf(text, start)).replace(/^(?:"":|-)/, '');
  const isBroken = /^\r?\n/.test(print);
  const head = indicator.offset + 1;
  const headLineEnd = eolAt(text, head);
  const isBelow = item.value !== undefined && !isBlank(item.value) && item.value.offset > headLineEnd;
  const props = tokens.findLast(({ type, offset }) => (type === 'anchor' || type === 'tag') && offset < headLineEnd && offset >= head);
  const headEnd = isBelow ? (props === undefined ? head : contentEnd(props)) : end;
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
export function addMember(context: EditContext, collection: Collection, { index, value }: NewMember, location: NodeLocation): PlannedEdits {
  const wrapped = isSeq(collection) ? [value] : value;
  const members = membersOf(collection);
  if (!isEditable(collection)) return err(NOT_EDITABLE);
  if (isFlow(collection)) return addToFlow(context, collection, { index, value: wrapped }, location);

  const { text, lineBreak } = context;
  const before = members[index - 1];
  const first = members[0] as Member;
  const column = columnOf(text, first.start);
  const print = printBlock(context, wrapped, column);
  if (before === undefined) return oneEdit(first.start, first.start, `${print}${lineBreak}${' '.repeat(column)}`);
  const end = endOfLines(text, before.end, column);
  return oneEdit(end, end, `${lineBreak}${' '.repeat(column)}${print}`);
}

/** @param member its value is wrapped: a list with the item, or a map with the pair */
function addToFlow(context: EditContext, collection: Collection, { index, value }: NewMember, location: NodeLocation): PlannedEdits {
  const { text } = context;
  const members = membersOf(collection);
  const inside = insideOf(collection);
  const [first, second] = members;
  if (first === undefined) {
    const isMultiline = location !== undefined && context.isJson && isMultilineFlow(context, collectionAt(location));
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

export function removeMember(context: EditContext, collection: Collection, index: number, location: NodeLocation): PlannedEdits {
  const members = membersOf(collection);
  const member = members[index];
  if (member === undefined || !isEditable(collection)) return err(NOT_EDITABLE);
  if (isFlow(collection)) return removeFromFlow(context, collection, members, member);
  if (members.length === 1) return emptyBlock(context, collection, member, location);

  const { text } = context;
  if (startsItsLine(text, member.start)) return ok([removeLines(text, member)]);
  // The member follows the dash of its parent: the next member moves up, unless comments are between them.
  const next = (members[index + 1] as Member).start;
  if (text.slice(eolAt(text, member.end), next).trim() === '') return oneEdit(member.start, next, '');
  return oneEdit(member.start - (/ *$/.exec(text.slice(0, member.start))?.[0].length ?? 0), eolAt(text, member.end), '');
}

/** A block collection without members is written as `{}` or `[]`. */
function emptyBlock({ text }: EditContext, collection: Collection, member: Member, location: NodeLocation): PlannedEdits {
  const brackets = isMap(collection) ? '{}' : '[]';
  if (location === undefined || !startsItsLine(text, member.start)) return oneEdit(member.start, member.end, brackets);
  const parent = membersOf(collectionAt(location))[indexOf(location)];
  const head = (parent?.item.sep ?? parent?.item.start)?.findLast(isSignificant);
  if (head === undefined) return err(NOT_EDITABLE);
  return ok([textEdit(contentEnd(head), contentEnd(head), ` ${brackets}`), removeLines(text, member)]);
}

function removeFromFlow(
  { text }: EditContext,
  collection: Collection,
  members: readonly Member[],
  { index, start, end }: Member,
): PlannedEdits {
  const before = members[index - 1];
  const after = members[index + 1];
  const inside = insideOf(collection);
  const isAlone = before === undefined && after === undefined;
  const [from, to] = isAlone ? [inside.start, inside.end] : after === undefined ? [before?.end ?? start, end] : [start, after.start];
  if (!(text.slice(from, start) + text.slice(end, to)).includes('#')) return oneEdit(from, to, '');
  // Comments stay: only the member is removed, with the comma after it or, where there is none, the comma before it.
  const behind = /^(?:\s|#.*)*,/.exec(text.slice(end, inside.end))?.[0].length;
  const comma = behind === undefined ? members[index]?.item.start.find(({ type }) => type === 'comma')?.offset : end + behind - 1;
  return ok([textEdit(start, end, ''), ...(comma === undefined ? [] : [textEdit(comma, comma + 1, '')])]);
}
