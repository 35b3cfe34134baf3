import type { Json } from './json.ts';
import type { Path } from './path.ts';
import { pointerOf } from './pointer.ts';
import type { Fix } from './rules/rule.ts';

/** The operations of RFC 6902 that fixes need. */
export type PatchOp =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

export interface PatchIntent {
  readonly path: Path;
  readonly fix: Fix;
}

/**
 * Turns intended changes into operations on the document. The document is only read.
 *
 * - A missing parent is created once, with everything that belongs in it.
 * - The first change of a path wins; a second one is dropped, and judging the result again finds what it would have fixed.
 * - Elements leave a list last and from its end, so that no index shifts under another operation.
 */
export function makePatch(document: unknown, changes: readonly PatchIntent[]): PatchOp[] {
  const operations: PatchOp[] = [];
  const removals = new Map<string, number[]>();
  const made = new Map<string, CreatedParent>();
  const taken = new Set<string>();

  for (const { path, fix } of changes) {
    const pointer = pointerOf(path);
    if ('append' in fix) {
      append(path, pointer, fix.append);
      continue;
    }
    if (taken.has(pointer)) continue;
    taken.add(pointer);
    if ('set' in fix) set(path, path.length, fix.set);
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
    const list = made.get(pointer);
    if (Array.isArray(list)) list.push(...values);
    else if (Array.isArray(valueAt(document, path)))
      for (const value of values) operations.push({ op: 'add', path: `${pointer}/-`, value });
    else set(path, path.length, [...values]);
  }

  /** Sets the value at the first `depth` steps of the path. */
  function set(path: Path, depth: number, given: Json): void {
    const pointer = pointerOf(path, depth);
    // A later append may add to the list, which is often a profile's data: copy it, so that the profile does not change.
    const value = Array.isArray(given) ? [...given] : given;
    if (Array.isArray(value)) made.set(pointer, value);
    const key = String(path[depth - 1]);
    const parentPointer = pointerOf(path, depth - 1);
    const parent = made.get(parentPointer);
    if (parent !== undefined) {
      (parent as Record<string, Json>)[key] = value;
      return;
    }
    if (valueAt(document, path, depth - 1) == null) {
      const created: Record<string, Json> = { [key]: value };
      set(path, depth - 1, created);
      made.set(parentPointer, created);
      return;
    }
    operations.push({ op: valueAt(document, path, depth) === undefined ? 'add' : 'replace', path: pointer, value });
  }
}

type CreatedParent = Record<string, Json> | Json[];

/** The value at the first `depth` steps of the path. */
export function valueAt(document: unknown, path: Path, depth = path.length): unknown {
  let value = document;
  for (let at = 0; at < depth; at += 1) {
    const step = path[at] as string | number;
    if (value == null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
