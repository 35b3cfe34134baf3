import { Counter, type Registry } from 'prom-client';

/** Counts one more, or so many, for these values, in the order of the label names. */
export type Tally = (values: readonly string[], count?: number) => void;

/** A sum and the values of its labels. */
interface Sum {
  readonly values: readonly string[];
  count: number;
}

/**
 * A Prometheus counter that is kept in a plain map and handed over when it is scraped: every review counts a dozen things, and looking up
 * a set of labels costs prom-client more than judging by a rule costs us.
 * @param known series that are told from the start, as 0
 */
export function makeTally(
  name: string,
  help: string,
  { labelNames, known = [], registers }: { labelNames: readonly string[]; known?: readonly (readonly string[])[]; registers: Registry[] },
): Tally {
  const sums = new Map<string, Sum>(known.map((values) => [values.join(), { values, count: 0 }]));
  new Counter({
    name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { values, count } of sums.values()) this.labels(...values).inc(count);
    },
  });
  return (values, count = 1) => {
    const key = values.join();
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { values, count });
    else sum.count += count;
  };
}
