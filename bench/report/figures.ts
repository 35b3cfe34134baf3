/** One line of the report. */
export interface Figure {
  readonly what: string;
  /** One value a round: ratios to the other's of the same round, or plain numbers of a unit. */
  readonly values: readonly number[];
  readonly unit: keyof typeof UNITS;
  /** Of the median; `never` is a goal of each value. */
  readonly must?: { readonly least: number } | { readonly most: number } | { readonly never: number };
  /** The same of others, by their names. */
  readonly beside?: Readonly<Record<string, readonly number[]>>;
}

const UNITS = {
  x: (value: number) => value.toFixed(2),
  MB: (value: number) => `${value.toFixed(0)} MB`,
  'MB/h': (value: number) => `${value.toFixed(1)} MB/h`,
  ms: (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`,
  s: (value: number) => `${value.toFixed(1)} s`,
  '/s': (value: number) => `${value.toFixed(0)}/s`,
  '': (value: number) => value.toFixed(0),
} as const;

/** Whether the goal is kept; undefined: there is none. */
export function isReached({ values, must }: Figure): boolean | undefined {
  if (must === undefined) return undefined;
  if ('never' in must) return Math.max(...values) <= must.never;
  return 'least' in must ? median(values) >= must.least : median(values) <= must.most;
}

/** As a table in Markdown, padded so that it is one on a terminal too. */
export function tableOf(figures: readonly Figure[]): string {
  const others = [...new Set(figures.flatMap(({ beside = {} }) => Object.keys(beside)))];
  const first = others.length === 0 ? 'median' : 'cloister';
  const rows = [['', first, 'min to max', ...others, 'goal', 'reached'], ...figures.map((figure) => cellsOf(figure, others))];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

function cellsOf(figure: Figure, others: readonly string[]): string[] {
  const { what, values, unit, must, beside = {} } = figure;
  const print = UNITS[unit];
  const goal = must === undefined ? '' : goalOf(must, print);
  const reached = isReached(figure);
  const spread = values.length > 1 ? `${print(Math.min(...values))} to ${print(Math.max(...values))}` : '';
  const besides = others.map((other) => {
    const theirs = beside[other] ?? [];
    return theirs.length === 0 ? '' : print(median(theirs));
  });
  return [what, print(median(values)), spread, ...besides, goal, reached === undefined ? '' : reached ? 'yes' : 'no'];
}

function goalOf(must: NonNullable<Figure['must']>, print: (value: number) => string): string {
  if ('never' in must) return `never above ${print(must.never)}`;
  return 'least' in must ? `at least ${print(must.least)}` : `at most ${print(must.most)}`;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
