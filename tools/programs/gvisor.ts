import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { build, moduleFolder, pinned } from './go.ts';

const MODULE = 'gvisor.dev/gvisor';

/** A folder with gVisor's runsc and its shim for containerd, built from the Go module that gvisor/go.mod pins, once, into the user's cache. */
export async function gvisorBinaries(): Promise<string> {
  const version = await pinned('gvisor', MODULE);
  return cached(`gvisor-${version}`, ['runsc', 'containerd-shim-runsc-v1'], async (into, missing) => {
    process.stderr.write(`Building ${missing.join(', ')}: this takes minutes, once.\n`);
    const modFile = await killable(join(into, 'source'));
    const stamps = [`${MODULE}/runsc/version.version=v${version}`];
    await build({ module: 'gvisor', packages: [`${MODULE}/runsc`], into: join(into, 'runsc'), stamps, modFile });
    await build({ module: 'gvisor', packages: [`${MODULE}/shim`], into: join(into, 'containerd-shim-runsc-v1'), modFile });
  });
}

/**
 * A go.mod that takes gVisor from a copy whose shim leaves the score for the kernel's out-of-memory killer as it is. It wants to be spared,
 * and ends where it may not say so, as on machines that lack CAP_SYS_RESOURCE.
 */
async function killable(source: string): Promise<string> {
  await cp(await moduleFolder('gvisor', MODULE), source, { recursive: true });
  const manager = join(source, 'pkg/shim/v1/manager.go');
  const text = await readFile(manager, 'utf8');
  const changed = text.replace(/\boomScoreMax\s*=\s*-\d+/, 'oomScoreMax = 0');
  if (changed === text) throw new Error(`${manager} sets no oomScoreMax any more: what tools/programs/gvisor.ts changes has moved.`);
  await writeFile(manager, changed, { mode: 0o644 });
  const modFile = join(source, '..', 'go.mod');
  const folder = join(import.meta.dirname, 'gvisor');
  await writeFile(modFile, `${await readFile(join(folder, 'go.mod'), 'utf8')}\nreplace ${MODULE} => ${source}\n`);
  await cp(join(folder, 'go.sum'), join(source, '..', 'go.sum'));
  return modFile;
}
