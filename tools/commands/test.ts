import { spawnSync } from 'node:child_process';
import { buildChartTools } from '../programs/chart-tools.ts';
import { controllerManager, kubernetesBinaries } from '../programs/kubernetes.ts';

/**
 * `./dev test [vitest arguments]`: checks types and lint, then runs every test, including those against a real API server. It first builds what
 * these need, and stops with one sentence if the machine cannot.
 */
try {
  await kubernetesBinaries();
  await controllerManager();
  await buildChartTools();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\nUntil then, \`./dev test:unit\` runs the tests that need no API server.\n`);
  process.exit(1);
}

for (const [program, ...args] of [
  ['tsc', '--noEmit'],
  ['biome', 'check', '--error-on-warnings', '.'],
  ['vitest', 'run', '--reporter=default', '--reporter=./tools/vitest/count-reporter.ts', ...process.argv.slice(2)],
] as const) {
  // npm has added node_modules/.bin to the PATH.
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit' });
  if (status === 0) continue;
  process.stderr.write(`${program} failed${signal === null ? '' : ` (${signal})`}\n`);
  process.exit(status ?? 1);
}
