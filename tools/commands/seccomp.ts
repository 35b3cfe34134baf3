import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type LinuxSeccomp, seal } from '../../src/commands/node-profile.ts';
import { userns } from '../../src/core/profiles/userns.ts';
import { moduleFolder, runGo } from '../programs/go.ts';
import { readArguments } from './shared/arguments.ts';

/**
 * `./dev seccomp` writes seccomp/workspace.json: containerd's default profile for a container with the capabilities of `grant: containers`, and the
 * system calls of seccomp/additions.yaml. One file serves both architectures: a filter knows which one a call comes from.
 *
 * containerd computes its default in code, so tools/programs/seccomp/main.go prints it, from the version that its go.mod requires.
 */

const ARCHITECTURES = ['amd64', 'arm64'] as const;

export interface Addition {
  readonly name: string;
  /** The programs that need the call. */
  readonly reason: string;
  /** The error of an engine in a workspace without it. */
  readonly without: string;
}

const root = join(import.meta.dirname, '../..');
export const workspaceProfile = join(root, 'seccomp/workspace.json');

export async function readAdditions(): Promise<readonly Addition[]> {
  return parse(await readFile(join(root, 'seccomp/additions.yaml'), 'utf8'));
}

/** containerd's default profile for each architecture and the capabilities of the grant. Needs Go, and Linux. */
export async function runtimeDefaults(): Promise<readonly LinuxSeccomp[]> {
  const containerd = await moduleFolder('seccomp', 'github.com/containerd/containerd/v2');
  const code = await readFile(join(containerd, 'contrib/seccomp/seccomp_default.go'), 'utf8');
  const capabilities = userns.makeWorkspaceRequirements('containers', {}).addedCapabilities?.map((each) => `CAP_${each}`) ?? [];
  const folder = await mkdtemp(join(tmpdir(), 'cloister-seccomp-'));
  try {
    const profiles: LinuxSeccomp[] = [];
    for (const architecture of ARCHITECTURES) {
      const [file, overlay] = [join(folder, `${architecture}.go`), join(folder, `${architecture}.json`)];
      await writeFile(file, codeFor(architecture, code));
      await writeFile(overlay, JSON.stringify({ Replace: { [join(import.meta.dirname, '../programs/seccomp/default.go')]: file } }));
      const { stdout } = await runGo(
        'seccomp',
        ['run', `-overlay=${overlay}`, '.', ...capabilities],
        "to print containerd's default profile",
      );
      profiles.push(JSON.parse(stdout));
    }
    return profiles;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Replaces the architecture of the compiler in containerd's code by a constant, so that one machine prints the profiles of all. */
function codeFor(architecture: string, code: string): string {
  return [
    [/^package seccomp$/m, 'package main'],
    [/^\t"runtime"\n/m, ''],
    [/\bruntime\.GOARCH\b/g, JSON.stringify(architecture)],
  ].reduce((current, [pattern, text]) => {
    const replaced = current.replace(pattern as RegExp, text as string);
    if (replaced === current)
      throw new Error(`nothing in containerd's seccomp_default.go matches ${pattern}: adapt codeFor to the new version`);
    return replaced;
  }, code);
}

/** The default profiles and the additions in one profile. */
export function extend(defaults: readonly LinuxSeccomp[], additions: readonly Addition[]): LinuxSeccomp {
  const added = new Set(additions.map(({ name }) => name));
  const syscalls = defaults
    .flatMap((each) => each.syscalls)
    .map((rule) => ({ ...rule, names: rule.names.filter((name) => !added.has(name)) }))
    .filter(({ names }) => names.length > 0);
  return {
    defaultAction: only(defaults.map(({ defaultAction }) => defaultAction)),
    architectures: unique(defaults.flatMap(({ architectures }) => architectures)),
    syscalls: [...unique(syscalls), { names: [...added], action: 'SCMP_ACT_ALLOW' }],
  };
}

function unique<Value>(values: readonly Value[]): readonly Value[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

function only<Value>(values: readonly Value[]): Value {
  const [first, ...others] = unique(values);
  if (first === undefined || others.length > 0) throw new Error(`The architectures differ: ${JSON.stringify(values)}`);
  return first;
}

export async function makeWorkspaceProfile(): Promise<string> {
  return seal(extend(await runtimeDefaults(), await readAdditions()));
}

if (import.meta.main) {
  readArguments('usage: ./dev seccomp    writes seccomp/workspace.json', { most: 0 });
  await writeFile(workspaceProfile, await makeWorkspaceProfile());
}
