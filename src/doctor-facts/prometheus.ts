/** One line of a metric. */
export interface Sample {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const LINE = /^(?<name>[a-zA-Z_:][\w:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/**
 * Reads some metrics from the text format of Prometheus. An API server has some ten thousand lines: the others are skipped.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function samplesOf(text: string, names: readonly string[]): ReadonlyMap<string, readonly Sample[]> {
  const found = new Map<string, Sample[]>(names.map((name) => [name, []]));
  for (const line of text.split('\n')) {
    const samples = found.get(line.slice(0, line.search(/[{ ]/)));
    const { labels = '', value = '' } = (samples && LINE.exec(line)?.groups) ?? {};
    if (value === '') continue;
    samples?.push({
      labels: new Map([...labels.matchAll(LABEL)].map(([, key = '', written = '']) => [key, unquote(written)])),
      value: Number(value.replace('Inf', 'Infinity')),
    });
  }
  return found;
}

const unquote = (text: string): string => text.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
