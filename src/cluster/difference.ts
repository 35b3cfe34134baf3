import type { Path } from '../core/path.ts';
import { isObject } from '../core/shape.ts';

export interface Difference {
  readonly path: Path;
  readonly live: unknown;
  readonly desired: unknown;
}

/**
 * The deepest fields in which the live object differs from the desired one. A field that the desired object lacks is a difference. An empty
 * map equals an absent one: the API server writes `{}` for an absent selector.
 */
export function differences(live: unknown, desired: unknown, path: Path = []): readonly Difference[] {
  if (isObject(live) && isObject(desired)) {
    const keys = [...new Set([...Object.keys(desired), ...Object.keys(live)])];
    return keys.flatMap((key) => differences(live[key], desired[key], [...path, key]));
  }
  if (Array.isArray(live) && Array.isArray(desired)) {
    const length = Math.max(live.length, desired.length);
    return Array.from({ length }, (_, index) => differences(live[index], desired[index], [...path, index])).flat();
  }
  return live === desired || (isAbsent(live) && isAbsent(desired)) ? [] : [{ path, live, desired }];
}

function isAbsent(value: unknown): boolean {
  return value === undefined || (isObject(value) && Object.keys(value).length === 0);
}
