import type { PatchOp } from './patch.ts';
import type { Path } from './path.ts';
import { pointerOf } from './pointer.ts';
import { isObject } from './shape.ts';

/** A document must have them, even without content. */
const KEPT: ReadonlySet<string> = new Set(['metadata', 'spec', 'template', 'jobTemplate']);

/**
 * The patch without leftovers: maps and lists that it empties (`annotations: {}`, `add: []`) are removed. What is written empty stays.
 * The API server reads an empty map or list that a repair can leave as if it were absent.
 * @param before the document
 * @param after the same document with the patch applied
 */
export function withoutLeftovers(patch: readonly PatchOp[], before: object, after: object): readonly PatchOp[] {
  const emptied: string[] = [];
  findEmptied(before, after, [], emptied);
  if (emptied.length === 0) return patch;
  const isInside = ({ path }: PatchOp): boolean => emptied.some((each) => path === each || path.startsWith(`${each}/`));
  return [...patch.filter((operation) => !isInside(operation)), ...emptied.map((path) => ({ op: 'remove', path }) as const)];
}

/** @returns whether the value is a map or a list that has lost all of its content */
function findEmptied(before: unknown, after: unknown, path: Path, emptied: string[]): boolean {
  if (Array.isArray(after)) {
    if (!Array.isArray(before)) return false;
    for (const [index, item] of after.entries()) findEmptied(counterpartOf(item, index, before, after), item, [...path, index], emptied);
    return before.length > 0 && after.length === 0;
  }
  if (!isObject(after) || !isObject(before)) return false;
  let hasRest = false;
  for (const [key, value] of Object.entries(after)) {
    const below: string[] = [];
    // An emptied map or list is removed with everything in it.
    if (findEmptied(before[key], value, [...path, key], below) && !KEPT.has(key)) emptied.push(pointerOf([...path, key]));
    else {
      hasRest = true;
      emptied.push(...below);
    }
  }
  return !hasRest && Object.keys(before).length > 0;
}

/** The item of the list before: the one with the same name or, in a list of the same length, at the same index. */
function counterpartOf(item: unknown, index: number, before: readonly unknown[], after: readonly unknown[]): unknown {
  if (isObject(item) && item.name !== undefined) return before.find((each) => isObject(each) && each.name === item.name);
  return before.length === after.length ? before[index] : undefined;
}
