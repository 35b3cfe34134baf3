import { describe, expect, test } from 'vitest';
import { checkById, checks } from '../../src/doctor/checks/index.ts';
import type { Facts } from '../../src/doctor/facts.ts';
import { contextWith, factsWith } from '../support/doctor-facts.ts';
import { cases as otherCases } from './cases.ts';
import { nodeCases } from './node-cases.ts';

const cases = { ...otherCases, ...nodeCases };

/** Each check applies to one of these profiles. */
const EVERY_BACKEND = contextWith(`profiles:
  userns: {grant: containers, grantTo: [main]}
  sysbox: {}
  old-sysbox: {extends: sysbox, identity: crio-annotation}
  kata-qemu: {}
  kata-clh: {}
  gvisor: {}`);

describe.each(checks)('$id', (check) => {
  const { id, levels, reads } = check;

  test.each(cases[id] ?? [])('$title', ({ facts, context = contextWith(), answers }) => {
    const found = check.run(factsWith(facts), context);
    expect(found.map(({ level }) => level)).toEqual(answers.map(([level]) => level));
    for (const [index, { message, remedy, level, check: of }] of found.entries()) {
      expect(message).toMatch(answers[index]?.[1] ?? /^$/);
      expect(of).toBe(id);
      expect(remedy !== '').toBe(level !== 'ok');
    }
  });

  test('the table has a case for each level that the check declares, and no other level', () => {
    const shown = new Set((cases[id] ?? []).flatMap(({ answers }) => answers.map(([level]) => level)));
    expect([...shown].filter((level) => level !== 'ok' && level !== 'unknown').toSorted()).toEqual(
      levels.filter((level) => level !== 'unknown').toSorted(),
    );
    expect([...shown]).toContain('ok');
  });

  test.each(reads)('without the fact %s the only answer is unknown, with the reason', (name) => {
    const facts: Facts = { ...factsWith(), [name]: { missing: 'this identity needs list on pods' } };
    const found = check.run(facts, EVERY_BACKEND);
    expect(found.length).toBeGreaterThan(0);
    for (const { level, message, remedy } of found) {
      expect([level, message]).toEqual(['unknown', 'not checked: this identity needs list on pods']);
      expect(remedy).toContain('--print-rbac');
    }
  });

  test('the summary is one sentence, and each fact has its rights', () => {
    expect(check.summary).toMatch(/^[A-Z`][^.]*(?:\.\d[^.]*)*\.$/);
    expect(check.needs.length).toBeGreaterThanOrEqual(reads.length);
  });
});

test('a healthy cluster gives no problem', () => {
  const found = checks.flatMap((check) => check.run(factsWith(), contextWith()));
  expect(found.filter(({ level }) => level !== 'ok')).toEqual([]);
  expect(found.length).toBeGreaterThan(35);
});

test('each case belongs to a check, and each id exists once', () => {
  expect(Object.keys(cases).filter((id) => !checkById.has(id))).toEqual([]);
  expect(checkById.size).toBe(checks.length);
});

test('a check of profiles answers for the chosen profile alone', () => {
  const context = contextWith('profiles: {userns: {}, kata-qemu: {}}', { profile: 'kata-qemu' });
  const found = checkById.get('psa-level')?.run(factsWith(), context) ?? [];
  expect(found.map(({ profile }) => profile)).toEqual(['kata-qemu']);
});
