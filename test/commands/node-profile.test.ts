import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, link, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { installProfile, type LinuxSeccomp, seal } from '../../src/commands/node-profile.ts';
import { describeUnless } from '../support/needs.ts';
import { type Ran, cloister as run } from '../support/run.ts';

const NAME = 'cloister/workspace.json';
const root = join(import.meta.dirname, '../..');
const shipped = await readFile(join(root, 'seccomp/workspace.json'), 'utf8');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** As another version of Cloister would have it. */
function otherVersion(name = 'read'): string {
  const profile: LinuxSeccomp = {
    defaultAction: 'SCMP_ACT_ERRNO',
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [{ names: [name], action: 'SCMP_ACT_ALLOW' }],
  };
  return seal(profile);
}

let kubelet: string;
let dir: string;
let path: string;
beforeEach(async () => {
  kubelet = await mkdtemp(join(tmpdir(), 'cloister-node-profile-'));
  dir = join(kubelet, 'seccomp');
  path = join(dir, NAME);
});
afterEach(() => rm(kubelet, { recursive: true }));

const install = (...args: readonly string[]): Promise<Ran> => run(['node-profile', 'install', '--dir', dir, ...args]);
const written = (): Promise<string> => readFile(path, 'utf8');

async function put(text: string | Uint8Array, at = path): Promise<void> {
  await mkdir(join(dir, 'cloister'), { recursive: true });
  await writeFile(at, text);
}

/** Everything below the kubelet's folder, so that nothing is left anywhere unseen. */
const everything = async (): Promise<string[]> => (await readdir(kubelet, { recursive: true })).toSorted();
const INSTALLED = ['seccomp', 'seccomp/cloister', 'seccomp/cloister/workspace.json'];

test('the shipped profile is installed at the path that a pod names, and its digest is printed', async () => {
  expect(await install()).toEqual({ code: 0, stdout: `wrote ${path} (sha256 ${sha256(shipped)})\n`, stderr: '' });
  expect(await written()).toBe(shipped);
  expect(await everything()).toEqual(INSTALLED);
});

test('a second run changes nothing', async () => {
  await install();
  await utimes(path, 1, 1);
  const before = await stat(path);
  expect(await install()).toEqual({ code: 0, stdout: `kept ${path} (sha256 ${sha256(shipped)})\n`, stderr: '' });
  expect(await stat(path)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
});

test('the profile of another version is replaced by a new file', async () => {
  const other = otherVersion();
  await put(other);
  const held = join(kubelet, 'held');
  await link(path, held);
  expect(await install()).toEqual({
    code: 0,
    stdout: `wrote ${path} (sha256 ${sha256(shipped)}, in place of sha256 ${sha256(other)})\n`,
    stderr: '',
  });
  expect(await written()).toBe(shipped);
  // A reader that had the old file open reads it to its end.
  expect(await readFile(held, 'utf8')).toBe(other);
});

describe('the rest of a profile after a power failure', () => {
  test.each<[string, (whole: string) => string]>([
    ['an empty file', () => ''],
    ['zeros', (whole) => '\0'.repeat(whole.length)],
    ['the first line', (whole) => whole.slice(0, 100)],
    ['half', (whole) => whole.slice(0, whole.length / 2)],
    ['all but the end', (whole) => whole.slice(0, -2)],
    ['all but a page of zeros', (whole) => whole.slice(0, 4096) + '\0'.repeat(4096) + whole.slice(8192)],
  ])('the rest of a profile after a power failure is replaced: %s', async (_, tear) => {
    await put(tear(shipped));
    expect(await install()).toMatchObject({ code: 0, stderr: '' });
    expect(await written()).toBe(shipped);
  });
});

describe('a file that Cloister did not write', () => {
  const SEALLESS = 'was not written by Cloister: it has no seal';
  const CHANGED = 'was changed after Cloister wrote it';
  const { cloister, ...profile } = JSON.parse(shipped);

  test.each<[string, string | Uint8Array, string]>([
    ['a profile without a seal', JSON.stringify(profile), SEALLESS],
    ['text that is not JSON', 'defaultAction: SCMP_ACT_ALLOW\n', SEALLESS],
    ['JSON that is not a profile', 'null', SEALLESS],
    ['an empty seal', JSON.stringify({ cloister: null, ...profile }), SEALLESS],
    ['bytes', Uint8Array.of(0, 255, 0, 254), SEALLESS],
    ['half of a profile', JSON.stringify(profile).slice(0, 500), SEALLESS],
    ['a profile of Cloister with one call more', shipped.replace('"unshare"', '"unshare",\n        "bpf"'), CHANGED],
    ['a profile of Cloister with another action', shipped.replace('"SCMP_ACT_ERRNO"', '"SCMP_ACT_ALLOW"'), CHANGED],
    ['a profile of Cloister with a syntax error', shipped.replace('"accept",', '"accept"'), CHANGED],
    ['a profile of Cloister with another digest', shipped.replace(cloister.sha256, sha256('')), CHANGED],
  ])('a file that Cloister did not write is never changed: %s', async (_, content, problem) => {
    await put(content);
    const before = Buffer.from(content);
    const { code, stdout, stderr } = await install();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      `error: ${path} ${problem}; move it away, or install the profile at another path: set --name, and seccompProfile in the configuration\n`,
    );
    expect(await readFile(path)).toEqual(before);
    expect(await everything()).toEqual(INSTALLED);
  });

  test('a file that is larger than any profile is not read', async () => {
    await put(otherVersion().padEnd(2 * 1024 * 1024));
    expect(await install()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was not written by Cloister: no profile is so large'),
    });
  });

  test('a folder at the path is kept', async () => {
    await mkdir(path, { recursive: true });
    expect(await install()).toMatchObject({ code: 1, stderr: expect.stringContaining(`${path} is not a regular file; move it away`) });
  });

  test('a pipe at the path is kept, and opening it does not block', async () => {
    await mkdir(join(dir, 'cloister'), { recursive: true });
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
    expect(await install()).toMatchObject({ code: 1, stderr: expect.stringContaining(`${path} is not a regular file; move it away`) });
    expect((await lstat(path)).isFIFO()).toBe(true);
  });
});

