import { relative, resolve, sep } from 'node:path';

/** A pattern of files to leave out, as in a `.gitignore`. */
export interface IgnorePattern {
  readonly matches: RegExp;
  /** Whether the pattern brings back files that an earlier one ignores: it starts with `!`. */
  readonly restores: boolean;
}

/**
 * The patterns of a `.cloisterignore`: one on each line, without empty lines and comments (`#`). The notation is that of `.gitignore`: `*` and `?`
 * stand for characters of one name, `**` for any folders; a pattern with a slash inside starts at the working folder, another one matches
 * names in every folder; a slash at the end selects folders. What is in a folder that matches is ignored too.
 */
export function parseIgnoreFile(text: string): IgnorePattern[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(parseIgnorePattern);
}

export function parseIgnorePattern(written: string): IgnorePattern {
  const restores = written.startsWith('!');
  const isFolder = written.endsWith('/');
  const pattern = written
    .slice(restores ? 1 : 0)
    .replace(/\/+$/, '')
    .replace(/^\.\//, '/');
  const isAnchored = pattern.includes('/');
  const steps = pattern
    .replace(/^\/+/, '')
    .split('/')
    .map(printStep)
    .join('/')
    .replaceAll('**/', '(?:.*/)?')
    .replaceAll('/**', '(?:/.*)?')
    .replaceAll('**', '.*');
  const beginning = isAnchored ? '^' : '^(?:.*/)?';
  return { matches: new RegExp(`${beginning}${steps}${isFolder ? '/' : '(?:/|$)'}`), restores };
}

function printStep(step: string): string {
  if (step === '**') return step;
  return RegExp.escape(step).replaceAll('\\*', '[^/]*').replaceAll('\\?', '[^/]');
}

/** @param file its name, relative to the working folder or absolute; the last pattern that matches it counts */
export function isIgnored(file: string, patterns: readonly IgnorePattern[]): boolean {
  const path = relative('.', resolve(file)).split(sep).join('/');
  return patterns.findLast(({ matches }) => matches.test(path))?.restores === false;
}
