import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cached } from '../../../tools/programs/cache.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cloister-cache-'));
  vi.stubEnv('XDG_CACHE_HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

const textOf = (folder: string, name: string): Promise<string> => readFile(join(folder, name), 'utf8');

test('only missing entries are made', async () => {
  const made: string[][] = [];
  const make = async (into: string, missing: readonly string[]): Promise<void> => {
    made.push([...missing]);
    for (const name of missing) await writeFile(join(into, name), name);
  };
  const folder = await cached('things', ['a'], make);
  expect(await cached('things', ['a', 'b'], make)).toBe(folder);
  await cached('things', ['b', 'a'], make);
  expect(made).toEqual([['a'], ['b']]);
  expect(await textOf(folder, 'b')).toBe('b');
  expect((await readdir(folder)).toSorted()).toEqual(['a', 'b']);
});

test('an entry that fails halfway leaves nothing behind', async () => {
  const fail = async (into: string): Promise<void> => {
    await writeFile(join(into, 'a'), 'half');
    throw new Error('no more');
  };
  await expect(cached('things', ['a'], fail)).rejects.toThrow('no more');
  expect(await readdir(join(home, 'cloister/things'))).toEqual([]);
});

test('a folder that another process has finished in the meantime is used', async () => {
  const folder = await cached('things', ['tree'], async (into) => {
    await mkdir(join(into, 'tree'));
    await writeFile(join(into, 'tree/whose'), 'mine');
    await mkdir(join(home, 'cloister/things/tree'));
    await writeFile(join(home, 'cloister/things/tree/whose'), 'theirs');
  });
  expect(await textOf(folder, 'tree/whose')).toBe('theirs');
});

test('the folder of a dead process is removed, and that of a running process stays', async () => {
  const { pid: dead } = spawnSync('true');
  const folder = join(home, 'cloister/things');
  for (const pid of [dead, process.ppid]) await mkdir(join(folder, `building-${pid}`), { recursive: true });
  await cached('things', ['a'], (into) => writeFile(join(into, 'a'), ''));
  expect((await readdir(folder)).toSorted()).toEqual(['a', `building-${process.ppid}`]);
});
