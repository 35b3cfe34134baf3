import type { PatchOp } from '../../core/patch.ts';
import { err, ok, type Result } from '../../core/result.ts';
import { readDocument } from '../yaml/read.ts';
import type { YamlDocument } from '../yaml/stream.ts';
import type { AliasUse, NodeLocation, YamlMap, YamlNode } from '../yaml/tree.ts';
import { addMember, removeMember, replaceValue } from './changes.ts';
import { contextOf, type EditContext } from './context.ts';
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
 * @param documents of the text
 * @param patches one for each document, in their order
 * @returns the edited text, or why it cannot be edited
 */
export function edit(text: string, documents: readonly YamlDocument[], patches: readonly (readonly PatchOp[])[]): Result<string, string> {
  const edits: TextEdit[] = [];
  for (const [index, operations] of patches.entries()) {
    if (operations.length === 0) continue;
    const document = documents[index];
    if (document === undefined) return err(`there is no document ${index + 1} in the text`);
    const edited = editDocument(document, operations);
    if (!edited.ok) return edited;
    const { start, text: old } = document.part;
    edits.push({ start, end: start + old.length, text: edited.value });
  }
  return ok(applyEdits(text, edits));
}

function editDocument({ part, tree }: YamlDocument, operations: readonly PatchOp[]): Result<string, string> {
  let context = contextOf(part.text, tree());
  let pending: readonly PendingEdit[] = operations.map((operation) => ({ operation, steps: stepsOf(operation) }));
  for (;;) {
    const round = planRound(context, pending);
    if (!round.ok) return round;
    const edited = applyEdits(context.text, round.value.edits);
    pending = round.value.remaining;
    if (pending.length === 0) return ok(edited);
    const again = readDocument(edited);
    if (again.document === undefined || again.problems.length > 0) return err('an edit has made the document unreadable');
    context = contextOf(edited, again.document);
  }
}

/** An operation that is not in the text yet. */
interface PendingEdit {
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
  context: EditContext,
  pending: readonly PendingEdit[],
): Result<{ readonly edits: TextEdit[]; readonly remaining: PendingEdit[] }, string> {
  const remaining: PendingEdit[] = [];
  const earlier: PendingEdit[] = [];
  const planned: PlacedEdit[] = [];
  // One round either writes out merges or performs operations: doing both could write a key of a merge twice.
  let turn: 'separates' | 'performs' | undefined;
  for (const pendingEdit of pending) {
    const mustWait = earlier.some((each) => interfere(each, pendingEdit));
    earlier.push(pendingEdit);
    if (mustWait) {
      remaining.push(pendingEdit);
      continue;
    }
    const separation = separate(context, pendingEdit);
    const plan = separation ?? perform(context, pendingEdit);
    if (!plan.ok) return plan;
    const wanted = separation === undefined ? 'performs' : 'separates';
    const isFree = (turn ?? wanted) === wanted && !plan.value.some((edit) => planned.some((each) => meet(edit, each.edit)));
    if (isFree) {
      turn = wanted;
      planned.push(...plan.value.map((edit) => ({ edit, depth: pendingEdit.steps.length })));
    }
    if (!isFree || separation !== undefined) remaining.push(pendingEdit);
  }
  // Of the lines that are added at one offset, those of the inner collection come first.
  const edits = planned.sort((a, b) => b.depth - a.depth);
  return ok({ edits: edits.map(({ edit }) => edit), remaining });
}

interface PlacedEdit {
  readonly edit: TextEdit;
  /** Number of steps from the root to the value. */
  readonly depth: number;
}

/** Whether two edits touch, unless both only add lines. */
function meet(a: TextEdit, b: TextEdit): boolean {
  if (a.addsLines === true && b.addsLines === true) return false;
  return a.start <= b.end && b.start <= a.end;
}

/**
 * Whether the order of two operations matters: one is inside the other, one shifts the indices of the other, or one removes a member of a map that the
 * other changes, which may leave the map empty.
 */
function interfere(a: PendingEdit, b: PendingEdit): boolean {
  const reach = ({ steps }: PendingEdit): readonly string[] => (/^(?:\d+|-)$/.test(steps.at(-1) ?? '') ? steps.slice(0, -1) : steps);
  if (startsWith(a.steps, reach(b)) || startsWith(b.steps, reach(a))) return true;
  const isRemoved = a.operation.op === 'remove' || b.operation.op === 'remove';
  return isRemoved && a.steps.length === b.steps.length && startsWith(a.steps, b.steps.slice(0, -1));
}

function startsWith(steps: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((step, index) => steps[index] === step);
}

