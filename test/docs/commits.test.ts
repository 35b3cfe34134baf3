import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { root } from './page.ts';

/** The rule of CONTRIBUTING.md for the subjects of commits, from the newest tag on. */

/** Without a tag, the rule holds for all commits after this one. */
const START = 'e20c812d6f4a21ab38aac0bfb8ac29b695816bdb';
const MAX_LENGTH = 72;

function problemsOf(subject: string): string[] {
  return [
    ...(subject.length > MAX_LENGTH ? [`has ${subject.length} characters: use at most ${MAX_LENGTH}`] : []),
    ...(/^\w[\w ,./-]*: \S/.test(subject) ? [] : ['names no part: start with one and a colon, as in "server: ..."']),
    ...(subject.endsWith('.') ? ['ends with a period: remove it'] : []),
  ];
}

/** @returns undefined where git fails, or is not installed */
function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

test('the subject of every commit names a part and is short', ({ skip }) => {
  if (git('rev-parse', '--show-prefix') !== '') skip('the project is not in a git repository of its own');
  const start = git('describe', '--tags', '--abbrev=0') ?? START;
  if (git('merge-base', '--is-ancestor', start, 'HEAD') === undefined) skip(`the history is not complete: it lacks ${start}`);
  const lines = git('log', '--no-merges', '--format=%h %s', `${start}..HEAD`)?.split('\n').filter(Boolean) ?? [];
  const problems = lines.flatMap((line) => problemsOf(line.slice(line.indexOf(' ') + 1)).map((problem) => `${line}: ${problem}`));
  expect(problems).toEqual([]);
});

describe('the rule for subjects', () => {
  test.each(['server: close the longest idle connection when full', 'tls, cluster: retry', 'docs/adr: record v1.2'])(
    'the subject "%s" has no problem',
    (subject) => expect(problemsOf(subject)).toEqual([]),
  );

  test.each([
    ['Repair what a review found', 'names no part: start with one and a colon, as in "server: ..."'],
    ['server: retry.', 'ends with a period: remove it'],
    [`server: ${'x'.repeat(65)}`, 'has 73 characters: use at most 72'],
  ])('the subject "%s" has a problem', (subject, problem) => expect(problemsOf(subject)).toEqual([problem]));
});
