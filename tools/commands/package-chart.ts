import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chartTool } from '../programs/chart-tools.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `node tools/commands/package-chart.ts REPOSITORY DIGEST [FOLDER]`: packages the chart for a release, with the digest of the released image. An
 * installation then uses that image, even if another one is pushed under the same tag later.
 */

const USAGE = 'usage: node tools/commands/package-chart.ts REPOSITORY DIGEST [FOLDER]';
const [repository = '', digest = '', folder = '.'] = readArguments(USAGE, { least: 2, most: 3 });
const temporary = await mkdtemp(join(tmpdir(), 'cloister-chart-'));
try {
  const chart = join(temporary, 'cloister');
  await cp(join(import.meta.dirname, '../../charts/cloister'), chart, { recursive: true });
  const file = join(chart, 'values.yaml');
  const values = await readFile(file, 'utf8');
  const released = values
    .replace(/^ {2}repository: cloister$/m, () => `  repository: ${repository}`)
    .replace(/^ {2}digest: ''$/m, () => `  digest: ${digest}`);
  if (!released.includes(`repository: ${repository}`) || !released.includes(`digest: ${digest}`))
    throw new Error('values.yaml has no image');
  await writeFile(file, released);
  const { status } = spawnSync(await chartTool('helm'), ['package', chart, `--destination=${resolve(folder)}`], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} finally {
  await rm(temporary, { recursive: true });
}
