import { describe, expect, test } from 'vitest';
import { checks } from '../../src/doctor/checks/index.ts';
import { ORIGINS, printRight } from '../../src/doctor/rights.ts';
import { wallChecks } from '../../src/live/checks/index.ts';
import { eventCauses } from '../../src/live/events.ts';
import { pagesIn, readPage, rowsOf, sectionOf } from './page.ts';

const SECTIONS = ['Why', 'What it reads', 'Answer', 'What to do', 'Source'];

test('each check has a page, and each page a check', () => {
  expect(pagesIn('checks').toSorted(), 'write docs/checks/<id>.md for each check').toEqual(
    [...wallChecks, ...checks].map(({ id }) => id).toSorted(),
  );
});

test('the index lists the checks in reading order, each with its summary', () => {
  const listed = rowsOf(sectionOf(readPage('docs/README.md'), 'Checks of a running pod'));
  expect(listed, 'list the checks in docs/README.md, in the order of src/live/checks/index.ts').toEqual(
    wallChecks.map(({ id, summary }) => [`[${id}](checks/${id}.md)`, summary]),
  );
});

describe.each(wallChecks)('the page of $id', ({ id, summary, severity, answer, reads }) => {
  const page = readPage(`docs/checks/${id}.md`);

  test('the page has the name and the summary of the check', () => {
    expect(page).toMatchObject({ title: id, lead: summary });
  });

  test('the page has all sections, and none is empty', () => {
    expect([...page.sections.keys()]).toEqual(SECTIONS);
    for (const section of page.sections.values()) expect(section).not.toBe('');
  });

  test('the page names what the check reads', () => {
    const named = rowsOf(sectionOf(page, 'What it reads')).map(([kind, field]) => `${kind} ${field?.replaceAll('`', '')}`);
    expect(named).toEqual(reads);
  });

  test('the page states severity and answer', () => {
    const answers = answer === undefined ? 'none: whether the wall stands does not depend on it' : `\`${answer}\``;
    expect(sectionOf(page, 'Answer')).toContain(`Severity: \`${severity}\`. Answer: ${answers}.`);
  });

  test('the page links to a source', () => {
    expect(sectionOf(page, 'Source')).toMatch(/https:\/\//);
  });
});

test('the index lists the checks of a cluster in reading order, each with its summary', () => {
  const listed = rowsOf(sectionOf(readPage('docs/README.md'), 'Checks of a cluster'));
  expect(listed, 'list the checks in docs/README.md, in the order of src/doctor/checks/index.ts').toEqual(
    checks.map(({ id, summary }) => [`[${id}](checks/${id}.md)`, summary]),
  );
});

describe.each(checks)('the page of $id', ({ id, summary, reads, levels }) => {
  const page = readPage(`docs/checks/${id}.md`);

  test('the page has the name, the summary and all sections, and none is empty', () => {
    expect(page).toMatchObject({ title: id, lead: summary });
    expect([...page.sections.keys()]).toEqual(SECTIONS);
    for (const section of page.sections.values()) expect(section).not.toBe('');
  });

  test('the page names what the check reads, and with which rights', () => {
    expect(rowsOf(sectionOf(page, 'What it reads'))).toEqual(
      reads.map((name) => [ORIGINS[name].what, ORIGINS[name].rights.map(printRight).join(', ')]),
    );
  });

  test('the page states when each answer is given', () => {
    const listed = rowsOf(sectionOf(page, 'Answer')).map(([level = '']) => level.replaceAll('`', ''));
    expect(listed.toSorted()).toEqual(levels.toSorted());
  });

  test('the page links to a source', () => {
    expect(sectionOf(page, 'Source')).toMatch(/https:\/\//);
  });
});

test('the page of start-failure lists every cause that events show', () => {
  const listed = rowsOf(sectionOf(readPage('docs/checks/start-failure.md'), 'What to do'));
  expect(listed).toEqual(eventCauses.map(({ meaning, remedy }) => [meaning, remedy]));
});
