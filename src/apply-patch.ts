import jsonPatch, { type Operation } from 'fast-json-patch';
import type { PatchOp } from './core/patch.ts';
import type { Apply } from './core/repair.ts';

/**
 * Applies RFC 6902 operations by code that shares nothing with what made them. The result shares with the document what no operation changes.
 * @throws when an operation does not fit the document: validation is on, because the API server refuses what does not fit
 */
export const apply: Apply = (document, operations) => {
  // The library can only copy the whole document, by way of text, or change it in place. So it changes a copy of the parts on the paths.
  const copy = copyPaths(document, operations);
  jsonPatch.applyPatch(copy, operations as readonly Operation[], true, true);
  return copy;
};

function copyPaths(document: object, operations: readonly PatchOp[]): object {
  const root = copyShallow(document);
  const copies = new Set<object>([root]);
  for (const { path } of operations) {
    let parent = root;
    for (const step of path.split('/').slice(1, -1)) {
      const key = jsonPatch.unescapePathComponent(step);
      const child = Object.hasOwn(parent, key) ? parent[key] : undefined;
      if (typeof child !== 'object' || child === null) break;
      const copy = copies.has(child) ? (child as Fields) : copyShallow(child);
      copies.add(copy);
      parent[key] = copy;
      parent = copy;
    }
  }
  return root;
}

type Fields = Record<string, unknown>;

function copyShallow(value: object): Fields {
  return (Array.isArray(value) ? [...value] : { ...value }) as Fields;
}
