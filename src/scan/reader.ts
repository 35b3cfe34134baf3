import { type ApiConnection, ClusterError, isForbidden } from '../cluster/client.ts';
import { type PageQuery, pages } from '../cluster/pages.ts';

/** Reads lists, and keeps what could not be read. A list that fails ends only itself. */
export interface Reader {
  /** Visits each object of a list. Throws as `pages` does. */
  each(query: PageQuery, visit: (document: unknown) => void, afterPage?: (objects: number) => void): Promise<void>;
  /**
   * Runs a task that reads.
   * @param consequence what follows where RBAC forbids it; absent: the scan is incomplete
   * @returns whether it succeeded
   */
  attempt(task: () => Promise<void>, consequence?: string): Promise<boolean>;
  /** Why the scan is incomplete, each reason once. */
  readonly incomplete: Set<string>;
  /** What was not read, and need not be. */
  readonly notes: Set<string>;
  /** Whether a list shows different moments. */
  isInconsistent(): boolean;
}

/** @param signal ends all reading; the message of its reason says why */
export function makeReader(api: ApiConnection, signal: AbortSignal): Reader {
  const incomplete = new Set<string>();
  const notes = new Set<string>();
  let isInconsistent = false;
  return {
    incomplete,
    notes,
    isInconsistent: () => isInconsistent,
    async each(query, visit, afterPage) {
      const iterator = pages(api, query, { signal });
      // `for await` would hold each page until the next one is there.
      const takePage = async (): Promise<boolean> => {
        const { value } = await iterator.next();
        if (value === undefined) return false;
        isInconsistent ||= value.isLate;
        for (const item of value.items) visit(item);
        afterPage?.(value.items.length);
        return true;
      };
      while (await takePage());
    },
    async attempt(task, consequence) {
      try {
        await task();
        return true;
      } catch (error) {
        if (signal.aborted) incomplete.add((signal.reason as Error).message);
        else if (!(error instanceof ClusterError)) throw error;
        else if (consequence !== undefined && isForbidden(error)) notes.add(`${error.message}: ${consequence}.`);
        else incomplete.add(error.message);
        return false;
      }
    },
  };
}

/** Lists at the same time. */
const LISTS = 2;

/** Runs a task for each element, two at a time. */
export async function inTurns<T>(elements: readonly T[], task: (element: T) => Promise<unknown>): Promise<void> {
  const queue = [...elements];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await task(next);
  };
  await Promise.all(Array.from({ length: LISTS }, work));
}
