import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node';
import { neededBy } from '../../test/support/needs.ts';

/**
 * Prints what was skipped, with the reason, and as the last line the counts of the run, for scripts: `12 passed, 0 failed`. With CLOISTER_NO_SKIPS
 * in the environment, a skipped test fails the run.
 */
export default class CountReporter implements Reporter {
  #isFiltered = false;

  onInit({ config }: Vitest): void {
    this.#isFiltered = config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0 };
    const skips = new Map<string, number>();
    for (const module of modules) {
      // A file that fails to load contains no tests, and counts as one failure.
      if (module.errors().length > 0) counts.failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed' || state === 'failed') counts[state] += 1;
        else {
          counts.skipped += 1;
          const line = lineOf(test);
          // A filter of names skips the other tests: that is no reason to report.
          if (line.reason !== undefined || !this.#isFiltered) skips.set(line.text, (skips.get(line.text) ?? 0) + 1);
        }
      }
    }
    for (const [line, count] of skips) process.stdout.write(`skipped ${count} in ${line}\n`);
    if (skips.size > 0 && process.env.CLOISTER_NO_SKIPS) {
      process.stdout.write('with --no-skips, every test must run\n');
      process.exitCode = 1;
    }
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  }
}

/** `test/image/image.test.ts: needs root` */
function lineOf(test: TestCase): { readonly text: string; readonly reason: string | undefined } {
  const reason = reasonOf(test);
  const file = relative(process.cwd(), test.module.moduleId);
  return { reason, text: `${file}: ${reason === undefined ? 'without a reason' : `needs ${reason}`}` };
}

/** Of the nearest group that states what it needs. */
function reasonOf({ parent }: TestCase): string | undefined {
  for (let each = parent; each.type === 'suite'; each = each.parent) {
    const needed = neededBy(each.name);
    if (needed !== undefined) return needed;
  }
  return undefined;
}
