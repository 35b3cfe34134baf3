import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { isIgnored, parseIgnoreFile } from '../../src/manifests/ignore.ts';

const FILES = ['a.yaml', 'values.yaml', 'deploy/values.yaml', 'deploy/x/y/a.yaml', 'deploy/ax.yaml', 'x/deploy/a.yaml', 'x.y/b+.yaml'];

const folder = mkdtempSync(join(tmpdir(), 'cloister-ignore-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What Git ignores by the same patterns. */
function ignoredByGit(patterns: string): string[] {
  execFileSync('git', ['init', '-q', '.'], { cwd: folder });
  for (const file of FILES) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  writeFileSync(join(folder, '.gitignore'), `${patterns}\n`);
  const kept = execFileSync('git', ['ls-files', '--others', '--exclude-standard'], { cwd: folder, encoding: 'utf8' }).split('\n');
  return FILES.filter((file) => !kept.includes(file));
}

test.each([
  'values.yaml',
  '/values.yaml',
  'deploy',
  'deploy/',
  'deploy/*.yaml',
  'deploy/**',
  '**/values.yaml',
  'deploy/**/a.yaml',
  'a?.yaml',
  '*.yaml\n!a.yaml',
  '# a.yaml\n\n  ',
  'x.y',
  'x?y',
  'b+.yaml',
  '*',
  '**',
  '**/',
])('the patterns %j ignore what Git ignores', (patterns) => {
  const parsed = parseIgnoreFile(patterns);
  expect(FILES.filter((file) => isIgnored(file, parsed))).toEqual(ignoredByGit(patterns));
});

test('a pattern that starts with ./ is that of the working folder', () => {
  expect(FILES.filter((file) => isIgnored(file, parseIgnoreFile('./values.yaml')))).toEqual(['values.yaml']);
});
