import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { complaint, lastLines } from './cache.ts';

/** Programs for the tests are built from Go modules; a folder beside this file for each group of them that share one go.mod. */
export type ModuleName =
  | 'etcd'
  | 'kubernetes'
  | 'gvisor'
  | 'probe'
  | 'seccomp'
  | 'helm'
  | 'prometheus'
  | 'kube-score'
  | 'actionlint'
  | 'crds';

/** The go.mod files are the one place where versions are written. */
export async function pinned(module: ModuleName, requirement: string): Promise<string> {
  const text = await readFile(join(import.meta.dirname, module, 'go.mod'), 'utf8');
  const found = text.match(new RegExp(`^\\s*(?:require )?${requirement.replaceAll('.', '\\.')} v(\\S+)`, 'm'))?.[1];
  if (found === undefined) throw new Error(`tools/programs/${module}/go.mod requires no ${requirement}.`);
  return found;
}

/** The folder of a Go module's files, of the version that the go.mod pins. */
export async function moduleFolder(module: ModuleName, name: string): Promise<string> {
  const { stdout } = await go(module, ['mod', 'download', '-json', name], `it downloads ${name}`);
  return (JSON.parse(stdout) as { readonly Dir: string }).Dir;
}

export interface Build {
  readonly module: ModuleName;
  readonly packages: readonly string[];
  /** A file, or with a slash at its end a folder, where Go names each program after the last part of its package. */
  readonly into: string;
  /** `-X` settings for the linker. */
  readonly stamps?: readonly string[];
  /** A go.mod in place of the module's own. */
  readonly modFile?: string;
  /** What else would help whoever cannot build. */
  readonly remedy?: string;
}

export async function build({ module, packages, into, stamps = [], modFile, remedy }: Build): Promise<void> {
  const mod = modFile === undefined ? [] : [`-modfile=${modFile}`];
  const flags = ['-trimpath', ...mod, '-ldflags', ['-s', '-w', ...stamps.map((stamp) => `-X ${stamp}`)].join(' ')];
  await go(module, ['build', ...flags, '-o', into, ...packages], `it builds ${packages.join(', ')}`, remedy);
}

/** Runs Go in the module's folder; `purpose` and `remedy` are for whoever has no Go. */
export async function go(
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
    const version = await goVersion(module);
    const remedies = [`install Go ${version} or later`, ...(remedy === undefined ? [] : [remedy])].join(', or ');
    if (code === 'ENOENT') throw complaint(`This needs Go, where ${purpose}, and there is none here: ${remedies}.`);
    throw complaint(`Go failed where ${purpose} (${lastLines(stderr ?? String(error))}); ${remedies}.`);
  }
}

async function goVersion(module: ModuleName): Promise<string | undefined> {
  return (await readFile(join(import.meta.dirname, module, 'go.mod'), 'utf8')).match(/^go (\d+\.\d+)/m)?.[1];
}
