import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shippedPackages } from '../../../tools/commands/shared/shipped.ts';
import { packTarball } from '../../support/tarball.ts';

const root = join(import.meta.dirname, '../../..');

const run = promisify(execFile);

test('the package contains the program, all licences, the pages that `explain` prints, and the seccomp profile', async () => {
  const { stdout } = await run('npm', ['run', '--silent', 'pack', '--', '--dry-run', '--json'], { cwd: root });
  // The build of the package prints to the same stream.
  const [{ files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  const packed: readonly string[] = files.map(({ path }: { path: string }) => path);
  const commands = (await readdir(join(root, 'src', 'commands')))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `dist/commands/${name.replace(/\.ts$/, '.js')}`);
  expect(packed).toEqual(expect.arrayContaining(['dist/main.js', ...commands]));
  expect(packed).toEqual(
    expect.arrayContaining([
      'docs/rules/privileged.md',
      'docs/profiles/userns.md',
      'docs/checks/userns-unsupported.md',
      'schemas/config.json',
      'schemas/test.json',
      'seccomp/workspace.json',
      'LICENSE',
    ]),
  );
  expect(packed.filter((each) => /^(src|test|tools|bench|node_modules|certs)\/|\.map$/.test(each))).toEqual([]);

  const licences = await readFile(join(root, 'dist', 'THIRD-PARTY-LICENCES.txt'), 'utf8');
  for (const name of Object.keys(await shippedPackages())) expect(licences).toMatch(new RegExp(`^${RegExp.escape(name)} \\d`, 'm'));
});

test.each([
  ['--version'],
  ['--help'],
  ['explain'],
  ['explain', 'privileged'],
  ['explain', 'userns'],
  ['explain', 'userns-unsupported'],
  ['check', '-f', 'examples'],
  ['check', 'examples/refused', '-o', 'sarif'],
  ['test', 'examples/policy-tests'],
  ['schema', 'test'],
  ['completion', 'bash'],
  ['version'],
  ['fix', '--diff', '-f', 'examples'],
  ['manifests'],
  ['ensure', '--help'],
  ['node-profile', 'install', '--dir', 'nowhere/seccomp'],
  ['serve', '--tls-dir', 'nowhere'],
])('the packed program and its sources print the same: %s %s %s', async (...args) => {
  const [packed, sources] = await Promise.all(['dist/main.js', 'src/main.ts'].map((program) => outcomeOf(program, args)));
  expect(packed).toEqual(sources);
});

describe('the tarball', () => {
  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {containers: [{name: workspace, image: x, securityContext: {privileged: true}}]}\n';
  let folder: string;
  let tarball: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-packed-'));
    await writeFile(join(folder, 'pod.yaml'), pod);
    tarball = await packTarball(folder);
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true }));

  test('`npm install` of the tarball installs one package, which is smaller than 3 MiB', async () => {
    // `npm run --silent`, which may run the tests, would silence it.
    const { stdout } = await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=notice', `./${tarball}`], {
      cwd: folder,
    });
    expect(stdout.trim()).toMatch(/^added 1 package in /);
    expect((await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual(['cloister']);
    expect((await readdir(join(folder, 'node_modules/.bin'))).toSorted()).toEqual(['cloister', 'kubectl-cloister']);
    expect((await stat(join(folder, tarball))).size).toBeLessThan(3 * 1024 * 1024);
  });

  test('the tarball repairs a pod with `npx --package ./cloister.tgz cloister fix pod.yaml`, in an empty folder', async () => {
    const args = ['--yes', '--offline', '--package', `./${tarball}`, 'cloister', 'fix', 'pod.yaml'];
    const packed = await run('npx', args, { cwd: folder, env: { ...process.env, npm_config_cache: join(folder, 'cache') } });
    const sources = await run(process.execPath, [join(root, 'src/main.ts'), 'fix', 'pod.yaml'], { cwd: folder });
    expect(packed.stdout).toBe(sources.stdout);
    expect(packed.stdout).toContain('hostUsers: false');
    expect(packed.stdout).toContain('privileged: false');
  });
});

async function outcomeOf(program: string, args: readonly string[]) {
  const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 };
  return run(process.execPath, [program, ...args], options).catch(({ code, stdout, stderr }) => ({ code, stdout, stderr }));
}