describe('a link', () => {
  let elsewhere: string;
  beforeEach(async () => {
    elsewhere = join(kubelet, 'elsewhere');
    await mkdir(elsewhere);
    await mkdir(dir);
  });

  test.each([
    ['the file', true],
    ['the file, to nothing', false],
  ])('%s', async (_, there) => {
    const target = join(elsewhere, 'workspace.json');
    if (there) await writeFile(target, otherVersion());
    await mkdir(join(dir, 'cloister'));
    await symlink(target, path);
    expect(await install()).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(`${path} is a link; move it away`) });
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect(await readdir(elsewhere)).toEqual(there ? ['workspace.json'] : []);
    if (there) expect(await readFile(target, 'utf8')).toBe(otherVersion());
  });

  test('a link to a folder on the path is not followed', async () => {
    await symlink(elsewhere, join(dir, 'cloister'));
    expect(await install()).toMatchObject({ code: 1, stderr: expect.stringContaining(`${join(dir, 'cloister')} is a link; move it away`) });
    expect(await readdir(elsewhere)).toEqual([]);
  });

  test('the given folder may be a link: nodes keep the folder of the kubelet on another disk', async () => {
    const linked = join(kubelet, 'linked');
    await symlink(dir, linked);
    expect(await run(['node-profile', 'install', '--dir', linked])).toMatchObject({ code: 0 });
    expect(await run(['node-profile', 'install', '--dir', linked, '--name', 'workspace.json'])).toMatchObject({ code: 0 });
    expect(await written()).toBe(shipped);
  });
});

