import { type Problem, printObjects } from './check.ts';

export const titleOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string => `${namespace}/${name}`;

/** Groups objects by a reason. Objects without one are left out. The groups are in the order of their first objects. */
export function groupBy<T>(
  items: readonly T[],
  reasonOf: (item: T) => string | undefined,
): readonly (readonly [reason: string, items: readonly T[]])[] {
  const groups = Map.groupBy(items, reasonOf);
  return [...groups].flatMap(([reason, found]) => (reason === undefined ? [] : [[reason, found] as const]));
}

/** What is wrong with some nodes. */
interface NodesProblem {
  readonly level: Problem['level'];
  /** Those with the problem; of none, nothing is said. */
  readonly found: readonly { readonly name: string }[];
  /** How many were checked. */
  readonly of: number;
  /** What the nodes do or have, as the rest of a sentence that begins with `2 of 3 nodes`. */
  readonly what: string;
  readonly remedy: string;
}

export function nodesProblem({ level, found, of, what, remedy }: NodesProblem): readonly Problem[] {
  if (found.length === 0) return [];
  const objects = found.map(({ name }) => name);
  return [{ level, objects, message: `${found.length} of ${of} nodes ${what} (${printObjects(objects)})`, remedy }];
}

/**
 * One problem for each text, with all nodes that have it.
 * @param nodeOf the name of the node that an item is about; undefined: it is about none
 * @param problemOf undefined: nothing is wrong with the item
 */
export function problemsByNode<T>(
  items: readonly T[],
  nodeOf: (item: T) => string | undefined,
  problemOf: (item: T) => Omit<Problem, 'objects'> | undefined,
): readonly Problem[] {
  const found = items.flatMap((item) => {
    const problem = problemOf(item);
    return problem === undefined ? [] : [{ node: nodeOf(item), problem }];
  });
  return [...Map.groupBy(found, ({ problem: { level, message } }) => `${level} ${message}`).values()].flatMap((group) => {
    const objects = [...new Set(group.flatMap(({ node }) => node ?? []))];
    const nodes = objects.length === 0 ? '' : ` (${printObjects(objects)})`;
    return group.slice(0, 1).map(({ problem }) => ({ ...problem, objects, message: `${problem.message}${nodes}` }));
  });
}

/** An error about pods that fail. */
export function podsProblem({
  found,
  what,
  remedy,
}: {
  /** Of none, nothing is said. */
  readonly found: readonly { readonly namespace: string; readonly name: string }[];
  readonly what: string;
  readonly remedy: string;
}): readonly Problem[] {
  const objects = found.map(titleOf);
  return objects.length === 0
    ? []
    : [{ level: 'error', objects, message: `${what}: ${objects.length} (${printObjects(objects)})`, remedy }];
}

/** Each problem once: classes of a profile often lead to the same nodes. */
export function distinct(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((each) => [each.message, each])).values()];
}

/** The part of a message that another table has, as a sentence. */
export const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
