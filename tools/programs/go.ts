import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lastLines, userError } from './cache.ts';

/** The Go modules beside this file. Programs of one module share a go.mod. */
export type ModuleName =
  | 'etcd'
  | 'kubernetes'
  | 'kubernetes-oldest'
  | 'kubernetes-newest'
  | 'pod-security'
  | 'gvisor'
  | 'probe'
  | 'seccomp'
  | 'helm'
  | 'prometheus'
  | 'kube-score'
  | 'actionlint'
  | 'crds';

/** The version that a go.mod requires; versions are written nowhere else. */
export function pinnedVersion(module: ModuleName, requirement: string): string {
  const text = readFileSync(join(import.meta.dirname, module, 'go.mod'), 'utf8');
  const version = text.match(new RegExp(`^\\s*(?:require )?${requirement.replaceAll('.', '\\.')} v(\\S+)`, 'm'))?.[1];
  if (version === undefined) throw new Error(`tools/programs/${module}/go.mod requires no ${requirement}.`);
  return version;
}

/** The folder with the source of a Go module, in the version that the go.mod requires. */
export async function moduleFolder(module: ModuleName, name: string): Promise<string> {
  const { stdout } = await runGo(module, ['mod', 'download', '-json', name], `to download ${name}`);
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

/** The folder with the source of a Go module in a version that no go.mod here requires. Go compares it with the checksum database. */
export async function moduleFolderOf(name: string, version: string): Promise<string> {
  const { stdout } = await runGo('kubernetes', ['mod', 'download', '-json', `${name}@v${version}`], `to download ${name} ${version}`);
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

export interface GoBuild {
  readonly module: ModuleName;
  readonly packages: readonly string[];
  /** A file, or a folder with a trailing slash. In a folder, Go names each program after the last element of its package's path. */
  readonly into: string;
  /** `-X` settings for the linker. */
  readonly stamps?: readonly string[];
  /** A go.mod in place of the module's own. */
  readonly modFile?: string;
  /** An alternative for users who cannot build. */
  readonly remedy?: string;
}

export async function buildGo({ module, packages, into, stamps = [], modFile, remedy }: GoBuild): Promise<void> {
  const mod = modFile === undefined ? [] : [`-modfile=${modFile}`];
  const flags = ['-trimpath', ...mod, '-ldflags', ['-s', '-w', ...stamps.map((stamp) => `-X ${stamp}`)].join(' ')];
  await runGo(module, ['build', ...flags, '-o', into, ...packages], `to build ${packages.join(', ')}`, remedy);
}

/** Runs Go in the module's folder. `purpose` and `remedy` are parts of the error message. */
export async function runGo(
  module: ModuleName,
  args: readonly string[],
  purpose: string,
  remedy?: string,
): Promise<{ readonly stdout: string }> {
  try {
    return await promisify(execFile)('go', args, {
      cwd: join(import.meta.dirname, module),
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false -mod=readonly' },
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    const version = goVersion(module);
    const remedies = [`install Go ${version} or later`, ...(remedy === undefined ? [] : [remedy])].join(', or ');
    if (code === 'ENOENT') throw userError(`Go is needed ${purpose}, and is not installed: ${remedies}.`);
    throw userError(`Go failed ${purpose} (${lastLines(stderr ?? String(error))}); ${remedies}.`);
  }
}

function goVersion(module: ModuleName): string | undefined {
  return readFileSync(join(import.meta.dirname, module, 'go.mod'), 'utf8').match(/^go (\d+\.\d+)/m)?.[1];
}
