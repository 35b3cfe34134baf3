import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { err, ok, type Result } from '../core/result.ts';
import { fail } from './shared/fail.ts';
import { flagWithVariable } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';

/** `cloister node-profile install`: the seccomp profile that `nesting: seccomp` needs on the nodes. */
const install: Command = new Command('install')
  .summary('install the seccomp profile for the kubelet')
  .description(
    'Installs the seccomp profile that `grant: containers` with `nesting: seccomp` needs, in the folder from which the kubelet of this node ' +
      'reads profiles. A profile of another version of Cloister is replaced in one step, the profile of this version is kept, and a file ' +
      'that Cloister did not write is never changed. Pods that are waiting for the profile then start by themselves.',
  )
  .addOption(
    flagWithVariable(
      '--dir <dir>',
      'path at which this command sees the seccomp folder of the kubelet (on the node: `seccomp` below the --root-dir of the kubelet)',
      'SECCOMP_DIR',
    ).default('/var/lib/kubelet/seccomp'),
  )
  .addOption(
    flagWithVariable(
      '--name <path>',
      'path of the file below --dir; the same value as `seccompProfile` in the configuration',
      'SECCOMP_PROFILE',
    )
      .default('cloister/workspace.json')
      .argParser(parseName),
  )
  .action(async ({ dir, name }: Flags, self: Command) => {
    const installed = await installProfile(dir, name, await shippedProfile());
    if (!installed.ok) return fail(self, [installed.error], 1);
    process.stdout.write(`${installed.value}\n`);
  });

addHelp(install, {
  exitStatus: {
    0: 'the profile is installed',
    1: 'the profile is not installed, and the last line states the reason',
    2: 'the flags cannot be used',
  },
  examples: [
    'cloister node-profile install',
    'cloister node-profile install --dir /host/seccomp',
    'cloister node-profile install --dir /var/snap/microk8s/common/var/lib/kubelet/seccomp',
  ],
});

export const command: Command = new Command('node-profile').description('install the seccomp profile on a node').addCommand(install);

interface Flags {
  readonly dir: string;
  readonly name: string;
}

/** Source: https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp */
export interface LinuxSeccomp {
  readonly defaultAction: string;
  readonly architectures: readonly string[];
  readonly syscalls: readonly LinuxSyscall[];
}

export interface LinuxSyscall {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly { readonly index: number; readonly value: number; readonly valueTwo?: number; readonly op: string }[];
}

/** The first characters of every profile of Cloister. Runtimes ignore unknown keys. */
const OPENING = '{\n  "cloister": {\n';

/**
 * The text of a profile with a seal: a digest of the profile. A file with a valid seal was written by some version of Cloister and was not changed
 * since. The seal protects files of others from being overwritten by accident; it is not a signature.
 */
export function seal(profile: LinuxSeccomp): string {
  const cloister = {
    about: 'Written by `cloister node-profile install`; another version of Cloister overwrites it. Edit a copy of this file instead.',
    sha256: digestOf(profile),
  };
  return `${JSON.stringify({ cloister, ...profile }, null, 2)}\n`;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const digestOf = (profile: object): string => sha256(JSON.stringify(profile));

/** The profile of this version. The path is the same from src/commands and from dist/commands. */
async function shippedProfile(): Promise<string> {
  const place = new URL('../../seccomp/workspace.json', import.meta.url);
  const text = await readFile(place, 'utf8');
  if (sealOn(text) !== 'whole') throw new Error(`${place.pathname} is damaged: reinstall Cloister`);
  return text;
}

/**
 * Installs a sealed profile below a folder, atomically.
 * @returns what was done, or why the profile is not installed and what to do
 */
export async function installProfile(dir: string, name: string, text: string): Promise<Result<string, string>> {
  const path = join(dir, name);
  try {
    const folder = (await openFolder(dir)) ?? (await makeFolders(dir, name.split('/').slice(0, -1)));
    if (folder !== undefined) return err(folder);
    const existing = await readExisting(path);
    if ('problem' in existing) return err(`${path} ${existing.problem}; ${ELSEWHERE}`);
    if (existing.text === text) return ok(`kept ${path} (sha256 ${sha256(text)})`);
    await replace(path, text);
    const before = existing.text === undefined ? '' : `, in place of sha256 ${sha256(existing.text)}`;
    return ok(`wrote ${path} (sha256 ${sha256(text)}${before})`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return err(`${path} cannot be read or written (${message}): ${REMEDIES.get(code) ?? 'fix that, and run the command again'}`);
  }
}

const ELSEWHERE = 'move it away, or install the profile at another path: set --name, and seccompProfile in the configuration';

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'run the command as root of the node'],
  ['EPERM', 'run the command as root of the node'],
  ['EROFS', 'mount the folder writable'],
  ['ENOSPC', 'free space on the disk'],
]);

