export interface Bounds {
  readonly entries: number;
  /** Of longer keys nothing is kept. */
  readonly keyLength: number;
}

/** Gives what is remembered for the key, else makes it; the key must say all that it is made from. */
export type Memory<T> = (key: string, make: () => T) => T;

/** Remembers what was made for a key, within bounds; what came first is forgotten first. */
export function makeMemory<T>({ entries, keyLength }: Bounds): Memory<T> {
  const made = new Map<string, T>();
  return (key, make) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make();
    if (key.length > keyLength) return value;
    if (made.size === entries) made.delete(made.keys().next().value as string);
    made.set(key, value);
    return value;
  };
}
