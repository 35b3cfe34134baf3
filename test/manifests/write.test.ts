import { chmod, link, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { replaceFile } from '../../src/manifests/write.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-write-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a replaced file keeps its mode, and nothing is left beside it', async () => {
  const file = join(folder, 'a.yaml');
  await writeFile(file, 'old');
  await chmod(file, 0o640);
  const before = await stat(file);
  await replaceFile(file, 'new');
  const after = await stat(file);
  expect([await readFile(file, 'utf8'), after.mode, await readdir(folder)]).toEqual(['new', before.mode, ['a.yaml']]);
  // Another file took the name, so that no reader sees half of the content.
  expect(after.ino).not.toBe(before.ino);
});

test('a link stays a link, and its file is replaced', async () => {
  const [file, symbolic] = [join(folder, 'b.yaml'), join(folder, 'link.yaml')];
  await writeFile(file, 'old');
  await symlink('b.yaml', symbolic);
  await replaceFile(symbolic, 'new');
  expect([(await lstat(symbolic)).isSymbolicLink(), await readFile(file, 'utf8')]).toEqual([true, 'new']);
});

test('a file with several hard links is left as it is', async () => {
  const [file, other] = [join(folder, 'c.yaml'), join(folder, 'd.yaml')];
  await writeFile(file, 'old');
  await link(file, other);
  expect(await replaceFile(file, 'new')).toContain('the file has 2 names (hard links)');
  expect([await readFile(file, 'utf8'), await readFile(other, 'utf8')]).toEqual(['old', 'old']);
  await rm(other);
  expect(await replaceFile(file, 'new')).toBeUndefined();
  expect(await readFile(file, 'utf8')).toBe('new');
});

test('a file that is not there is not created', async () => {
  await expect(replaceFile(join(folder, 'none.yaml'), 'new')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(folder)).not.toContain('none.yaml');
});
