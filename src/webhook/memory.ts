export interface Bounds {
  readonly entries: number;
  /** What is larger as JSON, in characters, is not kept. */
  readonly size: number;
}

/** Gives what was made from the same data before, else makes it; nothing else may go into it. */
export type Memory<T> = (data: object, make: () => T) => T;

/**
 * Remembers what was made from plain data, within bounds; what was longest of no use is forgotten first. Data are compared as they are: to
 * write them down for a key costs more than all comparing.
 */
export function makeMemory<T>({ entries, size }: Bounds): Memory<T> {
  const known: { readonly data: object; readonly made: T }[] = [];
  return (data, make) => {
    const at = known.findIndex((each) => isSame(each.data, data));
    const found = known[at];
    if (found !== undefined) {
      if (at > 0) known.unshift(...known.splice(at, 1));
      return found.made;
    }
    const made = make();
    if (JSON.stringify(data).length > size) return made;
    if (known.length === entries) known.pop();
    known.unshift({ data, made });
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
