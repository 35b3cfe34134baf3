/** One line of the report. */
export interface Figure {
  readonly what: string;
  /** One value a round: ratios to the other's of the same round, or plain numbers of a unit. */
  readonly values: readonly number[];
  readonly unit: 'x' | 'MB';
  readonly must?: { readonly least: number } | { readonly most: number };
}

/** Whether the median keeps the goal; undefined: there is none. */
export function isReached({ values, must }: Figure): boolean | undefined {
  if (must === undefined) return undefined;
  return 'least' in must ? median(values) >= must.least : median(values) <= must.most;
}

/** As a table in Markdown, padded so that it is one on a terminal too. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = [['', 'median', 'min to max', 'goal', 'reached'], ...figures.map(cellsOf)];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

function cellsOf(figure: Figure): string[] {
  const { what, values, unit, must } = figure;
  const print = (value: number) => (unit === 'x' ? value.toFixed(2) : `${value.toFixed(0)} MB`);
  const goal = must === undefined ? '' : 'least' in must ? `at least ${print(must.least)}` : `at most ${print(must.most)}`;
  const reached = isReached(figure);
  const spread = values.length > 1 ? `${print(Math.min(...values))} to ${print(Math.max(...values))}` : '';
  return [what, print(median(values)), spread, goal, reached === undefined ? '' : reached ? 'yes' : 'no'];
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
