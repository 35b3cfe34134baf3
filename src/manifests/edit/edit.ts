import { type CST, isAlias, isMap, isSeq, type ParsedNode, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import type { Json } from '../../core/json.ts';
import type { PatchOp } from '../../core/patch.ts';
import type { Result } from '../../core/result.ts';
import { type AliasUse, keyOf, type MapPair, parseStream, printYaml, type Spot, type YamlDocument } from '../yaml.ts';

/**
 * Does to the text of a YAML (or JSON) stream what patches do to its documents, and nothing else: every line that no operation concerns
 * stays byte for byte, comments, quotes, indentation and line ends included.
 *
 * - A pair or an item goes with its own lines and the comment behind it; comments above the next one stay.
 * - What is added is written as its neighbours are: with their indentation, in flow or block style, as JSON in JSON.
 * - Where an operation would reach further places, because of an anchor, those are given copies of their own first.
 *
 * @param patches one for each document of the stream, in its order
 * @returns the text, or why it cannot be edited
 */
export function edit(text: string, patches: readonly (readonly PatchOp[])[]): Result<string, string> {
  let edited = text;
  let left: readonly Change[] = patches.flatMap((operations, document) =>
    operations.map((operation) => ({ document, operation, steps: stepsOf(operation) })),
  );
  while (left.length > 0) {
    const round = planRound(edited, left);
    if (!round.ok) return round;
    edited = splice(edited, round.value.cuts);
    left = round.value.left;
  }
  return { ok: true, value: edited };
}

/** An operation on its way into the text. */
interface Change {
  readonly document: number;
  readonly operation: PatchOp;
  readonly steps: readonly string[];
}

/** A stretch of the text, and what comes in its place. */
interface Cut {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

type Cuts = Result<readonly Cut[], string>;
type Collection = YAMLMap.Parsed | YAMLSeq.Parsed;

function stepsOf({ path }: PatchOp): string[] {
  return path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Plans all changes that do not get in each other's way; the rest waits until the text is read again. */
function planRound(text: string, changes: readonly Change[]): Result<{ readonly cuts: Cut[]; readonly left: Change[] }, string> {
  const { documents } = parseStream(text);
  const sheets = new Map<number, Sheet>();
  const cuts: Cut[] = [];
  const left: Change[] = [];
  // A key that a merge brings would stand twice if one round both wrote the merge out and set that key.
  const rounds = new Map<number, 'separates' | 'performs'>();
  for (const [index, change] of changes.entries()) {
    if (changes.slice(0, index).some((earlier) => interfere(earlier, change))) {
      left.push(change);
      continue;
    }
    const document = documents[change.document];
    if (document === undefined) return cannot(`there is no document ${change.document + 1} in the text`);
    const sheet = sheets.get(change.document) ?? sheetOf(text, document);
    sheets.set(change.document, sheet);

    const separation = separate(sheet, change);
    const planned = separation ?? perform(sheet, change);
    if (!planned.ok) return planned;
    const turn = separation === undefined ? 'performs' : 'separates';
    const isTurn = (rounds.get(change.document) ?? turn) === turn;
    const isFree = isTurn && !planned.value.some((cut) => cuts.some((taken) => cut.start <= taken.end && taken.start <= cut.end));
    if (isFree) {
      rounds.set(change.document, turn);
      cuts.push(...planned.value);
    }
    if (!isFree || separation !== undefined) left.push(change);
  }
  return { ok: true, value: { cuts, left } };
}

/** Whether the order of two operations matters: one is inside the other, both are in one collection, or one shifts the other's indices. */
function interfere(a: Change, b: Change): boolean {
  if (a.document !== b.document) return false;
  const reach = ({ steps }: Change): readonly string[] => (/^(?:\d+|-)$/.test(steps.at(-1) ?? '') ? steps.slice(0, -1) : steps);
  if (startsWith(a.steps, reach(b)) || startsWith(b.steps, reach(a))) return true;
  return a.steps.length === b.steps.length && startsWith(a.steps, b.steps.slice(0, -1));
}

function startsWith(steps: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((step, index) => steps[index] === step);
}

function splice(text: string, cuts: readonly Cut[]): string {
  let spliced = '';
  let at = 0;
  for (const { start, end, text: given } of [...cuts].sort((a, b) => a.start - b.start)) {
    spliced += text.slice(at, start) + given;
    at = end;
  }
  return spliced + text.slice(at);
}

/** A document on its text, and the habits of whoever wrote it. */
interface Sheet {
  readonly text: string;
  readonly document: YamlDocument;
  readonly lineBreak: string;
  /** Spaces by which a map stands deeper than the key it belongs to. */
  readonly indent: number;
  /** Whether lists stand deeper than their key. */
  readonly indentSeq: boolean;
  readonly isJson: boolean;
}

function sheetOf(text: string, document: YamlDocument): Sheet {
  let indent: number | undefined;
  let indentSeq: boolean | undefined;
  visit(document.root, {
    Pair(_, { srcToken }) {
      const { key, value } = (srcToken ?? {}) as CST.CollectionItem;
      if (key == null || value === undefined) return;
      const deeper = (offset: number): number => columnOf(text, offset) - columnOf(text, key.offset);
      if (value.type === 'block-map' && deeper(value.offset) > 0) indent ??= deeper(value.offset);
      if (value.type === 'block-seq') indentSeq ??= deeper(value.offset) > 0;
    },
  });
  const isJson = document.root !== null && isJsonText(text.slice(document.root.range[0], document.root.range[1]));
  return { text, document, lineBreak: text.includes('\r\n') ? '\r\n' : '\n', indent: indent ?? 2, indentSeq: indentSeq ?? false, isJson };
}

function isJsonText(text: string): boolean {
  if (!/^[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What must be copied out before an operation may be done: aliases and merges on its way, and aliases of what it changes. */
function separate(sheet: Sheet, { steps, operation }: Change): Cuts | undefined {
  const { root, aliases, merges } = sheet.document;
  const concerned = new Set<ParsedNode>();
  let node = root;
  let spot: Spot;
  for (const [depth, step] of steps.entries()) {
    const isLast = depth === steps.length - 1;
    if (node === null) break;
    concerned.add(node);
    if (isAlias(node)) {
      const use = aliases.find(({ alias }) => alias === node);
      return use === undefined ? undefined : copyOut(sheet, use);
    }
    const next = childOf(node, step, spot);
    if (next === undefined) {
      const isMerged = isMap(node) && Object.hasOwn(merges.get(node)?.entries ?? {}, step);
      if (isMerged && (!isLast || operation.op === 'remove')) return expandMerge(sheet, node as YAMLMap.Parsed, spot);
      node = null;
      break;
    }
    const isUncovered = isLast && operation.op === 'remove' && isMap(node) && merges.get(node)?.overridden.has(step);
    if (isUncovered) return expandMerge(sheet, node as YAMLMap.Parsed, spot);
    ({ node, spot } = next);
    // An `add` to a list moves what stands there, and changes nothing about it.
    if (isLast && !(operation.op === 'add' && spot?.kind === 'item')) {
      for (const each of within(node)) concerned.add(each);
    }
  }
  const removed = within(node);
  const use = aliases.find(({ target, alias }) => concerned.has(target) && !removed.has(alias));
  return use && copyOut(sheet, use);
}

function within(node: ParsedNode | null): Set<ParsedNode> {
  const nodes = new Set<ParsedNode>();
  if (node !== null) visit(node, { Node: (_, each) => void nodes.add(each as ParsedNode) });
  return nodes;
}

function childOf(node: ParsedNode, step: string, within: Spot): { readonly node: ParsedNode | null; readonly spot: Spot } | undefined {
  if (isMap(node)) {
    const map = node as YAMLMap.Parsed;
    const pair = map.items.find((each) => keyOf(each) === step);
    return pair && { node: pair.value, spot: { kind: 'value', map, pair, within } };
  }
  const index = Number(step);
  if (!isSeq(node) || !(index < node.items.length)) return undefined;
  const list = node as YAMLSeq.Parsed;
  return { node: list.items[index] ?? null, spot: { kind: 'item', list, index, within } };
}

function copyOut(sheet: Sheet, { mergedBy, spot, value }: AliasUse): Cuts {
  if (mergedBy === undefined) return replaceValue(sheet, spot, value);
  let map = spot;
  while (map !== undefined && !(map.kind === 'value' && map.map === mergedBy)) map = map.within;
  return expandMerge(sheet, mergedBy, map?.within);
}

/** Writes out what `<<` brings, in its place. */
function expandMerge(sheet: Sheet, map: YAMLMap.Parsed, spot: Spot): Cuts {
  const merge = sheet.document.merges.get(map);
  const members = membersOf(map);
  const member = merge && members[map.items.indexOf(merge.pair)];
  if (merge === undefined || member === undefined) return cannot('a merge key stands where it cannot be written out');
  if (Object.keys(merge.entries).length === 0) return removeMember(sheet, map, member.index, spot);
  const text = isFlow(map)
    ? printFlow(sheet, merge.entries).slice(1, -1)
    : printBlock(sheet, merge.entries, columnOf(sheet.text, member.start));
  return cutOut(member.start, member.end, text);
}

function perform(sheet: Sheet, { steps, operation }: Change): Cuts {
  const last = steps.at(-1);
  if (last === undefined) return cannot('a whole document cannot be replaced');
  let node = sheet.document.root;
  let spot: Spot;
  for (const step of steps.slice(0, -1)) {
    const next = node === null ? undefined : childOf(node, step, spot);
    if (next === undefined) return cannot(`${operation.path} leads through ${step}, which is not there`);
    ({ node, spot } = next);
  }
  if (!isMap(node) && !isSeq(node)) return cannot(`${operation.path} leads into something that is neither a map nor a list`);
  const collection = node as Collection;
  const target = childOf(collection, last, spot);
  if (operation.op === 'remove') {
    if (target?.spot === undefined) return cannot(`${operation.path} is not there`);
    return removeMember(sheet, collection, indexOf(target.spot), spot);
  }
  if (isSeq(collection) && operation.op === 'add') {
    return addMember(sheet, collection, last === '-' ? collection.items.length : Number(last), operation.value, spot);
  }
  if (target !== undefined) return replaceValue(sheet, target.spot, operation.value);
  return addMember(sheet, collection, collection.items.length, { [last]: operation.value }, spot);
}

function indexOf(spot: NonNullable<Spot>): number {
  return spot.kind === 'item' ? spot.index : spot.map.items.indexOf(spot.pair);
}

/** A pair or an item as it stands in the text, from its first character to its last; the comment behind it is not part of it. */
interface Member {
  readonly index: number;
  readonly item: CST.CollectionItem;
  readonly start: number;
  readonly end: number;
}

/** In the collection's order; empty where the text has no such collection of its own: `[a: b]` holds a map without brackets. */
function membersOf(collection: Collection): readonly Member[] {
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
const isSignificant = ({ type }: { readonly type: string }): boolean => SIGNIFICANT.has(type);

function endOf({ start, key, sep, value }: CST.CollectionItem): number {
  if (value !== undefined && !isBlank(value)) return contentEnd(value);
  const last = sep?.findLast(isSignificant) ?? key ?? start.findLast(isSignificant);
  return last == null ? 0 : contentEnd(last);
}

const isBlank = (token: CST.Token): boolean => token.type === 'scalar' && token.source === '';

function contentEnd(token: CST.Token): number {
  switch (token.type) {
    case 'block-map':
    case 'block-seq':
      return Math.max(token.offset, ...(token.items as CST.CollectionItem[]).map(endOf));
    case 'flow-collection':
      return token.end[0] === undefined ? token.offset + 1 : token.end[0].offset + 1;
    case 'block-scalar': {
      const header = token.props.map((prop) => ('source' in prop ? prop.source : '')).join('');
      // `+` keeps the empty lines at the end; without it they belong to nobody.
      const content = /^[|>]\d?\+/.test(header) ? token.source.replace(/\r?\n$/, '') : token.source.trimEnd();
      return token.offset + header.length + (content === '' ? -1 : content.length);
    }
    default:
      return token.offset + ('source' in token ? token.source.length : 0);
  }
}

const isFlow = (collection: Collection): boolean => collection.srcToken?.type === 'flow-collection';

/** The stretch between a flow collection's brackets. */
function insideOf(collection: Collection): { readonly start: number; readonly end: number } {
  const token = collection.srcToken as CST.FlowCollection;
  return { start: token.start.offset + 1, end: contentEnd(token) - 1 };
}

/** The text has no collection here that has a beginning and an end of its own, or its keys are written with `?`. */
function isEditable(collection: Collection): boolean {
  const members = membersOf(collection);
  return (
    (isFlow(collection) || members.length > 0) &&
    members.length === collection.items.length &&
    !members.some(({ item }) => item.start.some(({ type }) => type === 'explicit-key-ind'))
  );
}

const NOT_EDITABLE = 'it stands in a collection whose keys are written with "?" or without brackets: write it in the usual way';

function replaceValue(sheet: Sheet, spot: Spot, value: Json): Cuts {
  if (spot === undefined) return cannot('a whole document cannot be replaced');
  const collection = spot.kind === 'value' ? spot.map : spot.list;
  const member = membersOf(collection)[indexOf(spot)];
  if (member === undefined || !isEditable(collection)) return cannot(NOT_EDITABLE);
  const { item, end } = member;
  const isScalar = typeof value !== 'object' || value === null;
  const isBare = ![...item.start, ...(item.sep ?? [])].some(({ type }) => type === 'anchor' || type === 'tag');

  const old = item.value;
  if (isScalar && isBare && old !== undefined && 'source' in old && old.type !== 'block-scalar' && !isBlank(old)) {
    return cutOut(old.offset, end, printScalar(sheet, value, old, isFlow(collection)));
  }
  if (!isScalar && isBare && old?.type === 'flow-collection' && !isFlow(collection))
    return cutOut(old.offset, end, printFlow(sheet, value));
  if (isFlow(collection)) {
    const print = printFlow(sheet, value, lineIndent(sheet.text, member.start), isSpread(sheet, collection));
    if (spot.kind === 'item') return cutOut(member.start, end, print);
    const colon = item.sep?.find(({ type }) => type === 'map-value-ind');
    if (colon === undefined) return cutOut(end, end, `: ${print}`);
    const from = [...(item.sep ?? []), item.value].find((token) => token != null && token.offset > colon.offset && !isSpace(token))?.offset;
    return from === undefined || from >= end ? cutOut(colon.offset + 1, end, ` ${print}`) : cutOut(from, end, print);
  }
  return replaceInBlock(sheet, member, spot.kind === 'value' ? { '': value } : [value]);
}

const isSpace = ({ type }: CST.Token): boolean => type === 'space' || type === 'newline' || type === 'comment';

/** @param wrapped the value alone in its kind of collection, so that its print has the head that stands in the text already */
function replaceInBlock(sheet: Sheet, { item, start, end }: Member, wrapped: Json): Cuts {
  const { text } = sheet;
  const tokens = item.sep ?? item.start;
  const indicator = tokens.find(({ type }) => type === 'map-value-ind' || type === 'seq-item-ind');
  if (indicator === undefined) return cannot(NOT_EDITABLE);
  const print = printBlock(sheet, wrapped, columnOf(text, start)).replace(/^(?:"":|-)/, '');
  const isBroken = /^\r?\n/.test(print);
  const head = indicator.offset + 1;
  const headLineEnd = eolAt(text, head);
  const isBelow = item.value !== undefined && !isBlank(item.value) && item.value.offset > headLineEnd;
  const props = tokens.findLast(({ type, offset }) => (type === 'anchor' || type === 'tag') && offset < headLineEnd && offset >= head);
  const headEnd = isBelow ? (props === undefined ? head : contentEnd(props)) : end;
  // A comment on the key's line stays there, whether what follows is on that line or below.
  const tail = isBelow ? headLineEnd : eolAt(text, end);
  return { ok: true, value: [cut(head, headEnd, isBroken ? '' : print), cut(tail, eolAt(text, end), isBroken ? print : '')] };
}

function addMember(sheet: Sheet, collection: Collection, index: number, wrapped: Json, spot: Spot): Cuts {
  const given = isSeq(collection) ? [wrapped] : wrapped;
  const members = membersOf(collection);
  if (!isEditable(collection)) return cannot(NOT_EDITABLE);
  if (isFlow(collection)) return addToFlow(sheet, collection, index, given, spot);

  const { text, lineBreak } = sheet;
  const before = members[index - 1];
  const first = members[0] as Member;
  const column = columnOf(text, first.start);
  const print = printBlock(sheet, given, column);
  if (before === undefined) return cutOut(first.start, first.start, `${print}${lineBreak}${' '.repeat(column)}`);
  const end = endOfLines(text, before.end, column);
  return cutOut(end, end, `${lineBreak}${' '.repeat(column)}${print}`);
}

function addToFlow(sheet: Sheet, collection: Collection, index: number, given: Json, spot: Spot): Cuts {
  const { text } = sheet;
  const members = membersOf(collection);
  const inside = insideOf(collection);
  const [first, second] = members;
  if (first === undefined) {
    const isSpreadOut = spot !== undefined && sheet.isJson && isSpread(sheet, spot.kind === 'value' ? spot.map : spot.list);
    const print = printFlow(sheet, given, lineIndent(text, inside.start), isSpreadOut);
    return cutOut(inside.start, inside.end, print.slice(1, -1));
  }
  const gap =
    second === undefined ? `,${/^\s*\n\s*/.exec(text.slice(inside.start, first.start))?.[0] ?? ' '}` : text.slice(first.end, second.start);
  const separator = /^\s*,\s*$/.test(gap) ? gap : `,${sheet.lineBreak}${lineIndent(text, first.start)}`;
  // What is printed is wrapped once more than what comes into the text.
  const lead = lineIndent(text, first.start).slice(unitOf(text).length);
  const print = printFlow(sheet, given, lead, separator.includes('\n')).slice(1, -1).trim();
  const before = members[index - 1];
  if (before === undefined) return cutOut(first.start, first.start, print + separator);

  // A comment behind the last member belongs to it, so that the comma goes before and the new one on the line after.
  const rest = text.slice(before.end, Math.min(eolAt(text, before.end), members[index]?.start ?? inside.end));
  if (!rest.includes('#')) return cutOut(before.end, before.end, separator + print);
  const end = before.end + rest.length;
  const hasComma = rest.trimStart().startsWith(',');
  const comma = hasComma || index < members.length ? '' : ',';
  const below = `${sheet.lineBreak}${lineIndent(text, first.start)}${print}${index < members.length ? ',' : ''}`;
  return { ok: true, value: [cut(before.end, before.end, comma), cut(end, end, below)] };
}

function removeMember(sheet: Sheet, collection: Collection, index: number, spot: Spot): Cuts {
  const members = membersOf(collection);
  const member = members[index];
  if (member === undefined || !isEditable(collection)) return cannot(NOT_EDITABLE);
  if (isFlow(collection)) return removeFromFlow(sheet, collection, members, member);
  if (members.length === 1) return emptyBlock(sheet, collection, member, spot);

  const { text } = sheet;
  if (startsItsLine(text, member.start)) return { ok: true, value: [linesOf(text, member)] };
  // Behind its parent's dash: the next one moves up, unless comments stand in between.
  const next = (members[index + 1] as Member).start;
  if (text.slice(eolAt(text, member.end), next).trim() === '') return cutOut(member.start, next, '');
  return cutOut(member.start - (/ *$/.exec(text.slice(0, member.start))?.[0].length ?? 0), eolAt(text, member.end), '');
}

/** What is left of a collection without its last member must say that it is one. */
function emptyBlock({ text }: Sheet, collection: Collection, member: Member, spot: Spot): Cuts {
  const brackets = isMap(collection) ? '{}' : '[]';
  if (spot === undefined || !startsItsLine(text, member.start)) return cutOut(member.start, member.end, brackets);
  const parent = membersOf(spot.kind === 'value' ? spot.map : spot.list)[indexOf(spot)];
  const head = (parent?.item.sep ?? parent?.item.start)?.findLast(isSignificant);
  if (head === undefined) return cannot(NOT_EDITABLE);
  return { ok: true, value: [cut(contentEnd(head), contentEnd(head), ` ${brackets}`), linesOf(text, member)] };
}

function removeFromFlow({ text }: Sheet, collection: Collection, members: readonly Member[], { index, start, end }: Member): Cuts {
  const before = members[index - 1];
  const after = members[index + 1];
  const inside = insideOf(collection);
  const isAlone = before === undefined && after === undefined;
  const [from, to] = isAlone ? [inside.start, inside.end] : after === undefined ? [before?.end ?? start, end] : [start, after.start];
  if (!(text.slice(from, start) + text.slice(end, to)).includes('#')) return cutOut(from, to, '');
  // Comments stay: only the member goes, and the comma behind it, or, where there is none, the one before.
  const behind = /^(?:\s|#.*)*,/.exec(text.slice(end, inside.end))?.[0].length;
  const comma = behind === undefined ? members[index]?.item.start.find(({ type }) => type === 'comma')?.offset : end + behind - 1;
  return { ok: true, value: [cut(start, end, ''), ...(comma === undefined ? [] : [cut(comma, comma + 1, '')])] };
}

function printBlock({ lineBreak, indent, indentSeq }: Sheet, value: Json, column: number): string {
  return printYaml(value, { indent, indentSeq }).replaceAll('\n', lineBreak + ' '.repeat(column));
}

/** @param isSpreadOut whether JSON goes over several lines, as it does around it */
function printFlow({ isJson, text, lineBreak }: Sheet, value: Json, lead = '', isSpreadOut = false): string {
  // As an item, because text that is no item may hold what ends one.
  if (!isJson) return printYaml([value], { collectionStyle: 'flow', flowCollectionPadding: false }).slice(1, -1);
  if (!isSpreadOut) return JSON.stringify(value);
  return JSON.stringify(value, null, unitOf(text)).replaceAll('\n', lineBreak + lead);
}

/** By what a JSON text indents its first level. */
function unitOf(text: string): string {
  return /\n([ \t]+)/.exec(text)?.[1] ?? '  ';
}

function printScalar(sheet: Sheet, value: Json, old: CST.Token, isInFlow: boolean): string {
  if (typeof value === 'string' && old.type === 'double-quoted-scalar') return JSON.stringify(value);
  if (typeof value === 'string' && old.type === 'single-quoted-scalar' && /^[ -~]*$/.test(value)) return `'${value.replaceAll("'", "''")}'`;
  return isInFlow ? printFlow(sheet, value) : printYaml(value, {});
}

function isSpread({ text }: Sheet, collection: Collection): boolean {
  const { start, end } = insideOf(collection);
  return text.slice(start, end).includes('\n');
}

function eolAt(text: string, offset: number): number {
  const found = text.indexOf('\n', offset);
  if (found < 0) return text.length;
  return text[found - 1] === '\r' && found > offset ? found - 1 : found;
}

function lineStart(text: string, offset: number): number {
  const found = text.lastIndexOf('\n', offset - 1) + 1;
  return found === 0 && text.startsWith('\ufeff') ? 1 : found;
}

function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

function lineIndent(text: string, offset: number): string {
  return /[ \t]*/.exec(text.slice(lineStart(text, offset)))?.[0] ?? '';
}

function startsItsLine(text: string, offset: number): boolean {
  return text.slice(lineStart(text, offset), offset).trim() === '';
}

/** The end of a member's last line; comments below it that are indented deeper are its own too. */
function endOfLines(text: string, end: number, column: number): number {
  let last = eolAt(text, end);
  for (let at = last; at < text.length; ) {
    const start = text.indexOf('\n', at) + 1;
    if (start === 0) break;
    at = eolAt(text, start);
    const line = text.slice(start, at);
    if (line.trimStart().startsWith('#') && line.length - line.trimStart().length > column) last = at;
    else if (line.trim() !== '') break;
  }
  return last;
}

/** A member's lines with the break that ends them; the last lines of a text that has none give up the break before. */
function linesOf(text: string, { start, end }: Member): Cut {
  const from = lineStart(text, start);
  const to = endOfLines(text, end, columnOf(text, start));
  const next = text.indexOf('\n', to) + 1;
  if (next > 0) return cut(from, next, '');
  return cut(from === 0 ? 0 : text[from - 2] === '\r' ? from - 2 : from - 1, to, '');
}

function cut(start: number, end: number, text: string): Cut {
  return { start, end, text };
}

function cutOut(start: number, end: number, text: string): Cuts {
  return { ok: true, value: [cut(start, end, text)] };
}

function cannot(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}
