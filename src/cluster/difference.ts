import type { Path } from '../core/path.ts';
import { isObject } from '../core/shape.ts';

export interface Difference {
  readonly path: Path;
  readonly live: unknown;
  readonly wanted: unknown;
}

/**
 * Where an object is not what it should be: the lowest fields that differ. A field that should not be there is one of them. An empty map is the
 * same as none, which is what the API server fills in for a selector that nobody wrote.
 */
export function differences(live: unknown, wanted: unknown, path: Path = []): readonly Difference[] {
  if (isObject(live) && isObject(wanted)) {
    const keys = [...new Set([...Object.keys(wanted), ...Object.keys(live)])];
    return keys.flatMap((key) => differences(live[key], wanted[key], [...path, key]));
  }
  if (Array.isArray(live) && Array.isArray(wanted)) {
    const length = Math.max(live.length, wanted.length);
    return Array.from({ length }, (_, index) => differences(live[index], wanted[index], [...path, index])).flat();
  }
  return live === wanted || (isNothing(live) && isNothing(wanted)) ? [] : [{ path, live, wanted }];
}

function isNothing(value: unknown): boolean {
  return value === undefined || (isObject(value) && Object.keys(value).length === 0);
}
