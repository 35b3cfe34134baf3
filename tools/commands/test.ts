import { spawnSync } from 'node:child_process';
import { chartPrograms } from '../programs/chart-tools.ts';
import { controllerManager, kubernetesBinaries } from '../programs/kubernetes.ts';

/**
 * `./dev test [vitest arguments]`: types, lint, then every test, those against the real API server included. What the machine lacks for
 * that is said first, in a sentence, and not found out halfway.
 */
try {
  await kubernetesBinaries();
  await controllerManager();
  await chartPrograms();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\nUntil then, \`./dev test:unit\` runs what needs no API server.\n`);
  process.exit(1);
}

for (const [program, ...args] of [
  ['tsc', '--noEmit'],
  ['biome', 'check', '--error-on-warnings', '.'],
  ['vitest', 'run', '--reporter=default', '--reporter=./tools/vitest/count-reporter.ts', ...process.argv.slice(2)],
] as const) {
  // npm put node_modules/.bin on the PATH.
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit' });
  if (status === 0) continue;
  process.stderr.write(`${program} failed${signal === null ? '' : ` (${signal})`}\n`);
  process.exit(status ?? 1);
}
