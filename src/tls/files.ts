import { constants } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { err, ok, type Result } from '../core/result.ts';
import { printReadError } from '../io-errors.ts';
import { weaknessOf } from './certificate-policy.ts';
import { parseCertificates, parseKeyPair } from './pem.ts';

/** The bytes of the files. */
interface FileContents {
  /** The chain, leaf first. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Authorities of the clients that may call; absent: any client may call. */
  readonly clientCa?: Buffer;
}

/** A serving certificate that was checked: it belongs to its key, is in force and strong enough, and TLS accepts it. */
export interface ServingPair extends FileContents {
  readonly expires: Date;
}

/** Where certificates are read from. */
export interface TlsFiles {
  /** Holds tls.crt and tls.key, as a mounted Secret of type kubernetes.io/tls does. */
  readonly folder: string;
  readonly clientCa?: string | undefined;
}

/**
 * All TLS settings of the server. They are complete, also for a server that gets a new certificate: Node replaces each setting that is left
 * out by its default, without a warning.
 */
export function secureContextOf(pair: ServingPair | undefined): SecureContextOptions {
  const settings: SecureContextOptions = { minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true };
  if (pair === undefined) return settings;
  const serving = { ...settings, cert: pair.certificate, key: pair.key };
  // Without session tickets: a resumed session would skip the check of a client that is no longer trusted.
  return pair.clientCa === undefined ? serving : { ...serving, ca: pair.clientCa, secureOptions: constants.SSL_OP_NO_TICKET };
}

// Forward secrecy and authenticated encryption only.
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

export const CERTIFICATE_FILE = 'tls.crt';
export const KEY_FILE = 'tls.key';

/** @returns the certificate in the files, or why it cannot be served */
export async function loadPair(files: TlsFiles, now: Date): Promise<Result<ServingPair, string>> {
  const contents = await readAll(files);
  return contents.ok ? checkPair(contents.value, files, now) : contents;
}

/** The certificate in the files, over time. */
export interface Watch {
  /** The last good pair; it stays in use while the files hold a bad one. */
  current(): ServingPair | undefined;
  /** What is wrong with the files as they are now. */
  problem(): string | undefined;
  /** Checks the files now. */
  check(): Promise<void>;
  stop(): void;
}

export interface WatchOptions {
  readonly now: () => Date;
  readonly onPair: (pair: ServingPair) => void;
  /** The files changed and cannot be served; called once for each reason. */
  readonly onProblem: (reason: string) => void;
  readonly everyMs?: number;
}

/**
 * Reads the files twice a second and compares their bytes. Watching the files would miss updates: a Secret volume is updated by renaming a link in
 * the path of the files. The files may be updated after one is read and before the other is read. A certificate and a key that do not belong together
 * are therefore read again.
 * @param loaded what the caller has read already
 */
export function watchPair(
  files: TlsFiles,
  loaded: Result<ServingPair, string>,
  { now, onPair, onProblem, everyMs = 500 }: WatchOptions,
): Watch {
  let current = loaded.ok ? loaded.value : undefined;
  let problem = loaded.ok ? undefined : loaded.error;
  let checking: Promise<void> | undefined;
  const timer = setInterval(check, everyMs);
  timer.unref();
  return { current: () => current, problem: () => problem, check, stop: () => clearInterval(timer) };

  function check(): Promise<void> {
    checking ??= reload().finally(() => {
      checking = undefined;
    });
    return checking;
  }

  async function reload(): Promise<void> {
    const contents = await readAll(files);
    const isUnchanged = contents.ok && current !== undefined && isSame(contents.value, current);
    if (isUnchanged && current !== undefined && now() < current.expires) {
      problem = undefined;
      return;
    }
    const pair = contents.ok ? checkPair(contents.value, files, now()) : contents;
    if (!pair.ok) {
      if (pair.error !== problem) onProblem(pair.error);
      problem = pair.error;
      return;
    }
    problem = undefined;
    current = pair.value;
    onPair(current);
  }
}

function isSame(one: FileContents, other: FileContents): boolean {
  const isSameCa = one.clientCa === undefined || (other.clientCa !== undefined && one.clientCa.equals(other.clientCa));
  return isSameCa && one.certificate.equals(other.certificate) && one.key.equals(other.key);
}

async function readAll({ folder, clientCa }: TlsFiles): Promise<Result<FileContents, string>> {
  const [certificate, key, authorities] = await Promise.all([
    read(join(folder, CERTIFICATE_FILE)),
    read(join(folder, KEY_FILE)),
    clientCa === undefined ? undefined : read(clientCa),
  ]);
  if (!certificate.ok) return certificate;
  if (!key.ok) return key;
  if (authorities?.ok === false) return authorities;
  return ok({ certificate: certificate.value, key: key.value, ...(authorities && { clientCa: authorities.value }) });
}

async function read(file: string): Promise<Result<Buffer, string>> {
  try {
    const bytes = await readFile(file);
    return bytes.length === 0 ? err(`${file} is empty`) : ok(bytes);
  } catch (error) {
    return err(printReadError(file, error as NodeJS.ErrnoException));
  }
}

function checkPair(contents: FileContents, { folder, clientCa }: TlsFiles, now: Date): Result<ServingPair, string> {
  const file = join(folder, CERTIFICATE_FILE);
  const parsed = parseKeyPair({ certificate: contents.certificate.toString('latin1'), key: contents.key.toString('latin1') });
  if (!parsed.ok) return err(printPairProblem(parsed.error, folder));
  const { chain } = parsed.value;
  const [leaf] = chain;
  if (now >= leaf.validToDate) return err(`${file} expired at ${leaf.validToDate.toISOString()}`);
  if (now < leaf.validFromDate) return err(`${file} is not valid before ${leaf.validFromDate.toISOString()}`);
  if (leaf.subjectAltName === undefined) return err(`${file} names no host: it has no subjectAltName`);
  const weakness = chain.map(weaknessOf).find((each) => each !== undefined);
  if (weakness !== undefined) return err(`${file} ${weakness}`);
  if (contents.clientCa !== undefined && parseCertificates(contents.clientCa.toString('latin1')) === undefined)
    return err(`${clientCa} is not a list of PEM certificates`);
  const pair = { ...contents, expires: leaf.validToDate };
  return isAcceptedByTls(pair) ? ok(pair) : err(`TLS does not accept ${file} with its key`);
}

function printPairProblem(problem: 'certificate' | 'key' | 'mismatch', folder: string): string {
  if (problem === 'certificate') return `${join(folder, CERTIFICATE_FILE)} is not a chain of PEM certificates`;
  if (problem === 'key') return `${join(folder, KEY_FILE)} must be a PEM private key, and must not have a passphrase`;
  return `${KEY_FILE} in ${folder} is not the key of ${CERTIFICATE_FILE}`;
}

function isAcceptedByTls(pair: ServingPair): boolean {
  try {
    createSecureContext(secureContextOf(pair));
    return true;
  } catch {
    return false;
  }
}
