/** The names that a mistyped name may stand for, nearest first: those within a few typing errors, or that contain it. */
export function nearest(typed: string, names: Iterable<string>): string[] {
  const allowed = Math.max(1, Math.floor(typed.length / 3));
  return [...names]
    .map((name) => ({ name, errors: typed.length > 2 && name.includes(typed) ? 0 : typingErrors(typed, name) }))
    .filter(({ errors }) => errors <= allowed)
    .sort((a, b) => a.errors - b.errors)
    .map(({ name }) => name);
}

/** ` (did you mean check?)`, or an empty text where no name is near. */
export function didYouMean(typed: string, names: Iterable<string>): string {
  const [best] = nearest(typed, names);
  return best === undefined ? '' : ` (did you mean ${best}?)`;
}

/**
 * The number of characters to insert, delete, replace or swap with their neighbour (optimal string alignment). It is written here because it
 * is short, and a package for it would be one more that the webhook server loads.
 */
function typingErrors(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, change, isSwap ? at(before, j - 2) + 1 : change));
    }
    before = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? 0;
