import type { Json } from './json.ts';
import { childAt, type Path, valueAt } from './path.ts';
import { pointerOf as computePointer, type PointerLookup } from './pointer.ts';
import type { Fix } from './rules/rule.ts';

/** The operations of RFC 6902 that fixes need. */
export type PatchOp =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

/** A change that a patch should make. */
export interface PatchIntent {
  readonly path: Path;
  readonly fix: Fix;
}

/**
 * Turns intended changes into operations on the document. The document is only read.
 *
 * - A missing parent is created once, with everything that belongs in it.
 * - The first change of a path is made. A second change of the same path is dropped: judging the result again finds what that change would have
 * fixed.
 * - Elements leave a list last and from its end, so that no index shifts under another operation.
 */
export function makePatch(document: unknown, intents: readonly PatchIntent[], pointerOf: PointerLookup = computePointer): PatchOp[] {
  const operations: PatchOp[] = [];
  const removals = new Map<string, number[]>();
  const created = new Map<string, CreatedValue>();
  const changed = new Set<string>();

  for (const { path, fix } of intents) {
    const pointer = pointerOf(path);
    if ('append' in fix) {
      append(path, pointer, fix.append);
      continue;
    }
    if (changed.has(pointer)) continue;
    changed.add(pointer);
    if ('set' in fix) set(path, path.length, pointer, fix.set);
    else remove(path, pointer);
  }

  for (const [list, indices] of removals) {
    for (const index of indices.sort((a, b) => b - a)) operations.push({ op: 'remove', path: `${list}/${index}` });
  }
  return operations;

  function remove(path: Path, pointer: string): void {
    if (valueAt(document, path) === undefined) return;
    const last = path.at(-1);
    if (typeof last === 'number') {
      const list = pointerOf(path, path.length - 1);
      const indices = removals.get(list);
      if (indices === undefined) removals.set(list, [last]);
      else indices.push(last);
    } else operations.push({ op: 'remove', path: pointer });
  }

  function append(path: Path, pointer: string, values: readonly Json[]): void {
    const list = created.get(pointer);
    if (Array.isArray(list)) list.push(...values);
    else if (Array.isArray(valueAt(document, path)))
      for (const value of values) operations.push({ op: 'add', path: `${pointer}/-`, value });
    else set(path, path.length, pointer, [...values]);
  }

  /** Sets the value at the first `depth` steps of the path, which are the pointer. */
  function set(path: Path, depth: number, pointer: string, given: Json): void {
    // A later append may add to the list, which is often a profile's data: copy it, so that the profile does not change.
    const value = Array.isArray(given) ? [...given] : given;
    if (Array.isArray(value)) created.set(pointer, value);
    const key = path[depth - 1] as string | number;
    const parentPointer = pointerOf(path, depth - 1);
    const parent = created.get(parentPointer);
    if (parent !== undefined) {
      (parent as Record<string, Json>)[key] = value;
      return;
    }
    const parentValue = valueAt(document, path, depth - 1);
    if (parentValue == null) {
      const newParent: Record<string, Json> = { [key]: value };
      set(path, depth - 1, parentPointer, newParent);
      created.set(parentPointer, newParent);
      return;
    }
    operations.push({ op: childAt(parentValue, key) === undefined ? 'add' : 'replace', path: pointer, value });
  }
}

/** An object or a list that the patch adds, and that later intents may still fill. */
type CreatedValue = Record<string, Json> | Json[];
