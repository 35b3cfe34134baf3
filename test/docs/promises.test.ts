import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SETTINGS } from '../node/fixture/attempts.ts';
import { knownFailure, offersWith, PROMISED, stepsOf } from '../node/fixture/offers.ts';
import { dockerInDocker, withNodeFiles } from '../node/fixture/pods.ts';
import { readRecorded } from '../node/fixture/recorded.ts';
import { enginesOf, pageOf, withRecorded } from '../node/fixture/report.ts';
import { STEPS } from '../node/fixture/steps.ts';
import { readPage, root, sectionOf } from './page.ts';

/**
 * docs/promises.md comes from a run, and from recorded ones in docs/promises. These tests check that it reports all of both: every profile,
 * every step, every attempt.
 */

const page = readPage('docs/promises.md');
const offers = offersWith([]);
const { run, stored } = offers;
const recorded = await readRecorded(join(root, 'docs/promises'));
/** If several engines are tested under an offer, each has a row. */
const listed = [...run.flatMap((offer) => enginesOf(offer).map(() => offer)), ...stored];
const unasked = [dockerInDocker('any'), withNodeFiles('any')].map(({ metadata }) => metadata.name);

type Row = readonly string[];
function rowsOf(section: string): readonly Row[] {
  const lines = sectionOf(page, section)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  const [head, , ...rows] = lines.map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  for (const row of rows) expect(row, row.join(' | ')).toHaveLength(head?.length ?? 0);
  return [head ?? [], ...rows];
}
const code = (id: string): string => `\`${id}\``;

test('the table has a row for each profile and grant, with a result for each promise', () => {
  const [, ...rows] = rowsOf('The table');
  expect(rows.map(([id]) => id)).toEqual([...listed.map(({ id }) => code(id)), ...unasked.map((pod) => `none: ${code(pod)}`)]);
  for (const [index, offer] of listed.entries()) {
    const [, grant, ...promises] = rows[index] ?? [];
    expect(grant).toMatch(new RegExp(`^\`${offer.grant}\``));
    const isRecorded = recorded.some((each) => each.offer.id === offer.id);
    const says =
      run.includes(offer) || isRecorded
        ? /^(kept|in part|not kept|broken): \d+ of \d+( got out(, all of them known)?)?$/
        : /^stored, not run here$/;
    expect(promises.at(-1)).toMatch(run.includes(offer) ? /^this run$/ : isRecorded ? /^\*recorded\*/ : /^not run$/);
    const expected = (['sudo', 'build', 'run'] as const).map((promise) =>
      PROMISED[offer.grant].includes(promise) ? says : /^not granted$/,
    );
    for (const [nr, pattern] of [...expected, says].entries()) expect(promises[nr], `${offer.id}, promise ${nr + 1}`).toMatch(pattern);
  }
});

test('no attempt reached the node under any profile that ran', () => {
  for (const [, ...row] of rowsOf('The table').slice(1, listed.length - stored.length + 1))
    expect(row.at(-2)).toMatch(/^kept: 0 of \d+ got out$/);
});

test('attempts reach the node in pods without Cloister', () => {
  for (const row of rowsOf('The table').slice(-unasked.length))
    expect(row.at(-2)).toMatch(/^broken: [1-9]\d* of \d+ got out, and root is root of the node$/);
});

test('the page lists each step that is known to fail with its error', () => {
  const failing = run.flatMap((offer) =>
    stepsOf(offer).flatMap(({ name }) => (knownFailure(offer, name) === undefined ? [] : [{ id: offer.id, name }])),
  );
  expect(failing.length).toBeGreaterThan(0);
  for (const { id, name } of failing) expect(page.text).toMatch(new RegExp(`^- \`${id}\`, ${name}: \`.+\`$`, 'm'));
});

test('the page shows the recorded runs as in their files', () => {
  expect(recorded.length).toBeGreaterThan(0);
  expect(withRecorded(page.text, { offers, recorded })).toBe(page.text);
});

test('steps that are expected to fail on a runtime that the node lacks failed in a recorded run', () => {
  const known = stored.flatMap((offer) => (offer.fails ?? []).map((failure) => ({ offer, ...failure })));
  expect(known.length).toBeGreaterThan(0);
  for (const { offer, steps, says } of known) {
    const outcomes = recorded.filter((each) => each.offer.id === offer.id).flatMap((each) => each.outcomes);
    const seen = outcomes.filter(({ step, ok, said }) => !ok && steps.test(step.name) && says.test(said));
    const names = stepsOf(offer).flatMap(({ name }) => (steps.test(name) ? [name] : []));
    expect([...new Set(seen.map(({ step }) => step.name))], `${offer.id}, ${steps}`).toEqual(names);
  }
});

test('the table of steps has a row for each step and a column for each profile', () => {
  const [head, ...rows] = rowsOf('Promises 1 to 3: what was done');
  expect(head).toEqual(['Step', ...run.map(({ id }) => code(id))]);
  expect(rows.map(([name]) => name)).toEqual(STEPS.map(({ name }) => name));
  for (const [, ...cells] of rows) for (const cell of cells) expect(cell).toMatch(/^(-|fails|\d+\.\d)$/);
});

test('the table of attempts has a row for each attempt, with columns for pods without Cloister', () => {
  const tried = [...readFileSync(join(root, 'tools/programs/probe/main.go'), 'utf8').matchAll(/^\t\{"([^"]+)", (?:true|false),/gm)];
  expect(tried.length).toBeGreaterThan(20);
  const names = [...tried.map(([, name]) => name), ...SETTINGS.map((name) => `raise ${name}`), 'make a control group'];
  const [head, ...rows] = rowsOf('Promise 4: what root of the pod tried');
  expect(head).toEqual(['Attempt', ...unasked.map((pod) => `${code(pod)}, without Cloister`), ...run.map(({ id }) => code(id))]);
  expect(rows.map(([name]) => name)).toEqual(names);
  for (const [nr] of unasked.entries()) {
    const without = rows.map((row) => row[nr + 1]);
    for (const each of without) expect(each).toMatch(/^(gets through|inconclusive: .+|also denied: .+)$/);
    expect(without.filter((each) => each === 'gets through').length).toBeGreaterThan(15);
  }
  expect(sectionOf(page, 'Promise 4: what root of the pod tried')).not.toContain('got out**');
});

test('the fixed sentences of the page are those that the tool writes', () => {
  const written = pageOf({ offers, kept: [], unasked: [], missed: {}, versions: {}, recorded });
  const paragraphs = written.split('\n\n').filter((paragraph) => !/^(\||Written by )/.test(paragraph) && !paragraph.includes('\n|'));
  expect(paragraphs.length).toBeGreaterThan(10);
  for (const paragraph of paragraphs) expect(page.text).toContain(paragraph);
});

test("the kubelet's messages name the missing runtime", () => {
  const [, ...rows] = rowsOf('Profiles whose runtime this node lacks');
  expect(rows.map(([id]) => id)).toEqual(stored.map(({ id }) => code(id)));
  for (const [id = '', says = ''] of rows)
    expect(says).toContain(id.includes('sysbox') ? 'sysbox-runc' : id.replaceAll('`', '').replace('-containers', ''));
});

test('the page names the versions under test, and nothing that exists in one run only', () => {
  for (const version of ['Kubernetes', 'containerd', 'runc', 'gVisor', 'Linux']) expect(page.lead).toMatch(new RegExp(`${version} \\d`));
  expect(page.text).not.toMatch(/\/tmp\/|[0-9a-f]{8}-[0-9a-f]{4}-|\/root\//);
});
