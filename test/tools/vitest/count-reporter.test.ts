import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** The last lines of `./dev test`, of a run of vitest over a folder of its own. */

const root = join(import.meta.dirname, '../../..');
const REPORTER = join(root, 'tools/vitest/count-reporter.ts');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-reporter-'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const needs = JSON.stringify(join(root, 'test/support/needs.ts'));
  await writeFile(
    join(folder, 'machine.test.ts'),
    `import { expect, test } from 'vitest';
import { describeUnless } from ${needs};
test('runs', () => expect(1).toBe(1));
describeUnless('root and a disk', 'group', () => {
  test('first', () => {});
  test('second', () => {});
});
describeUnless(undefined, 'other group', () => test('runs too', () => {}));
`,
  );
  await writeFile(join(folder, 'bare.test.ts'), "import { test } from 'vitest';\ntest('runs', () => {});\ntest.skip('not', () => {});\n");
  await writeFile(join(folder, 'vitest.config.ts'), 'export default {};\n');
});
afterAll(() => rm(folder, { recursive: true }));

function lastLines(
  env: NodeJS.ProcessEnv,
  ...args: readonly string[]
): { readonly status: number | null; readonly lines: readonly string[] } {
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', `--reporter=${REPORTER}`, ...args];
  const { status, stdout } = spawnSync(process.execPath, vitest, { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } });
  return { status, lines: stdout.trim().split('\n') };
}

const SKIPPED = ['skipped 1 in bare.test.ts: without a reason', 'skipped 2 in machine.test.ts: needs root and a disk'];

test('the last lines name each group of skipped tests with what it needs', () => {
  const { status, lines } = lastLines({});
  expect(lines.at(-1)).toBe('3 passed, 0 failed, 3 skipped');
  expect(lines.slice(-3, -1).toSorted()).toEqual(SKIPPED);
  expect(status).toBe(0);
});

test('with --no-skips a skipped test fails the run', () => {
  const { status, lines } = lastLines({ CLOISTER_NO_SKIPS: '1' });
  expect(lines).toEqual(expect.arrayContaining(SKIPPED));
  expect(lines).toContain('with --no-skips, every test must run');
  expect(status).toBe(1);
});

test('tests that a filter of names leaves out are not reported', () => {
  const { status, lines } = lastLines({ CLOISTER_NO_SKIPS: '1' }, '--testNamePattern=^runs$', 'bare');
  expect(lines.at(-1)).toBe('1 passed, 0 failed, 1 skipped');
  expect(lines.join('\n')).not.toContain('skipped 1 in');
  expect(status).toBe(0);
});
