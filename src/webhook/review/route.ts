import type { Mode, Phase } from '../../core/request-record.ts';

/** Which entry a request is for. The API server's selectors chose the profile, so the path states it. */
export interface Route {
  readonly phase: Phase;
  readonly mode: Mode;
  readonly profile: string;
}

/**
 * @param path of the URL, without a query
 * @returns undefined: not a path for reviews
 */
export type RouteLookup = (path: string) => Route | undefined;

const PATH =
  /^\/(?:(mutate)|(validate|advise)\/(enforce|warn|audit))\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$|^\/(unknown)\/(enforce|warn|audit)$/;

const MAX_CACHED = 64;

/** Makes a look-up with a cache: API servers call the same few paths again and again. A full cache is emptied. */
export function makeRouteLookup(): RouteLookup {
  const cache = new Map<string, Route>();
  return (path) => {
    const cached = cache.get(path);
    if (cached !== undefined) return cached;
    const route = parseRoute(path);
    if (route === undefined) return undefined;
    if (cache.size === MAX_CACHED) cache.clear();
    cache.set(path, route);
    return route;
  };
}

function parseRoute(path: string): Route | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const [, mutate, phase, mode, profile, unknown, unknownMode] = match;
  if (unknown !== undefined) return { phase: 'unknown', mode: unknownMode as Mode, profile: '' };
  return { phase: (mutate ?? phase) as Phase, mode: (mode ?? 'enforce') as Mode, profile: profile ?? '' };
}

/** Whether the API server admits the object without an answer. Entries that enforce fail closed. */
export function isWatching({ phase, mode }: Pick<Route, 'phase' | 'mode'>): boolean {
  return phase === 'advise' || mode !== 'enforce';
}
