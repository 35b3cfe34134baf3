import { spawnSync } from 'node:child_process';
import { buildChartTools } from '../programs/chart-tools.ts';
import { controllerManager, kubernetesBinaries } from '../programs/kubernetes.ts';
import { installPythonTools, missingForPython } from '../programs/python.ts';

/**
 * `./dev test [--no-skips] [vitest arguments]`: checks types and lint, then runs every test, including those against a real API server. It first
 * builds what these need, and stops with one sentence if the machine cannot. Tests that this machine cannot run are skipped, and the last lines
 * name them and what they need; with --no-skips they are failures.
 */
const NO_SKIPS = '--no-skips';
const given = process.argv.slice(2);
const env = { ...process.env, ...(given.includes(NO_SKIPS) && { CLOISTER_NO_SKIPS: '1' }) };

try {
  await kubernetesBinaries();
  await controllerManager();
  await buildChartTools();
  if ((await missingForPython()) === undefined) await installPythonTools();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\nUntil then, \`./dev test:unit\` runs the tests that need no API server.\n`);
  process.exit(1);
}

for (const [program, ...args] of [
  ['tsc', '--noEmit'],
  ['biome', 'check', '--error-on-warnings', '.'],
  ['vitest', 'run', '--reporter=default', '--reporter=./tools/vitest/count-reporter.ts', ...given.filter((each) => each !== NO_SKIPS)],
] as const) {
  // npm has added node_modules/.bin to the PATH.
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit', env });
  if (status === 0) continue;
  process.stderr.write(`${program} failed${signal === null ? '' : ` (${signal})`}\n`);
  process.exit(status ?? 1);
}
