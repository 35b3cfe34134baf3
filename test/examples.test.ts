import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { structuredPatch } from 'diff';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloister } from './support/run.ts';

const folder = join(import.meta.dirname, '../examples');
// The folder also contains a configuration and a review.
const holdsPods = (file: string): boolean => !/kind"?:\s*"?(?:Config|AdmissionReview)\b/.test(readFileSync(join(folder, file), 'utf8'));
/** Nothing can repair its folders of the node. */
const REFUSED_PLATFORM = 'platforms/coder-envbox.yaml';
const examples = globSync(['*.{yaml,json}', 'platforms/*.yaml'], { cwd: folder })
  .filter((file) => holdsPods(file) && file !== REFUSED_PLATFORM)
  .toSorted();
const refused = [...globSync('refused/*.yaml', { cwd: folder }), REFUSED_PLATFORM].toSorted();

interface Pod {
  readonly file: string;
  readonly verdict: string;
  readonly findings: readonly { readonly line: number; readonly fixable: boolean }[];
}

let repaired = '';
let before: readonly Pod[] = [];
let after: readonly Pod[] = [];
let printed = '';

beforeAll(async () => {
  repaired = mkdtempSync(join(tmpdir(), 'cloister-examples-'));
  cpSync(folder, repaired, { recursive: true });
  before = await podsIn(folder);
  printed = (await cloister(['fix', '-f', repaired, '--write'])).stderr;
  after = await podsIn(repaired);
}, 60_000);
afterAll(() => rmSync(repaired, { recursive: true }));

async function podsIn(from: string): Promise<readonly Pod[]> {
  const { stdout } = await cloister(['check', '-f', from, '-o', 'json']);
  return (JSON.parse(stdout) as { pods: Pod[] }).pods.map((pod) => ({ ...pod, file: pod.file.slice(from.length + 1) }));
}

const linesOf = (from: string, file: string): string[] => readFileSync(join(from, file), 'utf8').split('\n');
const verdicts = (pods: readonly Pod[], file: string): string[] => pods.filter((pod) => pod.file === file).map(({ verdict }) => verdict);

test('there are at least 12 repairable and 2 refused examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(12);
  expect(refused.length).toBeGreaterThanOrEqual(2);
});

test('a second repair of the examples changes nothing', async () => {
  expect((await cloister(['fix', '-f', ...examples.map((file) => join(repaired, file)), '--diff'])).stdout).toBe('');
});

describe.each(examples)('%s', (file) => {
  test('the example is repairable before its repair and clean afterwards', () => {
    expect(verdicts(before, file)).toContain('repairable');
    expect(verdicts(after, file)).toEqual(verdicts(before, file).map(() => 'clean'));
  });

  test('the repair changes only lines with findings', () => {
    const found = new Set(
      before.filter((pod) => pod.file === file).flatMap(({ findings }) => findings.flatMap(({ line, fixable }) => (fixable ? [line] : []))),
    );
    const fixed = new Set(linesOf(repaired, file));
    const removed = removedLines(file);
    const gone = new Set(removed.map(({ line }) => line));
    const old = linesOf(folder, file);
    const indentOf = (line: number): number => /^ *(?:- )?/.exec(old[line - 1] ?? '')?.[0].length ?? 0;
    for (const { line, text } of removed) {
      // What lost its last member, or gets its first one, says so on its own line; what comes after the first one moves up to its dash; in JSON a comma follows.
      const moved = [
        `${text} {}`,
        `${text} []`,
        text.replace(/ {2}(?=\S)/, '- '),
        `${text},`,
        text.replace(/\{\}$/, '{seccompProfile: {type: RuntimeDefault}}'),
        text.replace(/ \{\}$/, ''),
      ].some((each) => fixed.has(each));
      // A comment leaves with the field below it, and a map or list with the last that it contains.
      const isComment = /^\s*#/.test(text) && gone.has(line + 1);
      const below = old.slice(line).findIndex((_, index) => indentOf(line + 1 + index) <= indentOf(line));
      const isEmptied =
        text.trimEnd().endsWith(':') && below > 0 && old.slice(line, line + below).every((_, index) => gone.has(line + 1 + index));
      expect(found.has(line) || moved || isComment || isEmptied, `${file}:${line}: ${text}`).toBe(true);
    }
  });

  test('the repair keeps every comment except those about removed lines', () => {
    const gone = new Set(removedLines(file).map(({ line }) => line));
    const comments = linesOf(folder, file).flatMap((text, index) => (/^\s*#/.test(text) ? [{ line: index + 1, text }] : []));
    const kept = comments.filter(({ line }) => !gone.has(line) || !gone.has(line + 1));
    expect(kept.filter(({ line }) => gone.has(line))).toEqual([]);
    expect(linesOf(repaired, file)).toEqual(expect.arrayContaining(kept.map(({ text }) => text)));
  });
});

describe.each(refused)('%s', (file) => {
  test('the example is not changed, and the output lists what to fix by hand', () => {
    expect(linesOf(repaired, file)).toEqual(linesOf(folder, file));
    expect(verdicts(after, file)).toEqual(['refused']);
    expect(printed).toMatch(new RegExp(`${file}: Pod .* is unchanged; fix by hand first:\n.*${file}:\\d+:\\d+: `));
  });
});

/** By line number in the old text. */
function removedLines(file: string): { readonly line: number; readonly text: string }[] {
  const [old, fixed] = [linesOf(folder, file).join('\n'), linesOf(repaired, file).join('\n')];
  return structuredPatch('', '', old, fixed, '', '', { context: 0 }).hunks.flatMap(({ oldStart, lines }) =>
    lines.filter((line) => line.startsWith('-')).map((text, index) => ({ line: oldStart + index, text: text.slice(1) })),
  );
}