/**
 * Creates the folder for profiles if it is missing, because the kubelet does not create it. The kubelet does create the parent, its root folder:
 * without the parent, no kubelet uses this path.
 */
async function openFolder(dir: string): Promise<string | undefined> {
  try {
    await mkdir(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return `${dirname(dir)} does not exist, so ${dir} is not the folder of a kubelet: set --dir to the folder \`seccomp\` below its --root-dir`;
    if (code !== 'EEXIST') throw error;
  }
  return (await stat(dir)).isDirectory() ? undefined : `${dir} is not a folder: set --dir to the seccomp folder of the kubelet`;
}

/** Follows no links, so that the profile is written below the given folder or not at all. */
async function makeFolders(dir: string, below: readonly string[]): Promise<string | undefined> {
  let folder = dir;
  for (const part of below) {
    folder = join(folder, part);
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const found = await lstat(folder);
    if (!found.isDirectory()) return `${folder} is ${found.isSymbolicLink() ? 'a link' : 'not a folder'}; ${ELSEWHERE}`;
  }
  return undefined;
}

type Existing = { readonly text: string | undefined } | { readonly problem: string };

/** Why an existing file is not replaced. */
const PROBLEMS: Readonly<Record<Seal, string | undefined>> = {
  whole: undefined,
  torn: undefined,
  broken: 'was changed after Cloister wrote it',
  none: 'was not written by Cloister: it has no seal',
};

/** Many times the size of a profile. */
const MAX_BYTES = 1024 * 1024;

/** Reads the file at the path. It may be replaced if it does not exist, or if a version of Cloister wrote it, completely or in part. */
async function readExisting(path: string): Promise<Existing> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Non-blocking: opening a pipe would wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { text: undefined };
    if (code === 'ELOOP') return { problem: 'is a link' };
    if (code === 'ENXIO') return { problem: 'is not a regular file' };
    throw error;
  }
  try {
    const { size } = await file.stat().then((found) => (found.isFile() ? found : { size: undefined }));
    if (size === undefined) return { problem: 'is not a regular file' };
    if (size > MAX_BYTES) return { problem: 'was not written by Cloister: no profile is so large' };
    const text = await file.readFile('utf8');
    const problem = PROBLEMS[sealOn(text)];
    return problem === undefined ? { text } : { problem };
  } finally {
    await file.close();
  }
}

type Seal = 'whole' | 'torn' | 'broken' | 'none';

function sealOn(text: string): Seal {
  // After a power failure a file may be empty, cut off, or have zeros in place of a part.
  if (/^\0*$/.test(text)) return 'torn';
  if (text.startsWith(OPENING) && (text.includes('\0') || !text.endsWith('\n}\n'))) return 'torn';
  const { cloister, ...profile } = parseProfile(text);
  if (cloister?.sha256 === undefined) return text.startsWith(OPENING) ? 'broken' : 'none';
  return cloister.sha256 === digestOf(profile) ? 'whole' : 'broken';
}

function parseProfile(text: string): { readonly cloister?: { readonly sha256?: string } | null } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** At any moment, also after a power failure, the path has the old file or the new one. */
async function replace(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  const part = join(folder, `.${basename(path)}.${randomUUID()}`);
  try {
    const file = await open(part, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  const opened = await open(folder);
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** A path without `.` and `..`. */
function parseName(text: string): string {
  if (!/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\0]+(?:\/[^/\0]+)*$/.test(text))
    throw new InvalidArgumentError('It must be a path below the folder, like cloister/workspace.json.');
  return text;
}
