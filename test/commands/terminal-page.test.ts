import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { printPage } from '../../src/commands/shared/terminal-page.ts';
import { pagesIn, root } from '../docs/page.ts';

const PAGES = ['rules', 'profiles'].flatMap((folder) => pagesIn(folder).map((id) => `${folder}/${id}`));

test('a paragraph is wrapped between words, and paragraphs stay apart', () => {
  expect(printPage('one two three\nfour\n\nfive', 9)).toBe('one two\nthree\nfour\n\nfive');
});

test('a word that is wider than the line stays whole', () => {
  expect(printPage('see https://example.com/a-long-path for more', 12)).toBe('see\nhttps://example.com/a-long-path\nfor more');
});

test('an item of a list is indented behind its mark', () => {
  expect(printPage('- one two three\n- four\n1. five six', 9)).toBe('- one two\n  three\n- four\n1. five\n   six');
});

test('a row of a table becomes a list of its cells, without the empty ones', () => {
  const table = '| Field | Allowed |\n|---|:---|\n| `a` | one two |\n| `b\\|c` | |';
  expect(printPage(table, 14)).toBe('- Field: `a`\n  Allowed: one\n  two\n- Field: `b|c`');
});

test('code keeps its lines, also those that look like something else', () => {
  expect(printPage('```yaml\n# a: b\n| c |\n\n- d and more than the width\n```\nafter', 10)).toBe(
    '    # a: b\n    | c |\n\n    - d and more than the width\nafter',
  );
});

describe('every page that is explained', () => {
  test.each(PAGES)('%s fits 80 columns, but for code and long words', (page) => {
    const text = readFileSync(join(root, 'docs', `${page}.md`), 'utf8');
    const long = printPage(text, 80)
      .split('\n')
      .filter((line) => line.length > 80 && !line.startsWith('    ') && line.replace(/^(?:- | +)/, '').includes(' '));
    expect(long).toEqual([]);
  });

  test.each(PAGES)('%s keeps every word', (page) => {
    const text = readFileSync(join(root, 'docs', `${page}.md`), 'utf8');
    const words = (of: string) => new Set(of.replaceAll(/^```.*$/gm, '').match(/[\p{L}\p{N}]+/gu));
    const printed = words(printPage(text, 80));
    expect([...words(text)].filter((word) => !printed.has(word))).toEqual([]);
  });
});
