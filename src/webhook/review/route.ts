import type { Mode, Phase } from '../../core/request-record.ts';

/** Where a request goes; the API server's selectors chose the profile, so the path says it. */
export interface Route {
  readonly phase: Phase;
  readonly mode: Mode;
  readonly profile: string;
}

const PATH =
  /^\/(?:(mutate)|(validate|advise)\/(enforce|warn|audit))\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$|^\/(unknown)\/(enforce|warn|audit)$/;

/** API servers call the same few again and again. */
const known = new Map<string, Route>();
const MOST_KNOWN = 64;

/**
 * @param path of the URL, without a query
 * @returns undefined: reviews do not go there
 */
export function routeOf(path: string): Route | undefined {
  const route = known.get(path);
  if (route !== undefined) return route;
  const read = readRoute(path);
  if (read === undefined) return undefined;
  if (known.size === MOST_KNOWN) known.clear();
  known.set(path, read);
  return read;
}

function readRoute(path: string): Route | undefined {
  const found = PATH.exec(path);
  if (found === null) return undefined;
  const [, mutate, phase, mode, profile, unknown, unknownMode] = found;
  if (unknown !== undefined) return { phase: 'unknown', mode: unknownMode as Mode, profile: '' };
  return { phase: (mutate ?? phase) as Phase, mode: (mode ?? 'enforce') as Mode, profile: profile ?? '' };
}

/** Whether nobody waits for the verdict: what is not answered, the API server lets pass. Entries that enforce fail closed. */
export function isWatching({ phase, mode }: Pick<Route, 'phase' | 'mode'>): boolean {
  return phase === 'advise' || mode !== 'enforce';
}
