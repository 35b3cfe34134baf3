import { type Profiler, Session } from 'node:inspector';

/** Knows which code ran, by V8's own count of every block. */
export interface Coverage {
  /**
   * How many characters of source ran since this was last asked that never had before. It costs milliseconds: ask after many runs.
   * @param learns whether they are known from now on
   */
  fresh(learns: boolean): number;
  stop(): void;
}

/**
 * Watches the scripts whose address matches. Start it before these are loaded: what was compiled before is counted by function.
 * Source: https://v8.dev/blog/javascript-code-coverage
 */
export function startCoverage(ofScripts: RegExp): Coverage {
  const session = new Session();
  session.connect();
  post('Profiler.enable');
  post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const known = new Map<string, Uint8Array>();
  return {
    fresh(learns) {
      const { result } = post<Profiler.TakePreciseCoverageReturnType>('Profiler.takePreciseCoverage');
      return result
        .filter(({ url }) => ofScripts.test(url))
        .flatMap(({ url, functions }) => functions.map(({ ranges }) => freshIn(url, ranges, learns)))
        .reduce((sum, each) => sum + each, 0);
    },
    stop() {
      post('Profiler.stopPreciseCoverage');
      session.disconnect();
    },
  };

  /** V8 leaves out a block that ran as often as what is around it: blocks have no names that stay, but characters have places. */
  function freshIn(url: string, ranges: readonly Profiler.CoverageRange[], learns: boolean): number {
    const { startOffset: start = 0, endOffset: end = 0 } = ranges[0] ?? {};
    const key = `${url}:${start}-${end}`;
    const before = known.get(key) ?? new Uint8Array(end - start);
    const ran = new Uint8Array(end - start);
    // The inner ones come after those around them.
    for (const { startOffset, endOffset, count } of ranges) ran.fill(Math.min(count, 1), startOffset - start, endOffset - start);
    const fresh = ran.reduce((sum, each, at) => sum + (each > (before[at] ?? 0) ? 1 : 0), 0);
    if (learns && fresh > 0)
      known.set(
        key,
        before.map((each, at) => each | (ran[at] ?? 0)),
      );
    return fresh;
  }

  /** The session answers before its own `post` returns. */
  function post<T>(method: string, parameters: object = {}): T {
    let answer: unknown;
    session.post(method, parameters, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer as T;
  }
}
