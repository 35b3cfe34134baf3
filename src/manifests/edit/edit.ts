import { isAlias, isMap, isSeq, type ParsedNode, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import type { PatchOp } from '../../core/patch.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { type AliasUse, keyOf, type NodeLocation, parseStream } from '../yaml.ts';
import { addMember, removeMember, replaceValue } from './changes.ts';
import { contextOf, type EditContext } from './context.ts';
import { type Collection, indexOf, isFlow, membersOf } from './members.ts';
import { printBlock, printFlow } from './print.ts';
import { applyEdits, columnOf, oneEdit, type PlannedEdits, type TextEdit } from './text.ts';

/**
 * Applies patches to the text of a YAML (or JSON) stream. Every line that no operation affects stays byte for byte, with its comments,
 * quotes, indentation and line ends. The `yaml` package prints a whole document: it keeps comments, but may change quotes, indentation and
 * line breaks.
 *
 * - A pair or an item is removed with its lines, the comment after it, and the comments directly above it. Comments above an empty line stay.
 * - An added value is written in the style of its neighbours: their indentation, flow or block style, JSON in JSON.
 * - If an operation would also change other places through an anchor, the values of those places are written out first.
 *
 * @param patches one for each document of the stream, in order
 * @returns the edited text, or why it cannot be edited
 */
export function edit(text: string, patches: readonly (readonly PatchOp[])[]): Result<string, string> {
  let edited = text;
  let pending: readonly PendingEdit[] = patches.flatMap((operations, document) =>
    operations.map((operation) => ({ document, operation, steps: stepsOf(operation) })),
  );
  while (pending.length > 0) {
    const round = planRound(edited, pending);
    if (!round.ok) return round;
    edited = applyEdits(edited, round.value.edits);
    pending = round.value.remaining;
  }
  return ok(edited);
}

/** An operation that is not in the text yet. */
interface PendingEdit {
  readonly document: number;
  readonly operation: PatchOp;
  readonly steps: readonly string[];
}

function stepsOf({ path }: PatchOp): string[] {
  return path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Plans all operations that are independent of each other; the remaining ones are planned when the text is parsed again. */
function planRound(
  text: string,
  pending: readonly PendingEdit[],
): Result<{ readonly edits: TextEdit[]; readonly remaining: PendingEdit[] }, string> {
  const { documents } = parseStream(text);
  const contexts = new Map<number, EditContext>();
  const remaining: PendingEdit[] = [];
  // One round either writes out merges or performs operations: doing both could write a key of a merge twice.
  const rounds = new Map<number, 'separates' | 'performs'>();
  // Documents have no text in common, so that only edits of the same one are compared.
  const earlier = new Map<number, PendingEdit[]>();
  const planned = new Map<number, TextEdit[]>();
  for (const pendingEdit of pending) {
    const before = listAt(earlier, pendingEdit.document);
    const mustWait = before.some((each) => interfere(each, pendingEdit));
    before.push(pendingEdit);
    if (mustWait) {
      remaining.push(pendingEdit);
      continue;
    }
    const document = documents[pendingEdit.document];
    if (document === undefined) return err(`there is no document ${pendingEdit.document + 1} in the text`);
    const context = contexts.get(pendingEdit.document) ?? contextOf(text, document);
    contexts.set(pendingEdit.document, context);

    const separation = separate(context, pendingEdit);
    const plan = separation ?? perform(context, pendingEdit);
    if (!plan.ok) return plan;
    const turn = separation === undefined ? 'performs' : 'separates';
    const isTurn = (rounds.get(pendingEdit.document) ?? turn) === turn;
    const taken = listAt(planned, pendingEdit.document);
    const isFree = isTurn && !plan.value.some((edit) => taken.some((each) => edit.start <= each.end && each.start <= edit.end));
    if (isFree) {
      rounds.set(pendingEdit.document, turn);
      taken.push(...plan.value);
    }
    if (!isFree || separation !== undefined) remaining.push(pendingEdit);
  }
  return ok({ edits: [...planned.values()].flat(), remaining });
}

function listAt<T>(lists: Map<number, T[]>, key: number): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

/** Whether the order of two operations matters: one is inside the other, both are in one collection, or one shifts the indices of the other. */
function interfere(a: PendingEdit, b: PendingEdit): boolean {
  if (a.document !== b.document) return false;
  const reach = ({ steps }: PendingEdit): readonly string[] => (/^(?:\d+|-)$/.test(steps.at(-1) ?? '') ? steps.slice(0, -1) : steps);
  if (startsWith(a.steps, reach(b)) || startsWith(b.steps, reach(a))) return true;
  return a.steps.length === b.steps.length && startsWith(a.steps, b.steps.slice(0, -1));
}

function startsWith(steps: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((step, index) => steps[index] === step);
}

/** The values to write out before an operation is performed: aliases and merges on its path, and aliases of the value that it changes. */
function separate(context: EditContext, { steps, operation }: PendingEdit): PlannedEdits | undefined {
  const { root, aliases, merges } = context.document;
  const affected = new Set<ParsedNode>();
  let node = root;
  let location: NodeLocation;
  for (const [depth, step] of steps.entries()) {
    const isLast = depth === steps.length - 1;
    if (node === null) break;
    affected.add(node);
    if (isAlias(node)) {
      const use = aliases.find(({ alias }) => alias === node);
      return use === undefined ? undefined : writeOut(context, use);
    }
    const next = childOf(node, step, location);
    if (next === undefined) {
      const isMerged = isMap(node) && Object.hasOwn(merges.get(node)?.entries ?? {}, step);
      if (isMerged && (!isLast || operation.op === 'remove')) return expandMerge(context, node as YAMLMap.Parsed, location);
      node = null;
      break;
    }
    const isUncovered = isLast && operation.op === 'remove' && isMap(node) && merges.get(node)?.overridden.has(step);
    if (isUncovered) return expandMerge(context, node as YAMLMap.Parsed, location);
    ({ node, location } = next);
    // An `add` to a list moves the item at that index without changing it.
    if (isLast && !(operation.op === 'add' && location?.kind === 'item')) {
      for (const each of nodesBelow(node)) affected.add(each);
    }
  }
  const removed = nodesBelow(node);
  const use = aliases.find(({ target, alias }) => affected.has(target) && !removed.has(alias));
  return use && writeOut(context, use);
}

function nodesBelow(node: ParsedNode | null): Set<ParsedNode> {
  const nodes = new Set<ParsedNode>();
  if (node !== null) visit(node, { Node: (_, each) => void nodes.add(each as ParsedNode) });
  return nodes;
}

function childOf(
  node: ParsedNode,
  step: string,
  parent: NodeLocation,
): { readonly node: ParsedNode | null; readonly location: NodeLocation } | undefined {
  if (isMap(node)) {
    const map = node as YAMLMap.Parsed;
    const pair = map.items.find((each) => keyOf(each) === step);
    return pair && { node: pair.value, location: { kind: 'value', map, pair, parent } };
  }
  const index = Number(step);
  if (!isSeq(node) || !(index < node.items.length)) return undefined;
  const list = node as YAMLSeq.Parsed;
  return { node: list.items[index] ?? null, location: { kind: 'item', list, index, parent } };
}

function writeOut(context: EditContext, { mergedBy, location, value }: AliasUse): PlannedEdits {
  if (mergedBy === undefined) return replaceValue(context, location, value);
  let map = location;
  while (map !== undefined && !(map.kind === 'value' && map.map === mergedBy)) map = map.parent;
  return expandMerge(context, mergedBy, map?.parent);
}

/** Replaces `<<` with the pairs that it merges. */
function expandMerge(context: EditContext, map: YAMLMap.Parsed, location: NodeLocation): PlannedEdits {
  const merge = context.document.merges.get(map);
  const members = membersOf(map);
  const member = merge && members[map.items.indexOf(merge.pair)];
  if (merge === undefined || member === undefined) return err('a merge key is at a place where it cannot be written out');
  if (Object.keys(merge.entries).length === 0) return removeMember(context, map, member.index, location);
  const text = isFlow(map)
    ? printFlow(context, merge.entries).slice(1, -1)
    : printBlock(context, merge.entries, columnOf(context.text, member.start));
  return oneEdit(member.start, member.end, text);
}

function perform(context: EditContext, { steps, operation }: PendingEdit): PlannedEdits {
  const last = steps.at(-1);
  if (last === undefined) return err('a whole document cannot be replaced');
  let node = context.document.root;
  let location: NodeLocation;
  for (const step of steps.slice(0, -1)) {
    const next = node === null ? undefined : childOf(node, step, location);
    if (next === undefined) return err(`${operation.path} leads through ${step}, which is not there`);
    ({ node, location } = next);
  }
  if (!isMap(node) && !isSeq(node)) return err(`${operation.path} leads into something that is neither a map nor a list`);
  const collection = node as Collection;
  const target = childOf(collection, last, location);
  if (operation.op === 'remove') {
    if (target?.location === undefined) return err(`${operation.path} is not there`);
    return removeMember(context, collection, indexOf(target.location), location);
  }
  if (isSeq(collection) && operation.op === 'add') {
    return addMember(
      context,
      collection,
      { index: last === '-' ? collection.items.length : Number(last), value: operation.value },
      location,
    );
  }
  if (target !== undefined) return replaceValue(context, target.location, operation.value);
  return addMember(context, collection, { index: collection.items.length, value: { [last]: operation.value } }, location);
}
