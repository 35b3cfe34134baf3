import { describe, expect, test } from 'vitest';
import { pagesIn, readPage, rowsOf, sectionOf } from './page.ts';

const names = pagesIn('adr').toSorted();

test('decisions are numbered without a gap', () => {
  expect(names.map((name) => name.slice(0, 5))).toEqual(names.map((_, index) => `${String(index + 1).padStart(4, '0')}-`));
});

test('the index lists the decisions by number and title', () => {
  const listed = rowsOf(sectionOf(readPage('docs/README.md'), 'Decisions'));
  expect(listed).toEqual(
    names.map((name) => {
      const [, number, title] = /^(\d+)\. (.*)$/.exec(readPage(`docs/adr/${name}.md`).title) ?? [];
      return [`[${number}](adr/${name}.md)`, title];
    }),
  );
});

describe.each(names)('%s', (name) => {
  const page = readPage(`docs/adr/${name}.md`);

  test('the title begins with its number', () => {
    expect(Number(page.title.split('.')[0])).toBe(Number(name.slice(0, 4)));
  });

  test('the decision has the sections context, choice and consequence', () => {
    expect([...page.sections.keys()]).toEqual(['Context', 'Choice', 'Consequence']);
    for (const section of page.sections.values()) expect(section).not.toBe('');
  });

  test('the decision has at most 50 lines', () => {
    expect(page.text.split('\n').length).toBeLessThanOrEqual(50);
  });
});
