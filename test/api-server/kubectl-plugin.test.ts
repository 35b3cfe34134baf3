import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kubernetesBinaries } from '../../tools/programs/kubernetes.ts';
import { packTarball } from '../support/tarball.ts';

/** `kubectl cloister`: kubectl runs a program `kubectl-cloister` on the PATH. */

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

let folder: string;
let kubectl: (...args: readonly string[]) => Promise<{ readonly stdout: string }>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-plugin-'));
  await run('npm', ['install', '--global', '--offline', `--prefix=${folder}`, join(folder, await packTarball(folder))]);
  const program = join(await kubernetesBinaries(), 'kubectl');
  const env = { ...process.env, HOME: folder, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` };
  kubectl = (...args) => run(program, args, { env, cwd: root });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('kubectl lists the plugin without a warning', async () => {
  const { stdout } = await kubectl('plugin', 'list', '--name-only');
  expect(stdout.split('\n')).toContain('kubectl-cloister');
});

test('`kubectl cloister` runs every command line of `cloister`', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  expect((await kubectl('cloister', '--version')).stdout).toBe(`${version}\n`);
  const args = ['fix', 'examples/podman.yaml'];
  const { stdout } = await run(process.execPath, [join(root, 'src/main.ts'), ...args], { cwd: root });
  expect((await kubectl('cloister', ...args)).stdout).toBe(stdout);
});
