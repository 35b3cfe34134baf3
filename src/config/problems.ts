import * as z from 'zod';
import { type Path, printPath } from '../core/path.ts';
import { backends } from '../core/profiles/index.ts';
import { didYouMean } from '../did-you-mean.ts';

/** Problems of the file, in the words of its users: each is the path in the file, what is wrong there, and what to do. */

export const printProblem = (path: Path, problem: string): string => `${printPath(path)}: ${problem}`;

/** The message for a wrong value, and for a missing one. */
export const must = (what: string) => ({
  error: ({ input }: { readonly input?: unknown }) => (input === undefined ? `is missing: it must ${what}` : `must ${what}`),
});

/** Parses one level of the file. Its problems are added to `problems`; with a problem, there is no value. */
export function parseLevel<S extends z.ZodType>(schema: S, value: unknown, path: Path, problems: string[]): z.infer<S> | undefined {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const place = [...path, ...(issue.path as Path)];
    if (issue.code !== 'unrecognized_keys') problems.push(printProblem(place, issue.message));
    else {
      const isBackend = backends.some(({ id }) => id === path.at(-1)); // the profile of a backend extends nothing
      const known = knownKeysAt(schema, issue.path).filter((key) => key !== 'extends' || !isBackend);
      for (const key of issue.keys) problems.push(printProblem([...place, key], unknownKeyProblem(key, known)));
    }
  }
  return undefined;
}

/** The keys that the object at a path may have. */
function knownKeysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let found: unknown = schema;
  for (const step of path) {
    if (found instanceof z.ZodObject) found = found.shape[String(step)];
    if (found instanceof z.ZodOptional) found = found.unwrap();
    if (found instanceof z.ZodArray && typeof step === 'number') found = found.element;
  }
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function unknownKeyProblem(key: string, known: readonly string[]): string {
  const isInProfile = known.includes('grant');
  const owners = isInProfile ? backends.filter(({ options }) => (options as readonly string[]).includes(key)).map(({ id }) => id) : [];
  if (owners.length > 0) return `is an option of ${joinWords(owners, 'and')} alone: remove it`;
  return `is unknown${didYouMean(key, known)}: the keys known here are ${joinWords(known, 'and')}`;
}

export function joinWords(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}
