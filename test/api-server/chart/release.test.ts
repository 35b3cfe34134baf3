import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

test('actionlint reports nothing about the workflow', async () => {
  const { code, stdout, stderr } = await run(await chartTool('actionlint'), [join(root, '.github/workflows/release.yaml')]);
  expect(stdout + stderr).toBe('');
  expect(code).toBe(0);
});

test('the workflow uses existing scripts and files', async () => {
  interface Workflow {
    readonly jobs: Readonly<Record<string, { readonly steps: readonly { readonly run?: string }[] }>>;
  }
  const { jobs } = parse(await readFile(join(root, '.github/workflows/release.yaml'), 'utf8')) as Workflow;
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const commands = Object.values(jobs)
    .flatMap(({ steps }) => steps.map((step) => step.run ?? ''))
    .join('\n');
  const named = [...commands.matchAll(/\.\/dev ([a-z:]+)/g)].map(([, name = '']) => name);
  expect(named).toEqual(['audit', 'sbom', 'pack']);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  for (const file of ['tools/commands/package-chart.ts', '.ci/run', 'Dockerfile']) await readFile(join(root, file));
});
