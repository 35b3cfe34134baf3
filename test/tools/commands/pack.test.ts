import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

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
      'schemas/config.json',
      'schemas/test.json',
      'seccomp/workspace.json',
      'LICENSE',
    ]),
  );
  expect(packed.filter((each) => /^(src|test|tools|bench|node_modules|certs)\//.test(each))).toEqual([]);

  const licences = await readFile(join(root, 'dist', 'THIRD-PARTY-LICENCES.txt'), 'utf8');
  for (const name of Object.keys(dependencies)) expect(licences).toMatch(new RegExp(`^${RegExp.escape(name)} \\d`, 'm'));
});

test.each([
  ['--version'],
  ['--help'],
  ['explain'],
  ['explain', 'privileged'],
  ['explain', 'userns'],
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

test('the program installed from its tarball repairs with `npx cloister fix -f pod.yaml`', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-packed-'));
  try {
    const pod =
      'apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec: {containers: [{name: workspace, image: x, securityContext: {privileged: true}}]}\n';
    await writeFile(join(folder, 'pod.yaml'), pod);
    const { stdout } = await run('npm', ['run', '--silent', 'pack', '--', '--silent', `--pack-destination=${folder}`], { cwd: root });
    const tarball = stdout.trim().split('\n').at(-1) ?? '';
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, tarball)], { cwd: folder });
    const packed = await run('npx', ['--no', 'cloister', 'fix', '-f', 'pod.yaml'], { cwd: folder });
    const sources = await run(process.execPath, [join(root, 'src/main.ts'), 'fix', '-f', 'pod.yaml'], { cwd: folder });
    expect(packed.stdout).toBe(sources.stdout);
    expect(packed.stdout).toContain('hostUsers: false');
    expect(packed.stdout).toContain('privileged: false');
  } finally {
    await rm(folder, { recursive: true });
  }
});

async function outcomeOf(program: string, args: readonly string[]) {
  const options = { cwd: root, maxBuffer: 64 * 1024 * 1024 };
  return run(process.execPath, [program, ...args], options).catch(({ code, stdout, stderr }) => ({ code, stdout, stderr }));
}
