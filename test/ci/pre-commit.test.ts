import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { missingForPython, pythonTool } from '../../tools/programs/python.ts';
import { describeUnless } from '../support/needs.ts';

/** The hooks of .pre-commit-hooks.yaml, run by pre-commit in a repository of their user. */

const root = join(import.meta.dirname, '../..');
const exec = promisify(execFile);

const REPAIRABLE = await readFile(join(root, 'examples/podman.yaml'), 'utf8');
const HOOKS = ['cloister-check', 'cloister-fix'].map((id) => ({ id }));
const REFUSED = await readFile(join(root, 'examples/refused/hostpath.yaml'), 'utf8');

describeUnless(await missingForPython(), 'pre-commit', () => {
  let folder: string;
  let user: string;
  let configure: (...own: readonly object[]) => Promise<void>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-pre-commit-'));
    const hooks = join(folder, 'hooks');
    const { stdout } = await exec('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root });
    for (const file of stdout.trim().split('\n')) await cp(join(root, file), join(hooks, file)).catch(ignoreDeleted);
    const rev = await commitAll(hooks);
    user = join(folder, 'user');
    await exec('git', ['init', '--quiet', user]);
    configure = (...own) => writeFile(join(user, '.pre-commit-config.yaml'), JSON.stringify({ repos: [{ repo: hooks, rev, hooks: own }] }));
    await configure(...HOOKS);
    await writeFile(join(user, 'kustomization.yaml'), 'resources: [repairable.yaml]\n');
    await writeFile(join(user, 'README.md'), '# Workspaces\n');
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** A manifest that was deleted and not yet committed. */
  function ignoreDeleted(error: NodeJS.ErrnoException): void {
    if (error.code !== 'ENOENT') throw error;
  }

  /** @returns the commit */
  async function commitAll(repository: string): Promise<string> {
    const git = (...args: readonly string[]) =>
      exec('git', ['-C', repository, '-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args]);
    await git('init', '--quiet');
    await git('add', '--all');
    await git('commit', '--quiet', '--message=hooks');
    return (await git('rev-parse', 'HEAD')).stdout.trim();
  }

  /** Runs a hook on all files of the user, or on those that are named. */
  async function preCommit(hook: string, ...files: readonly string[]): Promise<{ readonly code: number; readonly stdout: string }> {
    const [program, ...args] = await pythonTool('pre-commit');
    const selection = files.length === 0 ? ['--all-files'] : ['--files', ...files];
    await exec('git', ['-C', user, 'add', '--all']);
    const env = { ...process.env, PRE_COMMIT_HOME: join(folder, 'home') };
    return exec(program, [...args, 'run', hook, ...selection, '--verbose', '--color=never'], { cwd: user, env }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      ({ code, stdout }) => ({ code, stdout }),
    );
  }

  test('cloister-check fails for a pod that is refused, names it, and passes when it is gone', async () => {
    await writeFile(join(user, 'repairable.yaml'), REPAIRABLE);
    await writeFile(join(user, 'refused.yaml'), REFUSED);
    const refused = await preCommit('cloister-check');
    expect(refused.stdout).toContain('refused.yaml');
    expect(refused.stdout).toContain('volume-types');
    expect(refused.code).toBe(1);
    await rm(join(user, 'refused.yaml'));
    expect(await preCommit('cloister-check')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^cloister check\.+Passed$/m) });
  });

  test('cloister-fix writes what `cloister fix` prints, and passes on the second run', async () => {
    await writeFile(join(user, 'repairable.yaml'), REPAIRABLE);
    const { stdout } = await exec(process.execPath, [join(root, 'src/main.ts'), 'fix', join(user, 'repairable.yaml')]);
    const first = await preCommit('cloister-fix');
    expect(first.stdout).toContain('files were modified by this hook');
    expect(first.code).toBe(1);
    expect(await readFile(join(user, 'repairable.yaml'), 'utf8')).toBe(stdout);
    expect(await preCommit('cloister-fix')).toMatchObject({ code: 0 });
  });

  test('a Namespace object in another file counts where the hook passes a folder, as its page shows', async () => {
    const page = await readFile(join(root, 'docs/ci.md'), 'utf8');
    const [, example = ''] = page.match(/```yaml\n( +- id: cloister-check\n +pass_filenames: [\s\S]*?)```/) ?? [];
    await mkdir(join(user, 'deploy'));
    await writeFile(join(user, 'deploy/pod.yaml'), REFUSED.replace('metadata:', 'metadata:\n  namespace: team'));
    await writeFile(
      join(user, 'deploy/namespace.yaml'),
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {cloister.dev/warn: userns}}\n',
    );
    expect(await preCommit('cloister-check', 'deploy/pod.yaml')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('volume-types'),
    });
    await configure(...parse(example));
    expect(await preCommit('cloister-check', 'deploy/pod.yaml')).toMatchObject({ code: 0, stdout: expect.stringContaining('Passed') });
    await configure(...HOOKS);
    await rm(join(user, 'deploy'), { recursive: true });
  });

  test('the hooks pass where no file is a manifest', async () => {
    await rm(join(user, 'repairable.yaml'));
    for (const hook of ['cloister-check', 'cloister-fix']) expect(await preCommit(hook)).toMatchObject({ code: 0 });
  });
});
