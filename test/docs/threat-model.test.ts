import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPage, root, sectionOf } from './page.ts';

/** Compares the page's rows with the titles of tests. Where the last column is outdated, `vitest -u` updates it. */

const PAGE = 'docs/threat-model.md';
const page = readPage(PAGE);
const ROW = /^\| ([TF]\d+) \| (.*?) \| (.*?) \|(?: (.*?))? \|$/gm;
const LINKS = /^(?:\[`[^`]+`\]\([^)]+\)(?:, |\. |$))*/;

interface Row {
  readonly id: string;
  readonly threat: string;
  readonly answer: string;
  /** What the last column says besides the links. */
  readonly remark: string;
}

const rows: readonly Row[] = [...page.text.matchAll(ROW)].map(([, id = '', threat = '', answer = '', shown = '']) => ({
  id,
  threat,
  answer,
  remark: shown.replace(LINKS, ''),
}));

/** `T03, T04: what is claimed`, as the first argument of a call: the title of a test or of a group of tests. */
const TITLE = /\(\s*(['"`])((?:[TFLSR]\d+, )*[TFLSR]\d+): ((?:\\.|(?!\1).)*)\1/g;
/** A number of a row, anywhere at the beginning of a text. */
const ANY_ID = /\(\s*['"`][^'"`\n]*?\b[TF]\d\d?\b[^'"`\n]*/g;

const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && name !== 'docs/threat-model.test.ts')
  .sort();
const textOf = (name: string): string => readFileSync(join(root, 'test', name), 'utf8');

/** Row -> the files whose tests carry it. */
const carriers = new Map<string, Set<string>>();
for (const name of files) {
  for (const [, , ids = ''] of textOf(name).matchAll(TITLE)) {
    for (const id of ids.split(', ')) carriers.set(id, (carriers.get(id) ?? new Set()).add(name));
  }
}

const range = (letter: string, from: number, to: number, digits: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => letter + String(from + index).padStart(digits, '0'));

test('every row exists once, in order', () => {
  const threats = [...range('T', 1, 35, 2), ...range('T', 39, 50, 2), ...range('T', 60, 80, 2)];
  expect(rows.map(({ id }) => id)).toEqual([...threats, 'F1', ...range('F', 4, 21, 1)]);
});

test.each(rows.map((row) => [row.id, row] as const))('row %s has a threat and an answer', (_, { threat, answer }) => {
  for (const text of [threat, answer]) expect(text).toMatch(/^[A-Z0-9`"].*\.$/);
});

test.each(rows.map((row) => [row.id, row] as const))('row %s has a test, or a reason why not and its safeguard', (id, { remark }) => {
  if (carriers.has(id)) expect(remark).toMatch(/^$|^Not built yet: .+\.$/);
  else expect(remark).toMatch(/^No test.*\. Not built yet: .+\.$/);
});

test('the last column names the files whose tests have the row’s number', async () => {
  const linked = page.text.replaceAll(ROW, (_, id: string, threat: string, answer: string, shown: string | undefined) => {
    const links = [...(carriers.get(id) ?? [])].map((name) => `[\`${name.replace(/\.test\.ts$/, '')}\`](../test/${name})`).join(', ');
    const remark = (shown ?? '').replace(LINKS, '');
    return `| ${id} | ${threat} | ${answer} | ${[links, remark].filter((part) => part !== '').join('. ')} |`;
  });
  await expect(linked).toMatchFileSnapshot(join(root, PAGE));
});

test('every number in a test title is a row', () => {
  const known = new Set(rows.map(({ id }) => id));
  expect([...carriers.keys()].filter((id) => /^[TF]/.test(id) && !known.has(id))).toEqual([]);
});

test('numbers are at the start of a title, in the one form that this test reads', () => {
  const loose = files.flatMap((name) =>
    (textOf(name).match(ANY_ID) ?? []).filter((found) => !/^\(\s*['"`](?:[TFLSR]\d+, )*[TFLSR]\d+: /.test(found)),
  );
  expect(loose).toEqual([]);
});

describe('the table of SIG Security', () => {
  const theirs = [...sectionOf(page, 'The threats of Kubernetes SIG Security').matchAll(/^\| (\d+) \| (.*?) \| (.*?) \| (.*?) \|$/gm)];

  test('the table contains all 18 threats', () =>
    expect(theirs.map(([, number]) => Number(number))).toEqual(Array.from({ length: 18 }, (_, index) => index + 1)));

  test('the table names existing rows, or states that a threat is out of scope', () => {
    const known = rows.map(({ id }) => id);
    for (const [, number, , ours = '', stand] of theirs) {
      if (ours === 'none') expect(stand, number).toMatch(/^out of scope: ./);
      else expect(known, number).toEqual(expect.arrayContaining(ours.split(', ')));
    }
  });
});

test.each([...page.text.matchAll(/\]\((\.\.\/[^)]+|[a-z-]+\.md)\)/g)].map(([, target = '']) => target))(
  'the link target %s exists',
  (target) => {
    expect(existsSync(join(root, 'docs', target))).toBe(true);
  },
);
