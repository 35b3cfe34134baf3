import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeDevCertificates } from '../../src/commands/certs.ts';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
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

test('a damaged file that certs dev wrote is replaced', async () => {
  await make();
  const { 'tls.key': key = '' } = await contents();
  await writeFile(join(dir, 'tls.key'), key.slice(0, -60));
  await make();
  expect((await loadPair({ folder: dir }, now)).ok).toBe(true);
});

describe('a file that certs dev did not write', () => {
  interface Outcome {
    readonly status: number | null;
    readonly stderr: string;
  }

  const root = join(import.meta.dirname, '../..');
  // With a limit: a command that hangs must fail here.
  const run = (program: string, ...args: readonly string[]): Outcome =>
    spawnSync(process.execPath, [join(root, program), ...args], { cwd: root, encoding: 'utf8', timeout: 60_000 });

  /** A pair of another authority, as a mounted Secret has it. */
  async function writeForeignPair(): Promise<void> {
    const authority = await createAuthority('of the company', { now, days: 365 });
    const { certificate, key } = await issueCertificate(authority, ['localhost'], { now, days: 90 });
    await writeFile(join(dir, 'tls.crt'), certificate);
    await writeFile(join(dir, 'tls.key'), key);
  }

  const filesOf = async (folder: string) =>
    Promise.all((await readdir(folder)).sort().map(async (name) => [name, await readFile(join(folder, name), 'utf8')]));

  test.each([
    ['certs dev', () => run('src/main.ts', 'certs', 'dev', '--dir', dir), '--dir'],
    ['./dev serve', () => run('tools/commands/serve.ts', '--tls-dir', dir), '--tls-dir'],
  ])('%s keeps a pair of another authority, writes nothing, and names the files', async (_, command, flag) => {
    await writeForeignPair();
    const before = await filesOf(dir);
    const { status, stderr } = command();
    expect(status).toBe(2);
    expect(stderr).toBe(
      `error: \`cloister certs dev\` did not write ${join(dir, 'tls.crt')} and ${join(dir, 'tls.key')}, and would replace them: choose another folder with ${flag}, or run \`cloister certs dev --dir ${dir} --force\`\n`,
    );
    expect(await filesOf(dir)).toEqual(before);
  });

  test('certs dev --force replaces it', async () => {
    await writeForeignPair();
    expect(run('src/main.ts', 'certs', 'dev', '--dir', dir, '--force')).toMatchObject({ status: 0 });
    const { 'ca.crt': ca = '', 'tls.crt': tls = '' } = await contents();
    expect(new X509Certificate(tls).verify(new X509Certificate(ca).publicKey)).toBe(true);
  });

  test.each([
    ['a key alone', 'ca.key', (file: string) => writeFile(file, 'a key with a passphrase')],
    ['an empty file', 'tls.crt', (file: string) => writeFile(file, '')],
    ['a link that leads nowhere', 'tls.key', (file: string) => symlink('nowhere', file)],
    ['a folder', 'ca.crt', (file: string) => mkdir(file)],
  ])('%s is kept', async (_, name, place) => {
    await place(join(dir, name));
    const { status, stderr } = run('src/main.ts', 'certs', 'dev', '--dir', dir);
    expect(status).toBe(2);
    expect(stderr).toContain(`did not write ${join(dir, name)}, and would replace it:`);
    expect(await readdir(dir)).toEqual([name]);
  });

  test.each(['/proc/x', '/proc/x/y', '/sys/x'])('a folder that cannot be created is an error, not a wait: --dir %s', (folder) => {
    const { status, stderr } = run('src/main.ts', 'certs', 'dev', '--dir', folder);
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^error: \/(proc|sys)\/x cannot be read or written \([A-Z]+\): choose a folder that you can write with --dir\n$/,
    );
  });
});

test('missing folders are created', async () => {
  const { length } = await makeDevCertificates(join(dir, 'a/b'), { hosts: [], force: false, now });
  expect(length).toBe(2);
  expect((await readdir(join(dir, 'a/b'))).sort()).toEqual([...FILES].sort());
});
