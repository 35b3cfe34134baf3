/** One line of the report. */
export interface Figure {
  readonly label: string;
  /** One value a round: a ratio to another server in the same round, or a plain number. */
  readonly values: readonly number[];
  readonly unit: keyof typeof UNITS;
  /** `least` and `most` are compared with the median, `never` with every value. */
  readonly goal?: { readonly least: number } | { readonly most: number } | { readonly never: number };
  /** The values of other servers, by their names. */
  readonly others?: Readonly<Record<string, readonly number[]>>;
}

const UNITS = {
  x: (value: number) => value.toFixed(2),
  MB: (value: number) => `${value.toFixed(0)} MB`,
  kB: (value: number) => `${value.toFixed(1)} kB`,
  'MB/h': (value: number) => `${value.toFixed(1)} MB/h`,
  ms: (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`,
  s: (value: number) => `${value.toFixed(1)} s`,
  '/s': (value: number) => `${value.toFixed(0)}/s`,
  '': (value: number) => value.toFixed(0),
} as const;

/** @returns undefined where there is no goal */
export function isGoalReached({ values, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  if ('never' in goal) return Math.max(...values) <= goal.never;
  return 'least' in goal ? median(values) >= goal.least : median(values) <= goal.most;
}

/** A Markdown table, padded so that a terminal shows it aligned. */
export function tableOf(figures: readonly Figure[]): string {
  const names = [...new Set(figures.flatMap(({ others = {} }) => Object.keys(others)))];
  const first = names.length === 0 ? 'median' : 'cloister';
  const rows = [['', first, 'min to max', ...names, 'goal', 'reached'], ...figures.map((figure) => cellsOf(figure, names))];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

function cellsOf(figure: Figure, names: readonly string[]): string[] {
  const { label, values, unit, goal, others = {} } = figure;
  const print = UNITS[unit];
  const reached = isGoalReached(figure);
  const spread = values.length > 1 ? `${print(Math.min(...values))} to ${print(Math.max(...values))}` : '';
  const medians = names.map((name) => {
    const theirs = others[name] ?? [];
    return theirs.length === 0 ? '' : print(median(theirs));
  });
  return [
    label,
    print(median(values)),
    spread,
    ...medians,
    goal === undefined ? '' : printGoal(goal, print),
    reached === undefined ? '' : reached ? 'yes' : 'no',
  ];
}

function printGoal(goal: NonNullable<Figure['goal']>, print: (value: number) => string): string {
  if ('never' in goal) return `never above ${print(goal.never)}`;
  return 'least' in goal ? `at least ${print(goal.least)}` : `at most ${print(goal.most)}`;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
