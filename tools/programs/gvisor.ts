import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { buildGo, moduleFolder, pinnedVersion } from './go.ts';

const MODULE = 'gvisor.dev/gvisor';

/** A folder with gVisor's runsc and its shim for containerd, built from the Go module that gvisor/go.mod requires, once, into the user's cache. */
export async function gvisorBinaries(): Promise<string> {
  const version = pinnedVersion('gvisor', MODULE);
  return cached(`gvisor-${version}`, ['runsc', 'containerd-shim-runsc-v1'], async (into, missing) => {
    process.stderr.write(`Building ${missing.join(', ')}: this takes minutes, the first time only.\n`);
    const modFile = await copyWithoutOomScore(join(into, 'source'));
    const stamps = [`${MODULE}/runsc/version.version=v${version}`];
    await buildGo({ module: 'gvisor', packages: [`${MODULE}/runsc`], into: join(into, 'runsc'), stamps, modFile });
    await buildGo({ module: 'gvisor', packages: [`${MODULE}/shim`], into: join(into, 'containerd-shim-runsc-v1'), modFile });
  });
}

/**
 * Writes a go.mod that replaces gVisor by a copy whose shim does not lower its own OOM score. Lowering it needs CAP_SYS_RESOURCE, and on machines
 * without that capability the shim would exit.
 */
async function copyWithoutOomScore(source: string): Promise<string> {
  await cp(await moduleFolder('gvisor', MODULE), source, { recursive: true });
  const manager = join(source, 'pkg/shim/v1/manager.go');
  const text = await readFile(manager, 'utf8');
  const changed = text.replace(/\boomScoreMax\s*=\s*-\d+/, 'oomScoreMax = 0');
  if (changed === text) throw new Error(`${manager} no longer sets oomScoreMax: adapt tools/programs/gvisor.ts.`);
  await writeFile(manager, changed, { mode: 0o644 });
  const modFile = join(source, '..', 'go.mod');
  const folder = join(import.meta.dirname, 'gvisor');
  await writeFile(modFile, `${await readFile(join(folder, 'go.mod'), 'utf8')}\nreplace ${MODULE} => ${source}\n`);
  await cp(join(folder, 'go.sum'), join(source, '..', 'go.sum'));
  return modFile;
}
