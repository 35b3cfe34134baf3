import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { missingForNode } from '../../test/node/fixture/requirements.ts';
import { EMULATED, projectOf } from '../../test/support/kubernetes.ts';
import { buildChartTools } from '../programs/chart-tools.ts';
import { chromium, missingForChromium } from '../programs/chromium.ts';
import { apiServerProgram, controllerManager, KUBERNETES_VERSIONS, kubernetesBinaries } from '../programs/kubernetes.ts';
import { installPythonTools, missingForPython } from '../programs/python.ts';
import { workspaceImage } from '../programs/workspace-image.ts';
import { installSite } from './shared/site.ts';

/**
 * `./dev test [--no-skips] [--kubernetes VERSION,...] [vitest arguments]`: checks types and lint, then runs every test, including those against a
 * real API server, on a node and in a browser. It first builds what these need, and stops with one sentence if the machine cannot. Tests that this machine cannot run are skipped, and the last lines name them and what they need; with --no-skips they are failures.
 *
 * With --kubernetes only the tests against an API server run, against the API server of each version. Of a version without a patch number, such as
 * 1.33, the pinned API server emulates what it has gates for, and only the tests run whose outcome depends on that.
 */
const NO_SKIPS = '--no-skips';
const KUBERNETES = '--kubernetes';
const given = process.argv.slice(2);
const { values } = parseArgs({ args: given, options: { kubernetes: { type: 'string' } }, strict: false });
const versions = typeof values.kubernetes === 'string' ? values.kubernetes.split(',') : [];
const env = {
  ...process.env,
  ...(given.includes(NO_SKIPS) && { CLOISTER_NO_SKIPS: '1' }),
  ...(versions.length > 0 && { [KUBERNETES_VERSIONS]: versions.join(',') }),
};
/** Without the flags of this command: a value may be an argument of its own. */
const forVitest = given.filter((each, index) => each !== NO_SKIPS && !each.startsWith(KUBERNETES) && given[index - 1] !== KUBERNETES);

/** One after the other: each build takes all processors and gigabytes of memory. */
async function build(): Promise<void> {
  await kubernetesBinaries();
  await controllerManager();
  for (const version of versions) if (!EMULATED.includes(version)) await apiServerProgram(version);
  await buildChartTools();
}

/** What waits for the network and for one processor most of the time. */
async function install(): Promise<void> {
  if ((await missingForPython()) === undefined) await installPythonTools();
  await installSite();
  if (versions.length > 0) return;
  // The tests that need these make them too, and report what goes wrong.
  if ((await missingForChromium()) === undefined) await chromium().catch(() => {});
  if ((await missingForNode()) !== undefined) return;
  await workspaceImage('workspace').catch(() => {});
  await workspaceImage('workspace-docker').catch(() => {});
}

try {
  if (given.some((each) => each.startsWith(KUBERNETES)) && versions.every((version) => version === ''))
    throw new Error('--kubernetes needs versions, such as --kubernetes 1.37.2,1.33.13');
  await Promise.all([build(), install()]);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\nUntil then, \`./dev test:unit\` runs the tests that need no API server.\n`);
  process.exit(1);
}

for (const [program, ...args] of [
  ['tsc', '--noEmit'],
  ['tsc', '--noEmit', '--project', 'site'],
  ['biome', 'check', '--error-on-warnings', '.'],
  [
    ...['vitest', 'run', '--reporter=default', '--reporter=./tools/vitest/count-reporter.ts'],
    ...versions.map((version) => `--project=${projectOf(version)}`),
    ...forVitest,
  ],
] as const) {
  // npm has added node_modules/.bin to the PATH.
  const { status, signal } = spawnSync(String(program), args, { stdio: 'inherit', env });
  if (status === 0) continue;
  process.stderr.write(`${program} failed${signal === null ? '' : ` (${signal})`}\n`);
  process.exit(status ?? 1);
}
