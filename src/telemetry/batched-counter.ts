import { Counter, type Registry } from 'prom-client';

/** Adds one, or `count`, for these label values, in the order of the label names. */
export type CountBatched = (values: readonly string[], count?: number) => void;

interface LabelledCount {
  readonly values: readonly string[];
  count: number;
}

/**
 * Makes a Prometheus counter that is kept in a plain map and copied to prom-client when it is scraped. Every review counts a dozen things, and
 * prom-client's look-up of one set of labels costs more than judging by one rule.
 * @param known series that are exposed from the start, as 0
 */
export function makeBatchedCounter(
  name: string,
  help: string,
  { labelNames, known = [], registers }: { labelNames: readonly string[]; known?: readonly (readonly string[])[]; registers: Registry[] },
): CountBatched {
  const counts = new Map<string, LabelledCount>(known.map((values) => [values.join(), { values, count: 0 }]));
  new Counter({
    name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { values, count } of counts.values()) this.labels(...values).inc(count);
    },
  });
  return (values, count = 1) => {
    const key = values.join();
    const entry = counts.get(key);
    if (entry === undefined) counts.set(key, { values, count });
    else entry.count += count;
  };
}
