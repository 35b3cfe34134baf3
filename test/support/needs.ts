import { describe } from 'vitest';

/**
 * A group of tests that not every machine can run.
 * @param missing what this machine lacks, in words; undefined where the tests can run
 */
export function describeUnless(missing: string | undefined, name: string, tests: () => void): void {
  if (missing === undefined) describe(name, tests);
  else describe.skip(`${name}${NEEDS}${missing}`, tests);
}

const NEEDS = ' needs ';

/** What the group of a skipped test lacks; undefined where the title names nothing. */
export function neededBy(title: string): string | undefined {
  const at = title.indexOf(NEEDS);
  return at === -1 ? undefined : title.slice(at + NEEDS.length);
}
