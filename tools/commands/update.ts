import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev update`: writes every file that is generated from the sources: the output of the generators, and the snapshots of tests that need no cluster.
 * Read the diff before you commit it.
 */

readArguments('usage: ./dev update    writes every generated file and snapshot', { most: 0 });
const root = join(import.meta.dirname, '../..');
const SNAPSHOT = /\.toMatch(?:File|Inline)?Snapshot\(/;

const generators = ['chart', 'docs', 'schemas'].filter((name) => name in packageJson.scripts);
const withSnapshots = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => !/^test\/(?:cluster|node|api-server)\//.test(file) && SNAPSHOT.test(readFileSync(join(root, file), 'utf8')))
  .toSorted();

for (const name of generators) run('npm', ['run', '--silent', name]);
run('npm', ['run', '--silent', 'test:unit', '--', ...withSnapshots, '--update']);
run('git', ['status', '--short']);

function run(command: string, commandArguments: readonly string[]): void {
  const { status } = spawnSync(command, commandArguments, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
