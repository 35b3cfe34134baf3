import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';

/** action.yml, run as GitHub runs it: its shell steps in order, with its inputs, in the folder of a repository. */

const root = join(import.meta.dirname, '../..');

interface Step {
  readonly name?: string;
  readonly id?: string;
  readonly if?: string;
  readonly uses?: string;
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
  readonly run?: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

const action = parse(await readFile(join(root, 'action.yml'), 'utf8')) as Action;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-action-'));
  for (const [name, example] of [
    ['repairable pod.yaml', 'podman.yaml'],
    ['refused.yaml', 'refused/hostpath.yaml'],
  ] as const)
    await writeFile(join(folder, name), await readFile(join(root, 'examples', example), 'utf8'));
  await writeFile(join(folder, 'values.yaml'), 'image: {repository: a}\n');
  await writeFile(join(folder, 'sysbox.yaml'), 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {sysbox: {}}\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly printed: string;
  /** The inputs of the upload, where it took place. */
  readonly uploaded?: Readonly<Record<string, string>>;
}

/** Runs the steps until one fails. @param given the inputs of the user */
async function runAction(given: Readonly<Record<string, string>>): Promise<Outcome> {
  const values = new Map(Object.entries(action.inputs).map(([name, input]) => [`inputs.${name}`, given[name] ?? input.default]));
  expect(Object.keys(given).filter((name) => !(name in action.inputs))).toEqual([]);
  const output = join(folder, 'output');
  const evaluate = (text: string): string => text.replaceAll(/\$\{\{ ([a-z.-]+) \}\}/g, (_, name: string) => named(name));
  let printed = '';
  let uploaded: Outcome['uploaded'];
  for (const step of action.runs.steps) {
    if (step.if !== undefined && !holds(step.if)) continue;
    if (step.uses?.startsWith('github/codeql-action/upload-sarif@')) uploaded = mapValues(step.with ?? {}, evaluate);
    if (step.run === undefined) continue;
    await writeFile(output, '');
    // As the runner calls bash: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
    const { status, stdout, stderr } = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...mapValues(step.env ?? {}, evaluate), GITHUB_ACTION_PATH: root, RUNNER_TEMP: folder, GITHUB_OUTPUT: output },
    });
    printed += stdout + stderr;
    for (const line of (await readFile(output, 'utf8')).trim().split('\n')) {
      const [name, value = ''] = line.split('=');
      values.set(`steps.${step.id}.outputs.${name}`, value);
    }
    if (status !== 0) return { code: status, printed, ...(uploaded && { uploaded }) };
  }
  return { code: 0, printed, ...(uploaded && { uploaded }) };

  function named(name: string): string {
    const value = values.get(name);
    if (value === undefined) throw new Error(`action.yml uses ${name}, which is not set`);
    return value;
  }

  /** The one form of condition that action.yml has. */
  function holds(condition: string): boolean {
    const [, name = '', wanted] = /^([a-z.-]+) == '([a-z]*)'$/.exec(condition) ?? [];
    if (wanted === undefined) throw new Error(`this test does not know the condition ${condition}`);
    return named(name) === wanted;
  }
}

function mapValues(record: Readonly<Record<string, string>>, change: (value: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

async function resultsOf({ uploaded }: Outcome): Promise<readonly { readonly ruleId: string }[]> {
  const log = JSON.parse(await readFile(uploaded?.sarif_file ?? '', 'utf8'));
  expect(log.version).toBe('2.1.0');
  return log.runs[0].results;
}

test('the action is composite, installs a Node that the package supports, and pins every action by its commit', async () => {
  expect(action.runs.using).toBe('composite');
  const used = action.runs.steps.flatMap(({ uses }) => uses ?? []);
  expect(used.length).toBe(2);
  for (const each of used) expect(each).toMatch(/@[0-9a-f]{40}$/);
  const { engines } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly engines: { readonly node: string } };
  const setup = action.runs.steps.find(({ uses }) => uses?.startsWith('actions/setup-node@'));
  expect(engines.node).toBe(`>=${setup?.with?.['node-version']}.0.0`);
});

test('the action fails for a refused pod, after the upload of its findings, and prints them', async () => {
  const outcome = await runAction({});
  expect(outcome).toMatchObject({ code: 1, uploaded: { category: 'cloister' } });
  expect(outcome.printed).toContain('refused.yaml');
  expect((await resultsOf(outcome)).map(({ ruleId }) => ruleId)).toContain('volume-types');
});

test('the action judges only the files that it is given, also those with a space in their name', async () => {
  expect(await runAction({ files: 'repairable pod.yaml\n' })).toMatchObject({ code: 0 });
  expect(await runAction({ files: 'repairable pod.yaml\nrefused.yaml' })).toMatchObject({ code: 1 });
});

test('fail-on decides when the action fails', async () => {
  expect(await runAction({ files: 'repairable pod.yaml', 'fail-on': 'repairable' })).toMatchObject({ code: 1 });
  expect(await runAction({ files: 'refused.yaml', 'fail-on': 'never' })).toMatchObject({ code: 0 });
});

test('with strict, the action fails for a file that is skipped', async () => {
  const files = 'repairable pod.yaml\nvalues.yaml';
  expect(await runAction({ files })).toMatchObject({ code: 0 });
  const { code, printed } = await runAction({ files, strict: 'true' });
  expect(code).toBe(2);
  expect(printed).toContain('(--strict)');
});

test('the action judges by the configuration that it is given', async () => {
  const { printed } = await runAction({ files: 'repairable pod.yaml', config: 'sysbox.yaml' });
  expect(printed).toContain('sysbox');
});

test('nothing is uploaded with upload: false', async () => {
  const outcome = await runAction({ files: 'repairable pod.yaml', upload: 'false' });
  expect(outcome.code).toBe(0);
  expect(outcome.uploaded).toBeUndefined();
});

test('the action ends with 2 for a file that it cannot read, and uploads nothing', async () => {
  const outcome = await runAction({ files: 'nowhere.yaml' });
  expect(outcome.code).toBe(2);
  expect(outcome.uploaded).toBeUndefined();
});

test('docs/ci.md lists the inputs of the action', async () => {
  const page = await readFile(join(root, 'docs/ci.md'), 'utf8');
  const [, section = ''] = page.split('## GitHub\n');
  const [table = ''] = section.split('\n## ');
  expect([...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name)).toEqual(Object.keys(action.inputs));
});
