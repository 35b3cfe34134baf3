import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { backends } from '../../src/core/profiles/index.ts';
import { rules } from '../../src/core/rules/index.ts';
import { nearest } from '../../src/did-you-mean.ts';
import { cloister } from '../support/run.ts';

const docs = join(import.meta.dirname, '../../docs');

test('without a name it lists every rule and every profile', async () => {
  const { code, stdout } = await cloister(['explain']);
  expect(code).toBe(0);
  const lines = stdout.split('\n').map((line) => line.trim().replace(/ +/, ': '));
  for (const { id, summary } of [...rules, ...backends]) expect(lines).toContain(`${id}: ${summary}`);
});

test.each([
  ['a rule', 'volume-types', 'rules/volume-types.md'],
  ['a profile', 'kata-qemu', 'profiles/kata-qemu.md'],
])('%s: prints its page', async (_, name, page) => {
  expect(await cloister(['explain', name])).toEqual({ code: 0, stdout: await readFile(join(docs, page), 'utf8'), stderr: '' });
});

test("a profile of the operator's own: what it extends, and that page", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-explain-'));
  const config = join(folder, 'config.yaml');
  await writeFile(
    config,
    'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles:\n  kata-team-a: {extends: kata-qemu, runtimeClassName: kata-a, grant: containers}\n',
  );
  const [{ stdout }, list] = await Promise.all([
    cloister(['explain', 'kata-team-a', '--config', config]),
    cloister(['explain', '--config', config]),
  ]);
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(/^In this configuration, kata-team-a extends kata-qemu, grants containers, runs on runtime class kata-a\.\n\n/);
  expect(stdout).toContain(await readFile(join(docs, 'profiles/kata-qemu.md'), 'utf8'));
  expect(list.stdout).toMatch(/Profiles of this configuration:\n {2}kata-team-a +extends kata-qemu/);
});

test('an unknown name: what it may have meant', async () => {
  const { code, stdout, stderr } = await cloister(['explain', 'volume-tyeps']);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toBe('there is no rule or profile "volume-tyeps": did you mean volume-types?\n`cloister explain` lists them\n');
});

describe('near names', () => {
  const names = rules.map(({ id }) => id);
  test.each([
    ['a slip', 'privilegd', ['privileged']],
    ['two letters swapped', 'selniux', ['selinux']],
    ['a part', 'volume', ['volume-types']],
    ['nothing like it', 'banana', []],
  ])('%s', (_, typed, near) => expect(nearest(typed, names)).toEqual(near));
});