/** The values to write out before an operation is performed: aliases and merges on its path, and aliases of the value that it changes. */
function separate(context: EditContext, { steps, operation }: PendingEdit): PlannedEdits | undefined {
  const { root, aliases, merges } = context.tree;
  if (aliases.length === 0 && merges.size === 0) return undefined;
  const affected = new Set<YamlNode>();
  let node: YamlNode | undefined = root ?? undefined;
  let location: NodeLocation;
  for (const [depth, step] of steps.entries()) {
    const isLast = depth === steps.length - 1;
    if (node === undefined) break;
    affected.add(node);
    if (node.kind === 'alias') {
      const use = aliases.find(({ alias }) => alias === node);
      return use === undefined ? undefined : writeOut(context, use);
    }
    const next = childOf(node, step, location);
    if (next === undefined) {
      const isMerged = node.kind === 'map' && Object.hasOwn(merges.get(node)?.entries ?? {}, step);
      if (isMerged && (!isLast || operation.op === 'remove')) return expandMerge(context, node as YamlMap, location);
      node = undefined;
      break;
    }
    const isUncovered = isLast && operation.op === 'remove' && node.kind === 'map' && merges.get(node)?.overridden.has(step);
    if (isUncovered) return expandMerge(context, node as YamlMap, location);
    const isItem = node.kind === 'list';
    ({ node, location } = next);
    // An `add` to a list moves the item at that index without changing it.
    if (isLast && !(operation.op === 'add' && isItem)) {
      for (const each of nodesBelow(node)) affected.add(each);
    }
  }
  const removed = nodesBelow(node);
  const use = aliases.find(({ target, alias }) => affected.has(target) && !removed.has(alias));
  return use && writeOut(context, use);
}

function nodesBelow(node: YamlNode | undefined, nodes = new Set<YamlNode>()): Set<YamlNode> {
  if (node === undefined) return nodes;
  nodes.add(node);
  if (node.kind === 'map' || node.kind === 'list') for (const { value } of node.members) nodesBelow(value, nodes);
  return nodes;
}

interface Child {
  readonly node: YamlNode;
  readonly location: NonNullable<NodeLocation>;
}

function childOf(collection: YamlNode, step: string, parent: NodeLocation): Child | undefined {
  if (collection.kind !== 'map' && collection.kind !== 'list') return undefined;
  const index = collection.kind === 'map' ? collection.members.findIndex(({ key }) => key === step) : Number(step);
  const member = collection.members[index];
  return member && { node: member.value, location: { collection, index, parent } };
}

function writeOut(context: EditContext, { mergedBy, location, value }: AliasUse): PlannedEdits {
  if (mergedBy === undefined) return replaceValue(context, location, value);
  let map = location;
  while (map !== undefined && map.collection !== mergedBy) map = map.parent;
  return expandMerge(context, mergedBy, map?.parent);
}

/** Replaces `<<` with the pairs that it merges. */
function expandMerge(context: EditContext, map: YamlMap, location: NodeLocation): PlannedEdits {
  const merge = context.tree.merges.get(map);
  const member = merge && map.members[merge.index];
  if (merge === undefined || member === undefined) return err('a merge key (<<) cannot be replaced here by the keys that it merges');
  if (Object.keys(merge.entries).length === 0) return removeMember(context, map, merge.index, location);
  const text = map.isFlow
    ? printFlow(context, merge.entries).slice(1, -1)
    : printBlock(context, merge.entries, columnOf(context.text, member.start));
  return oneEdit(member.start, member.end, text);
}

function perform(context: EditContext, { steps, operation }: PendingEdit): PlannedEdits {
  const last = steps.at(-1);
  if (last === undefined) return err('a whole document cannot be replaced');
  let node: YamlNode | null = context.tree.root;
  let location: NodeLocation;
  for (const step of steps.slice(0, -1)) {
    const next: Child | undefined = node === null ? undefined : childOf(node, step, location);
    if (next === undefined) return err(`${operation.path} leads through ${step}, which is not there`);
    ({ node, location } = next);
  }
  if (node?.kind !== 'map' && node?.kind !== 'list') return err(`${operation.path} leads into something that is neither a map nor a list`);
  const target = childOf(node, last, location);
  if (operation.op === 'remove') {
    if (target === undefined) return err(`${operation.path} is not there`);
    return removeMember(context, node, target.location.index, location);
  }
  if (node.kind === 'list' && operation.op === 'add') {
    return addMember(context, node, { index: last === '-' ? node.members.length : Number(last), value: operation.value }, location);
  }
  if (target !== undefined) return replaceValue(context, target.location, operation.value);
  return addMember(context, node, { index: node.members.length, value: { [last]: operation.value } }, location);
}
