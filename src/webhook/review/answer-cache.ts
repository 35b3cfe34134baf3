export interface Bounds {
  readonly entries: number;
  /** What is larger as JSON, in characters, is not kept. */
  readonly size: number;
}

/**
 * Gives what was made from the same data before, else makes it; nothing else may go into it.
 * @param hint part of the data, or follows from it; data with different hints are different
 */
export type Memory<T> = (hint: string, data: object, make: () => T) => T;

/** As many with the same hint are kept: each is compared, and whoever chooses the data must not make that dear. */
const ALIKE = 4;

/**
 * Remembers what was made from plain data, within bounds; what came first is forgotten first. Data are compared as they are: to write them
 * down for a key costs more than that.
 */
export function makeMemory<T>({ entries, size }: Bounds): Memory<T> {
  const known = new Map<string, readonly { readonly data: object; readonly made: T }[]>();
  return (hint, data, make) => {
    const alike = known.get(hint) ?? [];
    const found = alike.find((each) => isSame(each.data, data));
    if (found !== undefined) return found.made;
    const made = make();
    if (JSON.stringify(data).length > size) return made;
    if (alike.length === 0 && known.size === entries) known.delete(known.keys().next().value as string);
    known.set(hint, [{ data, made }, ...alike].slice(0, ALIKE));
    return made;
  };
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one))
    return Array.isArray(other) && one.length === other.length && one.every((each, index) => isSame(each, other[index]));
  if (Array.isArray(other)) return false;
  let more = 0;
  for (const key in one) {
    if (!Object.hasOwn(other, key) || !isSame((one as Fields)[key], (other as Fields)[key])) return false;
    more += 1;
  }
  for (const _ in other) more -= 1;
  return more === 0;
}

type Fields = Readonly<Record<string, unknown>>;
