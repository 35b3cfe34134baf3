import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { missingForPython, pythonTool } from '../../tools/programs/python.ts';
import { describeUnless } from '../support/needs.ts';

/** The workflows and the action, judged by zizmor. actionlint judges them in test/api-server/chart/release.test.ts. */

const root = join(import.meta.dirname, '../..');

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly shell?: string;
}
interface Workflow {
  readonly defaults?: { readonly run?: { readonly shell?: string } };
  readonly jobs: Readonly<Record<string, { readonly steps: readonly Step[] }>>;
}

/** The shell of each step that runs a script. */
function shellsOf(file: string): readonly (string | undefined)[] {
  const content = parse(readFileSync(join(root, file), 'utf8')) as Workflow & { readonly runs: { readonly steps: readonly Step[] } };
  const steps = file === 'action.yml' ? content.runs.steps : Object.values(content.jobs).flatMap((job) => job.steps);
  return steps.filter(({ run }) => run !== undefined).map(({ shell }) => shell ?? content.defaults?.run?.shell);
}

// Where no shell is named, GitHub runs `bash -e`, which ignores a failure in front of a pipe; for `bash` it adds `-o pipefail`.
// Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#defaultsrunshell
test.each([...readdirSync(join(root, '.github/workflows')).map((name) => `.github/workflows/${name}`), 'action.yml'])(
  'every script of %s fails with a command that feeds a pipe',
  (file) => {
    const shells = shellsOf(file);
    expect(shells.length).toBeGreaterThan(0);
    expect(shells.filter((shell) => shell !== 'bash')).toEqual([]);
  },
);

describeUnless(await missingForPython(), 'zizmor', () => {
  async function zizmor(...inputs: readonly string[]): Promise<readonly { readonly ident: string }[]> {
    const [program, ...args] = await pythonTool('zizmor');
    const { stdout, stderr } = spawnSync(program, [...args, '--offline', '--no-progress', '--no-config', '--format=json', ...inputs], {
      encoding: 'utf8',
    });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  }

  test('zizmor finds nothing in the workflows and the action', async () => {
    expect(await zizmor(join(root, '.github/workflows'), join(root, 'action.yml'))).toEqual([]);
  }, 300_000);

  test('zizmor finds an input that is written into a script', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cloister-zizmor-'));
    try {
      await mkdir(join(folder, '.github/workflows'), { recursive: true });
      // biome-ignore lint/suspicious/noTemplateCurlyInString: GitHub's syntax
      const step = "{run: 'echo ${{ github.event.issue.title }}'}";
      await writeFile(join(folder, '.github/workflows/bad.yaml'), `on: issues\njobs: {a: {runs-on: ubuntu-latest, steps: [${step}]}}\n`);
      expect((await zizmor(folder)).map(({ ident }) => ident)).toContain('template-injection');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
