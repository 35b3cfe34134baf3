import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDevCertificates } from '../../src/commands/certs.ts';
import { loadPair } from '../../src/tls/files.ts';

const DAY = 24 * 60 * 60 * 1_000;
const now = new Date();
const FILES = ['ca.crt', 'ca.key', 'tls.crt', 'tls.key'] as const;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cloister-certs-'));
});
afterEach(() => rm(dir, { recursive: true }));

function make({ hosts = [] as string[], force = false, at = now } = {}): Promise<readonly string[]> {
  return makeDevCertificates(dir, { hosts, force, now: at });
}

async function contents(): Promise<Record<string, string>> {
  return Object.fromEntries(await Promise.all(FILES.map(async (name) => [name, await readFile(join(dir, name), 'utf8')])));
}

async function changedBy(action: () => Promise<unknown>): Promise<string[]> {
  const before = await contents();
  await action();
  const after = await contents();
  return FILES.filter((name) => before[name] !== after[name]);
}

test('certs dev writes four files, the keys readable only by their owner', async () => {
  const lines = await make();
  expect((await readdir(dir)).sort()).toEqual([...FILES].sort());
  for (const key of ['ca.key', 'tls.key']) expect((await stat(join(dir, key))).mode & 0o777).toBe(0o600);
  expect(lines.join('\n')).toMatch(/^wrote .*ca\.crt.*\nwrote .*tls\.crt.*localhost, 127\.0\.0\.1, ::1, valid until/);
});

test('the written files can be served to clients that trust the authority', async () => {
  await make({ hosts: ['devbox.example'] });
  expect((await loadPair({ folder: dir }, now)).ok).toBe(true);
  const { 'ca.crt': ca = '', 'tls.crt': tls = '' } = await contents();
  const leaf = new X509Certificate(tls);
  expect(leaf.verify(new X509Certificate(ca).publicKey)).toBe(true);
  expect(['localhost', 'devbox.example'].map((name) => leaf.checkHost(name))).toEqual(['localhost', 'devbox.example']);
  expect(['127.0.0.1', '::1'].map((address) => leaf.checkIP(address))).not.toContain(undefined);
});

test('valid files are kept', async () => {
  await make();
  let lines: readonly string[] = [];
  expect(
    await changedBy(async () => {
      lines = await make();
    }),
  ).toEqual([]);
  expect(lines.every((line) => line.startsWith('kept '))).toBe(true);
});

test.each([
  ['a missing name replaces the serving certificate', () => make({ hosts: ['devbox'] }), ['tls.crt', 'tls.key']],
  ['age replaces the serving certificate', () => make({ at: new Date(now.getTime() + 70 * DAY) }), ['tls.crt', 'tls.key']],
  ['an old authority replaces all files', () => make({ at: new Date(now.getTime() + 300 * DAY) }), FILES],
  ['--force replaces all files', () => make({ force: true }), FILES],
] as const)('%s', async (_, action, changed) => {
  await make();
  expect(await changedBy(action)).toEqual(changed);
});

test('a damaged file is replaced', async () => {
  await make();
  await writeFile(join(dir, 'tls.key'), 'not a key');
  await make();
  expect((await loadPair({ folder: dir }, now)).ok).toBe(true);
});
