import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Result } from '../core/result.ts';

/** `cloister node-profile`: what `nesting: seccomp` needs on the nodes. */
export const command: Command = new Command('node-profile').description("a node's seccomp profile").addCommand(
  new Command('install')
    .summary('put the seccomp profile where the kubelet looks for it')
    .description(
      'Puts the seccomp profile for `grant: containers` with `nesting: seccomp` where the kubelet of this node looks for it. A profile of ' +
        'another version of Cloister is replaced in one step, and what is in place is left as it is; a file that is not its own is never ' +
        'touched. Pods that wait for the profile start by themselves.',
    )
    .addOption(
      new Option('--dir <dir>', "the kubelet's seccomp folder, as it is mounted here: `seccomp` below the kubelet's --root-dir")
        .env('CLOISTER_SECCOMP_DIR')
        .default('/var/lib/kubelet/seccomp'),
    )
    .addOption(
      new Option('--name <path>', 'where below it, as `seccompProfile` in the configuration says')
        .env('CLOISTER_SECCOMP_PROFILE')
        .default('cloister/workspace.json')
        .argParser(parseName),
    )
    .addHelpText(
      'after',
      `
Exit status: 0 the profile is in place, 1 it is not, and the last line says why, 2 the flags cannot be used.

Examples:
  cloister node-profile install
  cloister node-profile install --dir /host/seccomp
  cloister node-profile install --dir /var/snap/microk8s/common/var/lib/kubelet/seccomp
`,
    )
    .action(async ({ dir, name }: Flags) => {
      const installed = await installProfile(dir, name, await shippedProfile());
      if (installed.ok) process.stdout.write(`${installed.value}\n`);
      else {
        process.stderr.write(`${installed.error}\n`);
        process.exitCode = 1;
      }
    }),
);

interface Flags {
  readonly dir: string;
  readonly name: string;
}

/** As the OCI runtime specification has it. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly { readonly index: number; readonly value: number; readonly valueTwo?: number; readonly op: string }[];
}

/** What every profile of ours begins with. Runtimes pass over a key that they do not know. */
const OPENING = '{\n  "cloister": {\n';

/**
 * The text of a profile with our seal on it: its own digest, by which a file of any version is known as ours and unchanged. It keeps honest
 * hands from each other's files; it is no signature.
 */
export function seal(profile: SeccompProfile): string {
  const cloister = { about: 'Made and replaced by `cloister node-profile install`: change a copy.', sha256: digestOf(profile) };
  return `${JSON.stringify({ cloister, ...profile }, null, 2)}\n`;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const digestOf = (profile: object): string => sha256(JSON.stringify(profile));

/** The profile that belongs to this version. The place is the same from the sources and from what is built of them. */
async function shippedProfile(): Promise<string> {
  const place = new URL('../../seccomp/workspace.json', import.meta.url);
  const text = await readFile(place, 'utf8');
  if (sealOn(text) !== 'whole') throw new Error(`${place.pathname} is damaged: install Cloister anew`);
  return text;
}

/**
 * Puts a sealed profile below a folder, whole or not at all.
 * @returns what was done, or why the profile is not in place and what to do
 */
export async function installProfile(dir: string, name: string, text: string): Promise<Result<string, string>> {
  const path = join(dir, name);
  try {
    const folder = (await openFolder(dir)) ?? (await makeFolders(dir, name.split('/').slice(0, -1)));
    if (folder !== undefined) return { ok: false, error: folder };
    const existing = await readExisting(path);
    if ('problem' in existing) return { ok: false, error: `${path} ${existing.problem}; ${ELSEWHERE}` };
    if (existing.text === text) return { ok: true, value: `kept ${path} (sha256 ${sha256(text)})` };
    await replace(path, text);
    const before = existing.text === undefined ? '' : `, in place of sha256 ${sha256(existing.text)}`;
    return { ok: true, value: `wrote ${path} (sha256 ${sha256(text)}${before})` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { ok: false, error: `${path} cannot be read or written (${message}): ${REMEDIES.get(code) ?? 'mend that, and run this again'}` };
  }
}

const ELSEWHERE = 'move it away, or install the profile elsewhere: give its place with --name, and as seccompProfile in the configuration';

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'run this as root of the node'],
  ['EPERM', 'run this as root of the node'],
  ['EROFS', 'mount the folder writable'],
  ['ENOSPC', 'make room on the disk'],
]);

/** The kubelet makes its root folder, not the one for profiles in it; where the former is missing, this is no place of a kubelet. */
async function openFolder(dir: string): Promise<string | undefined> {
  try {
    await mkdir(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return `${dirname(dir)} is not there, so ${dir} is no folder of a kubelet: give the folder \`seccomp\` below its --root-dir, with --dir`;
    if (code !== 'EEXIST') throw error;
  }
  return (await stat(dir)).isDirectory() ? undefined : `${dir} is no folder: give the kubelet's seccomp folder, with --dir`;
}

/** Follows no link: what is written lies below the folder that was named, or nowhere. */
async function makeFolders(dir: string, below: readonly string[]): Promise<string | undefined> {
  let folder = dir;
  for (const part of below) {
    folder = join(folder, part);
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const found = await lstat(folder);
    if (!found.isDirectory()) return `${folder} is ${found.isSymbolicLink() ? 'a link' : 'no folder'}; ${ELSEWHERE}`;
  }
  return undefined;
}

type Existing = { readonly text: string | undefined } | { readonly problem: string };

/** Of what is not ours to replace. */
const PROBLEMS: Readonly<Record<Seal, string | undefined>> = {
  whole: undefined,
  torn: undefined,
  broken: 'was changed since Cloister wrote it',
  none: "is not Cloister's: it does not bear its seal",
};

/** Many times what a profile has. */
const MAX_BYTES = 1024 * 1024;

/** Finds out whether what is there may be replaced: nothing, what a version of ours wrote, or what is left of that. */
async function readExisting(path: string): Promise<Existing> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Not blocking: a pipe would be waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { text: undefined };
    if (code === 'ELOOP') return { problem: 'is a link' };
    if (code === 'ENXIO') return { problem: 'is no regular file' };
    throw error;
  }
  try {
    const { size } = await file.stat().then((found) => (found.isFile() ? found : { size: undefined }));
    if (size === undefined) return { problem: 'is no regular file' };
    if (size > MAX_BYTES) return { problem: "is not Cloister's: no profile is so large" };
    const text = await file.readFile('utf8');
    const problem = PROBLEMS[sealOn(text)];
    return problem === undefined ? { text } : { problem };
  } finally {
    await file.close();
  }
}

type Seal = 'whole' | 'torn' | 'broken' | 'none';

function sealOn(text: string): Seal {
  // What a disk may leave of a file when the power goes: nothing, its beginning, or zeros in place of a part.
  if (/^\0*$/.test(text)) return 'torn';
  if (text.startsWith(OPENING) && (text.includes('\0') || !text.endsWith('\n}\n'))) return 'torn';
  const { cloister, ...profile } = parsed(text);
  if (cloister?.sha256 === undefined) return text.startsWith(OPENING) ? 'broken' : 'none';
  return cloister.sha256 === digestOf(profile) ? 'whole' : 'broken';
}

function parsed(text: string): { readonly cloister?: { readonly sha256?: string } | null } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** At any moment, also when the power goes, the path leads to the old file or to the new one. */
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

/** Downwards only, part by part. */
function parseName(text: string): string {
  if (!/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\0]+(?:\/[^/\0]+)*$/.test(text))
    throw new InvalidArgumentError('It must be a path below the folder, like cloister/workspace.json.');
  return text;
}
