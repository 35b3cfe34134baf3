import { execFile } from 'node:child_process';
import { access, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const siteFolder = join(import.meta.dirname, '../../../site');

/** Installs the packages of the site, which are no packages of Cloister, unless those of its lockfile are installed. */
export async function installSite(): Promise<void> {
  const [lock, installed] = [join(siteFolder, 'package-lock.json'), join(siteFolder, 'node_modules/.cloister-lock.json')];
  const isThere = await access(installed).then(
    () => true,
    () => false,
  );
  if (isThere && (await readFile(lock, 'utf8')) === (await readFile(installed, 'utf8'))) return;
  process.stderr.write('Installing the packages of the site: this takes a minute, the first time only.\n');
  try {
    await promisify(execFile)('npm', ['ci', '--loglevel=error'], { cwd: siteFolder });
  } catch (error) {
    throw new Error(`The packages of the site cannot be installed: ${(error as { readonly stderr?: string }).stderr?.trim() || error}`);
  }
  await copyFile(lock, installed);
}
