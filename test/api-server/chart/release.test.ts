import { globSync } from 'node:fs';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartTool } from '../../../tools/programs/chart-tools.ts';
import { manifestsIn, only, run } from '../../support/helm.ts';

/** What the release workflow does that needs no registry. */

const root = join(import.meta.dirname, '../../..');
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-release-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the released chart uses the released image by its digest', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const packed = await run(process.execPath, [
    join(root, 'tools/commands/package-chart.ts'),
    'registry.example.com/team/cloister',
    DIGEST,
    folder,
  ]);
  expect(packed).toMatchObject({ code: 0 });
  const chart = join(folder, `cloister-${version}.tgz`);
  const { stdout } = await run(await chartTool('helm'), ['template', 'cloister', chart, '--namespace=cloister-system']);
  const { spec } = only(manifestsIn(stdout), 'Deployment').spec.template;
  expect(spec.containers[0].image).toBe(`registry.example.com/team/cloister@${DIGEST}`);
});

const WORKFLOWS = globSync('.github/workflows/*.yaml', { cwd: root }).map((file) => join(root, file));

interface Workflow {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string; readonly uses?: string }[] }>>;
}

async function stepsOf(file: string): Promise<Workflow['jobs'][string]['steps']> {
  const { jobs } = parse(await readFile(file, 'utf8')) as Workflow;
  return Object.values(jobs).flatMap(({ steps }) => steps);
}

test('there are workflows', () => expect(WORKFLOWS.length).toBe(4));

/** What a workflow runs in place of all tests: the site has tests of its own, and other versions of the API server are for one project alone. */
const TESTS = [
  ['/pages.yaml', 'CLOISTER_NO_SKIPS=1 ./dev test:site'],
  ['/kubernetes.yaml', '.ci/run --no-skips --kubernetes 1.37.2,1.35,1.34,1.33,1.33.13'],
] as const;

test.each(WORKFLOWS)('actionlint reports nothing about %s', async (file) => {
  const { code, stdout, stderr } = await run(await chartTool('actionlint'), [file]);
  expect(stdout + stderr).toBe('');
  expect(code).toBe(0);
});

test.each(WORKFLOWS)('%s pins every action by its commit, and every test must run', async (file) => {
  const steps = await stepsOf(file);
  const used = steps.flatMap(({ uses }) => uses ?? []);
  expect(used.length).toBeGreaterThan(2);
  for (const each of used) expect(each).toMatch(/^[\w./-]+@[0-9a-f]{40}$/);
  const [, tests = '.ci/run --no-skips'] = TESTS.find(([name]) => file.endsWith(name)) ?? [];
  const named = steps.filter((step) => /\.ci\/run|\.\/dev test/.test(step.run ?? ''));
  expect(named.map((step) => step.run?.endsWith(tests))).toEqual([true]);
});

test.each(WORKFLOWS)('%s uses existing scripts and files', async (file) => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const commands = (await stepsOf(file)).map((step) => step.run ?? '').join('\n');
  const named = [...commands.matchAll(/\.\/dev ([a-z:]+)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  const files = [...commands.matchAll(/(?<= )(?:tools\/[\w/-]+\.ts|\.ci\/run)/g)].map(([name]) => name);
  expect(files.length + named.length).toBeGreaterThan(0);
  for (const each of files) await access(join(root, each));
});

describe('a release', () => {
  const check = (...args: readonly string[]) => run(process.execPath, [join(root, 'tools/commands/check-release.ts'), ...args]);

  test('needs the tag of the version, the repository of the package, and a section of the changelog', async () => {
    const { code, stderr } = await check('v9.9.9', 'someone/else');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: the tag is v9\.9\.9, and package\.json has the version /);
    expect(stderr).toContain('and this is git+https://github.com/someone/else.git');
  });

  test('has no other problem where these fit', async () => {
    const { version, repository } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      readonly version: string;
      readonly repository: { readonly url: string };
    };
    const changelog = await readFile(join(root, 'CHANGELOG.md'), 'utf8');
    const { code, stderr } = await check(`v${version}`, new URL(repository.url.replace(/^git\+/, '')).pathname.slice(1, -'.git'.length));
    const missing = changelog.includes(`## [${version}]`)
      ? ''
      : `error: CHANGELOG.md has no section for ${version}: rename the section Unreleased\n`;
    expect(stderr).toBe(missing);
    expect(code).toBe(missing === '' ? 0 : 1);
  });
});
