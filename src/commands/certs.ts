import { X509Certificate } from 'node:crypto';
import { lstat, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { makeFolder } from '../make-folder.ts';
import { createAuthority, issueCertificate } from '../tls/certificate.ts';
import { CERTIFICATE_FILE, KEY_FILE } from '../tls/files.ts';
import { type Issued, type KeyPair, parseKeyPair } from '../tls/pem.ts';
import { checkRenewal } from '../tls/renewal.ts';
import { fail } from './shared/fail.ts';
import { addHelp } from './shared/help.ts';

const dev: Command = new Command('dev')
  .description(
    'Creates an authority and a serving certificate for this machine, for development. Files that are still valid are kept. A file that this command did not write is never replaced without --force.',
  )
  .summary('create an authority and a serving certificate for development')
  .option('--dir <dir>', 'folder for ca.crt, ca.key, tls.crt and tls.key', 'certs')
  .option('--host <name...>', 'further DNS names and IP addresses, besides localhost, 127.0.0.1 and ::1', [])
  .option('--force', 'recreate all files, also those that are still valid or that this command did not write', false)
  .action(async ({ dir, host, force }: DevSettings, self: Command) => {
    try {
      const lines = await makeDevCertificates(dir, { hosts: host, force, now: new Date() });
      process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    } catch (error) {
      fail(self, [printDevProblem(error, '--dir')]);
    }
  });

addHelp(dev, {
  exitStatus: { 0: 'the files are in place', 2: 'a file cannot be written, or would replace one that this command did not write' },
  examples: ['cloister certs dev', 'cloister certs dev --dir /tmp/certs --host devbox.example 192.0.2.10'],
});

export const command: Command = new Command('certs').description('create certificate files').addCommand(dev);

/**
 * The text for an error that `makeDevCertificates` throws.
 * @param flag which names the folder
 */
export function printDevProblem(error: unknown, flag: '--dir' | '--tls-dir'): string {
  if (error instanceof ForeignFiles) {
    const { files, dir } = error;
    return `\`cloister certs dev\` did not write ${files.join(' and ')}, and would replace ${files.length === 1 ? 'it' : 'them'}: choose another folder with ${flag}, or run \`cloister certs dev --dir ${dir} --force\``;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  return path === undefined ? message : `${path} cannot be read or written (${code}): choose a folder that you can write with ${flag}`;
}

/** `makeDevCertificates` would replace these files, but did not write them. They are kept. */
class ForeignFiles extends Error {
  readonly dir: string;
  readonly files: readonly string[];

  constructor(dir: string, files: readonly string[]) {
    super(`not written by cloister certs dev: ${files.join(', ')}`);
    this.dir = dir;
    this.files = files;
  }
}

interface DevSettings {
  readonly dir: string;
  readonly host: readonly string[];
  readonly force: boolean;
}

export interface DevOptions {
  readonly hosts: readonly string[];
  readonly force: boolean;
  readonly now: Date;
}

const LOCAL = ['localhost', '127.0.0.1', '::1'];
const AUTHORITY_DAYS = 365;
const SERVING_DAYS = 90;

/**
 * Writes the files that are missing or no longer valid, and keeps the others.
 * @returns a line for each pair of files: written or kept
 * @throws the error of the file system; `ForeignFiles` before anything is written
 */
export async function makeDevCertificates(dir: string, { hosts, force, now }: DevOptions): Promise<readonly string[]> {
  await makeFolder(dir);
  const ca = { certificate: join(dir, 'ca.crt'), key: join(dir, 'ca.key') };
  const serving = { certificate: join(dir, CERTIFICATE_FILE), key: join(dir, KEY_FILE) };
  const names = [...new Set([...LOCAL, ...hosts])];

  const foundAuthority = force ? undefined : await readPair(ca);
  const authorityDue = checkRenewal(foundAuthority?.chain[0], { names: [] }, now);
  const authority =
    foundAuthority === undefined || authorityDue.isDue
      ? await createAuthority('cloister development', { now, days: AUTHORITY_DAYS })
      : foundAuthority;

  const found = await readPair(serving);
  const due = checkRenewal(found?.chain[0], { names, authority: new X509Certificate(authority.certificate) }, now);
  const issued = found === undefined || due.isDue ? await issueCertificate(authority, names, { now, days: SERVING_DAYS }) : found;

  const written = [
    ...(authority === foundAuthority ? [] : [{ files: ca, issued: authority }]),
    ...(issued === found ? [] : [{ files: serving, issued }]),
  ];
  if (!force)
    await requireOwn(
      dir,
      written.flatMap(({ files }) => [files.certificate, files.key]),
    );
  for (const pair of written) await writePair(pair.files, pair.issued);

  return [
    printPair(ca, authority, { isKept: authority === foundAuthority, names: [] }),
    printPair(serving, issued, { isKept: issued === found, names }),
  ];
}

interface PairFiles {
  readonly certificate: string;
  readonly key: string;
}

/** @returns undefined when there is no valid pair, whatever the files hold: they are then replaced */
async function readPair({ certificate, key }: PairFiles): Promise<KeyPair | undefined> {
  try {
    const pair = parseKeyPair({ certificate: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') });
    return pair.ok ? pair.value : undefined;
  } catch {
    return undefined;
  }
}

/** The first line of each written file. Readers of PEM skip text before a block. */
const MARK = '# Written by `cloister certs dev`, for development only.\n';

/** @throws ForeignFiles where a file exists and was not written by `writePair` */
async function requireOwn(dir: string, files: readonly string[]): Promise<void> {
  const isForeign = await Promise.all(files.map(async (file) => (await exists(file)) && !(await isMarked(file))));
  const foreign = files.filter((_, index) => isForeign[index]);
  if (foreign.length > 0) throw new ForeignFiles(dir, foreign);
}

/** A broken link counts as a file that exists. */
function exists(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  );
}

function isMarked(file: string): Promise<boolean> {
  return readFile(file, 'utf8').then(
    (text) => text.startsWith(MARK),
    () => false,
  );
}

/**
 * Replaces each file in one step. A server that reads between the two steps finds a key that does not belong to the certificate, and keeps its
 * previous pair until both files are new.
 */
async function writePair(files: PairFiles, { certificate, key }: Issued): Promise<void> {
  await replace(files.key, key, 0o600);
  await replace(files.certificate, certificate, 0o644);
}

async function replace(file: string, text: string, mode: number): Promise<void> {
  const part = `${file}.${process.pid}`;
  await writeFile(part, MARK + text, { mode });
  await rename(part, file);
}

function printPair(
  { certificate, key }: PairFiles,
  issued: Issued,
  { isKept, names }: { isKept: boolean; names: readonly string[] },
): string {
  const until = new X509Certificate(issued.certificate).validToDate.toISOString().slice(0, 10);
  const covers = names.length === 0 ? '' : `, for ${names.join(', ')}`;
  return `${isKept ? 'kept' : 'wrote'} ${certificate} and ${key}${covers}, valid until ${until}`;
}