describe('a failed installation leaves no file behind and keeps the old one', () => {
  const isRoot = process.getuid?.() === 0;
  const apart = ['unshare', '--mount', ...(isRoot ? [] : ['--map-root-user'])];
  const canMount = spawnSync('unshare', [...apart.slice(1), 'true']).status === 0;

  /** Runs a script, which runs the command as `"$@"`, in a mount namespace of its own. */
  function withMounts(script: string): Ran {
    const command = [process.execPath, join(root, 'src/main.ts'), 'node-profile', 'install', '--dir', dir];
    const [program = '', ...args] = [...apart, 'sh', '-euc', script, 'sh', ...command];
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return { code: status, stdout, stderr };
  }

  beforeEach(() => put(otherVersion()));
  afterEach(async () => {
    expect(await written()).toBe(otherVersion());
    expect(await everything()).toEqual(INSTALLED);
  });

  test('the installation fails in a folder that its user may not write', async () => {
    await chmod(join(dir, 'cloister'), 0o500);
    // Root writes into any folder, unless it lacks the capability for that.
    const bounds = ['setpriv', '--bounding-set=-dac_override', '--inh-caps=-dac_override'];
    const [program = '', ...args] = [
      ...(isRoot ? bounds : []),
      process.execPath,
      join(root, 'src/main.ts'),
      'node-profile',
      'install',
      '--dir',
      dir,
    ];
    try {
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/EACCES.*: run the command as root of the node\n$/);
    } finally {
      await chmod(join(dir, 'cloister'), 0o700);
    }
  });

  describeUnless(canMount ? undefined : 'the right to mount', 'file systems', () => {
    test('the installation fails on a read-only file system', () => {
      const { code, stdout, stderr } = withMounts(`mount --bind ${dir} ${dir}; mount -o remount,bind,ro ${dir}; "$@"`);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/workspace\.json cannot be read or written \(EROFS: .*\): mount the folder writable\n$/);
    });

    test('the installation fails on a full disk', () => {
      // Room for the old file, and for the beginning of the new one.
      const { code, stdout, stderr } = withMounts(`
      cp -a ${dir} ${kubelet}/copy; mount -t tmpfs -o size=8k tmpfs ${dir}; mv ${kubelet}/copy/cloister ${dir}; rmdir ${kubelet}/copy
        code=0; "$@" || code=$?
        ls -A ${dir}/cloister; cat ${path}; exit $code`);
      expect([code, stdout]).toEqual([1, `workspace.json\n${otherVersion()}`]);
      expect(stderr).toMatch(/ENOSPC.*: free space on the disk\n$/);
    });
  });
});

test('the folder is not created where its parent is missing', async () => {
  const nowhere = join(kubelet, 'var/lib/kubelet');
  const { code, stderr } = await run(['node-profile', 'install', '--dir', join(nowhere, 'seccomp')]);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `error: ${nowhere} does not exist, so ${nowhere}/seccomp is not the folder of a kubelet: set --dir to the folder \`seccomp\` below its --root-dir\n`,
  );
  expect(await everything()).toEqual([]);
});

test('a file in place of the folder is reported', async () => {
  await writeFile(dir, '');
  expect(await install()).toMatchObject({
    code: 1,
    stderr: `error: ${dir} is not a folder: set --dir to the seccomp folder of the kubelet\n`,
  });
});

test.each(['../workspace.json', 'a/../../b.json', '/etc/passwd', '', 'a//b.json', './a.json', 'cloister/', '..'])(
  'a name that does not lead downwards is refused: %j',
  async (name) => {
    const { code, stdout, stderr } = await install('--name', name);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('It must be a path below the folder, like cloister/workspace.json.');
    expect(await everything()).toEqual([]);
  },
);

test.each(['workspace.json', 'teams/a/..b.json'])('a name may have any number of parts: %s', async (name) => {
  expect(await install('--name', name)).toMatchObject({ code: 0 });
  expect(await readFile(join(dir, name), 'utf8')).toBe(shipped);
});

test('variables set the folder and the name', async () => {
  const env = { CLOISTER_SECCOMP_DIR: dir, CLOISTER_SECCOMP_PROFILE: 'b.json' };
  expect(await run(['node-profile', 'install'], '', env)).toMatchObject({ code: 0 });
  expect(await readFile(join(dir, 'b.json'), 'utf8')).toBe(shipped);
});

test('a reader finds a whole profile while several commands write', async () => {
  const versions = Array.from({ length: 8 }, (_, index) => otherVersion(`call${index}`));
  await installProfile(dir, NAME, versions[0] ?? '');
  let writing = true;
  let reads = 0;
  const reader = (async () => {
    for (; writing; reads += 1) expect(versions).toContain(await written());
  })();
  for (let round = 0; round < 20; round += 1) {
    const all = await Promise.all(versions.map((text) => installProfile(dir, NAME, text)));
    expect(all.filter(({ ok }) => !ok)).toEqual([]);
  }
  writing = false;
  await reader;
  expect(reads).toBeGreaterThan(20);
  expect(await everything()).toEqual(INSTALLED);
});
