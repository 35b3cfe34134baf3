import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { offersWith, PROMISED } from '../node/fixture/offers.ts';
import { dockerInDocker, withNodeFiles } from '../node/fixture/pods.ts';
import { STEPS } from '../node/fixture/steps.ts';
import { readPage, root, sectionOf } from './page.ts';

/** docs/promises.md comes from a run. What is held here is that it tells all of one: every profile, every step, every attempt. */

const page = readPage('docs/promises.md');
const { run, stored } = offersWith([]);
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

test('the table has a row for each profile and grant, and says of each promise what became of it', () => {
  const [, ...rows] = rowsOf('The table');
  expect(rows.map(([id]) => id)).toEqual([...[...run, ...stored].map(({ id }) => code(id)), ...unasked.map((pod) => `none: ${code(pod)}`)]);
  for (const [index, offer] of [...run, ...stored].entries()) {
    const [, grant, ...promises] = rows[index] ?? [];
    expect(grant).toMatch(new RegExp(`^\`${offer.grant}\``));
    const says = run.includes(offer) ? /^(kept|in part): \d+ of \d+( got out)?$/ : /^stored, not run here$/;
    const expected = (['sudo', 'build', 'run'] as const).map((promise) =>
      PROMISED[offer.grant].includes(promise) ? says : /^not granted$/,
    );
    for (const [nr, pattern] of [...expected, says].entries()) expect(promises[nr], `${offer.id}, promise ${nr + 1}`).toMatch(pattern);
  }
});

test('nobody got out', () => {
  for (const [, ...row] of rowsOf('The table').slice(1, run.length + 1)) expect(row.at(-1)).toMatch(/^kept: 0 of \d+ got out$/);
});

test('everybody gets out where Cloister is not asked', () => {
  for (const row of rowsOf('The table').slice(-unasked.length))
    expect(row.at(-1)).toMatch(/^broken: [1-9]\d* of \d+ got out, and root is root of the node$/);
});

test('what is only kept in part is told with its error', () => {
  const partly = run.filter(({ fails }) => fails !== undefined);
  for (const { id, fails = {} } of partly)
    for (const step of Object.keys(fails)) expect(page.text).toMatch(new RegExp(`^- \`${id}\`, ${step}: \`.+\`$`, 'm'));
});

test('each step has its row, each profile its column', () => {
  const [head, ...rows] = rowsOf('Promises 1 to 3: what was done');
  expect(head).toEqual(['Step', ...run.map(({ id }) => code(id))]);
  expect(rows.map(([name]) => name)).toEqual(STEPS.map(({ name }) => name));
  for (const [, ...cells] of rows) for (const cell of cells) expect(cell).toMatch(/^(-|fails|\d+\.\d)$/);
});

test('each attempt has its row, beside what comes of it without Cloister', () => {
  const names = [...readFileSync(join(root, 'tools/probe/main.go'), 'utf8').matchAll(/^\t\{"([^"]+)", (?:true|false),/gm)].map(
    ([, name]) => name,
  );
  expect(names.length).toBeGreaterThan(20);
  const [head, ...rows] = rowsOf('Promise 4: what root of the pod tried');
  expect(head).toEqual(['Attempt', ...unasked.map((pod) => `${code(pod)}, without Cloister`), ...run.map(({ id }) => code(id))]);
  expect(rows.map(([name]) => name)).toEqual(names);
  for (const [nr] of unasked.entries()) {
    const without = rows.map((row) => row[nr + 1]);
    for (const each of without) expect(each).toMatch(/^(gets through|means nothing here: .+|refused as well: .+)$/);
    expect(without.filter((each) => each === 'gets through').length).toBeGreaterThan(15);
  }
  expect(page.text).not.toContain('got out**');
});

test('the kubelet names what it lacks', () => {
  const [, ...rows] = rowsOf('Profiles whose runtime this node lacks');
  expect(rows.map(([id]) => id)).toEqual(stored.map(({ id }) => code(id)));
  for (const [id = '', says = ''] of rows)
    expect(says).toContain(id.includes('sysbox') ? 'sysbox-runc' : id.replaceAll('`', '').replace('-containers', ''));
});

test('it names what it ran on, and nothing of one run alone', () => {
  for (const version of ['Kubernetes', 'containerd', 'runc', 'gVisor', 'Linux']) expect(page.lead).toMatch(new RegExp(`${version} \\d`));
  expect(page.text).not.toMatch(/\/tmp\/|[0-9a-f]{8}-[0-9a-f]{4}-|\/root\//);
});
