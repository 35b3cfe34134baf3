import type { Path } from './path.ts';

/**
 * A shape describes a piece of JSON. It is written once, and gives both the TypeScript type and the check at run time.
 *
 * The check copies nothing: a pod of a megabyte costs no second megabyte. Fields that no shape names are ignored. `null` counts as absent
 * everywhere, as it does for the API server. Keys such as `__proto__` in a document are data like any other.
 */
export interface Shape<T> {
  (value: unknown): Mismatch | undefined;
  /** Absent at run time: it carries the type. */
  readonly proves?: T;
}
export type Typed<S> = S extends Shape<infer T> ? T : never;

export interface Mismatch {
  /** Path from the root. Parents are prepended as the mismatch propagates. */
  readonly path: Path;
  readonly expected: string;
}

type ShapeFields = Readonly<Record<string, Shape<unknown>>>;
type TypeOfFields<F extends ShapeFields> = { readonly [K in keyof F]?: Typed<F[K]> | null };

export const string: Shape<string> = (value) => (typeof value === 'string' ? undefined : makeMismatch('a string'));
export const boolean: Shape<boolean> = (value) => (typeof value === 'boolean' ? undefined : makeMismatch('true or false'));
export const number: Shape<number> = (value) => (typeof value === 'number' ? undefined : makeMismatch('a number'));
export const anything: Shape<unknown> = () => undefined;

/** An object whose named fields are checked; it may have others. */
export function object<const F extends ShapeFields>(fields: F): Shape<TypeOfFields<F>> {
  const shapes = new Map<string, Shape<unknown>>(Object.entries(fields));
  return (value) => {
    if (!isObject(value)) return makeMismatch('an object');
    // The loop is over the object, which has few of the fields that it could have. Objects parsed from JSON or YAML inherit no enumerable key.
    for (const name in value) {
      const field = value[name];
      if (field == null) continue;
      const shape = shapes.get(name);
      // Fast path: most fields hold text.
      if (shape === undefined || (shape === string && typeof field === 'string')) continue;
      const found = shape(field);
      if (found !== undefined) return prependStep(name, found);
    }
    return undefined;
  };
}

export function list<T>(item: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return makeMismatch('a list');
    for (let index = 0; index < value.length; index += 1) {
      const found = item(value[index]);
      if (found !== undefined) return prependStep(index, found);
    }
    return undefined;
  };
}

/** The API server limits annotations to 256 KiB. Listing the keys of a large map costs more than parsing it, and rules list keys often. */
const MAX_MAP_ENTRIES = 10_000;

/** An object used as a map: any key, one shape of value. Read it by Object.entries or Object.hasOwn, never by a bare look-up. */
export function map<T>(item: Shape<T>): Shape<{ readonly [key: string]: T }> {
  return (value) => {
    if (!isObject(value)) return makeMismatch('an object');
    let entries = 0;
    for (const key in value) {
      entries += 1;
      if (entries > MAX_MAP_ENTRIES) return makeMismatch(`a map of at most ${MAX_MAP_ENTRIES} entries`);
      const found = item(value[key]);
      if (found !== undefined) return prependStep(key, found);
    }
    return undefined;
  };
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function makeMismatch(expected: string): Mismatch {
  return { path: [], expected };
}

function prependStep(step: string | number, found: Mismatch): Mismatch {
  return { path: [step, ...found.path], expected: found.expected };
}
