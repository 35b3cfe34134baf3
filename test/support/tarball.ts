import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');

/** Packs the npm package from the sources. @returns the name of its file in the folder */
export async function packTarball(folder: string): Promise<string> {
  const args = ['run', '--silent', 'pack', '--', '--silent', `--pack-destination=${folder}`];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: root });
  return stdout.trim().split('\n').at(-1) ?? '';
}
