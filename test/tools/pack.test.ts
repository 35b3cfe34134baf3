import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

test('what is packed holds the program, built from the sources as they are, and the pages that `explain` prints', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'pack', '--', '--dry-run', '--json'], { cwd: root });
  // The build of the packing has its say on the same stream.
  const [{ files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  const packed: readonly string[] = files.map(({ path }: { path: string }) => path);
  const sources = (await readdir(join(root, 'src'), { recursive: true })).filter((each) => each.endsWith('.ts'));
  const programs = packed.filter((each) => each.startsWith('dist/') && each.endsWith('.js'));
  expect(programs.sort()).toEqual(sources.map((each) => `dist/${each.replace(/\.ts$/, '.js')}`).sort());
  expect(packed).toEqual(expect.arrayContaining(['docs/rules/privileged.md', 'docs/profiles/userns.md', 'LICENSE']));
  expect(packed.filter((each) => /^(src|test|tools|bench|node_modules|certs)\//.test(each))).toEqual([]);
});
