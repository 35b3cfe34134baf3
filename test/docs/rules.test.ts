import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Exemption } from '../../src/core/exemptions.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { rules } from '../../src/core/rules/index.ts';
import { POD_VERSIONS, podPaths, podSchemas } from '../support/openapi.ts';
import { claimedBy, type Example, examplesOf, judged, outcomeOf, pagesIn, pathsOf, readPage, rowsOf, sectionOf } from './page.ts';

const SECTIONS = ['Why', 'Fields and allowed values', 'Fix', 'Example', 'Source'];
const known = new Set(['spec', ...POD_VERSIONS.flatMap((version) => podPaths(podSchemas(version)))]);

test('each rule has a page, and each page a rule', () => {
  expect(pagesIn('rules').toSorted(), 'write docs/rules/<id>.md for each rule').toEqual(rules.map(({ id }) => id).toSorted());
});

test('the index lists the rules in reading order, each with its summary', () => {
  const listed = rowsOf(sectionOf(readPage('docs/README.md'), 'Rules'));
  expect(listed, 'list the rules under "Rules" of docs/README.md, in the order of src/core/rules/index.ts').toEqual(
    rules.map(({ id, summary }) => [`[${id}](rules/${id}.md)`, summary]),
  );
});

describe.each(rules)('the page of $id', ({ id, summary, fields, exemptibleValues }) => {
  const page = readPage(`docs/rules/${id}.md`);
  const examples = examplesOf(sectionOf(page, 'Example'));

  test('the page has the name and the summary of the rule', () => {
    expect(page).toMatchObject({ title: id, lead: summary });
  });

  test('the page has all sections, and none is empty', () => {
    expect([...page.sections.keys()]).toEqual(SECTIONS);
    for (const section of page.sections.values()) expect(section).not.toBe('');
  });

  test('the page explains the danger in two to six sentences', () => {
    const sentences = sectionOf(page, 'Why').split(/(?<=[.:?])\s+(?=[A-Z`])/);
    expect(sentences.length, 'give the section "Why" two sentences or more').toBeGreaterThanOrEqual(2);
    expect(sentences.length, 'give the section "Why" six sentences or fewer').toBeLessThanOrEqual(6);
  });

  test('the page names every field that the rule judges', () => {
    const named = rowsOf(sectionOf(page, 'Fields and allowed values')).flatMap(([field = '']) => [...field.matchAll(/`([^`]+)`/g)]);
    expect(named.map(([, field]) => field)).toEqual(expect.arrayContaining([...fields]));
  });

  test('the page links to a source', () => {
    expect(sectionOf(page, 'Source')).toMatch(/https:\/\//);
  });

  test('the page has an example that violates the rule, in fields that pods have', () => {
    if (id === 'pod-size') return; // no page holds such a pod
    expect(examples.length).toBe(sectionOf(page, 'Example').split('\n```yaml\n').length - 1 - afters(examples));
    for (const example of examples) {
      expect(judged(example).verdict.findings.map(({ rule }) => rule)).toContain(id);
      if (id === 'unknown-fields') continue;
      expect(pathsOf(example.pod.spec, 'spec').filter((path) => !isKnown(path))).toEqual([]);
    }
  });

  test('the page shows the result of each example', () => {
    for (const example of examples) expect(outcomeOf(example)).toEqual(claimedBy(example));
  });

  test('the page states whether the rule has exemptions, with one that works', () => {
    const fix = sectionOf(page, 'Fix');
    if (exemptibleValues === undefined) {
      expect(fix).toContain('No exemption');
      return;
    }
    expect(fix.replaceAll('\n', ' ')).toContain(`Exemption: ${exemptibleValues}.`);
    const values = parse(new RegExp(`\`${id}: (\\[.*\\])\``).exec(fix)?.[1] ?? 'null');
    const [example] = examples as [Example];
    const before = judged(example).verdict;
    const after = judged(example, [exemption(id, values)]).verdict;
    expect(after.exempted.map(({ value }) => value)).toEqual(expect.arrayContaining(values));
    expect(findingsOf(id, after.findings)).toBeLessThan(findingsOf(id, before.findings));
  });
});

const afters = (examples: readonly Example[]): number => examples.filter(({ outcome }) => outcome === 'After').length;

const findingsOf = (id: string, findings: readonly { readonly rule: string }[]): number =>
  findings.filter(({ rule }) => rule === id).length;

/** Below a map any key is a pod's own to choose. */
const isKnown = (path: string): boolean =>
  known.has(path) ||
  known.has(/^spec\.(?:nodeSelector|overhead|.*\.(?:limits|requests|volumeAttributes))\./.exec(path)?.[0].concat('*') ?? '');

function exemption(rule: string, values: readonly string[]): Exemption {
  return {
    reason: 'the page says so',
    expires: new Date('2031-01-01'),
    namespaces: [makeNamePattern('team-a')],
    serviceAccounts: [makeNamePattern('default')],
    allow: new Map([[rule, new Set(values)]]),
  };
}
