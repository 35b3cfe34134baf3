import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Result } from '../core/json.ts';

/** A serving certificate that has been looked at: it belongs to its key, is in force, and TLS takes it. */
export interface Pair {
  /** The chain, leaf first. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly expires: Date;
}

/**
 * All TLS settings of the server. A server that gets a new certificate gets all of them again: what is left out silently falls back to
 * Node's defaults.
 */
export function secureContextOf(pair: Pair | undefined): SecureContextOptions {
  const settings: SecureContextOptions = { minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true };
  return pair === undefined ? settings : { ...settings, cert: pair.certificate, key: pair.key };
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

/**
 * Reads tls.crt and tls.key of a folder, as a Secret of type kubernetes.io/tls mounts them.
 * @returns the pair, or why it cannot be served
 */
export async function loadPair(folder: string, now: Date): Promise<Result<Pair, string>> {
  const [certificate, key] = await Promise.all([CERTIFICATE_FILE, KEY_FILE].map((name) => read(join(folder, name))));
  if (certificate?.ok !== true) return certificate as Result<never, string>;
  if (key?.ok !== true) return key as Result<never, string>;
  return inspect(certificate.value, key.value, { folder, now });
}

/** What a folder holds, over time. */
export interface Watch {
  /** The last pair that was good; it stays when what comes after is not. */
  current(): Pair | undefined;
  /** What is wrong with the files as they are now. */
  problem(): string | undefined;
  /** Looks at the files now. */
  check(): Promise<void>;
  stop(): void;
}

export interface WatchOptions {
  readonly now: () => Date;
  readonly onPair: (pair: Pair) => void;
  /** The files changed and are no good; called once for each reason. */
  readonly onProblem: (reason: string) => void;
  readonly everyMs?: number;
}

/**
 * Looks at the files once a second and compares bytes. A Secret volume is swapped by renaming a link that the files' paths lead through,
 * where watching the files sees nothing; and they may change between reading the one and the other, so that a pair which does not fit is
 * read again.
 * @param loaded what the caller read already
 */
export function watchPair(folder: string, loaded: Result<Pair, string>, { now, onPair, onProblem, everyMs = 1_000 }: WatchOptions): Watch {
  let current = loaded.ok ? loaded.value : undefined;
  let problem = loaded.ok ? undefined : loaded.error;
  let checking: Promise<void> | undefined;
  const timer = setInterval(check, everyMs);
  timer.unref();
  return { current: () => current, problem: () => problem, check, stop: () => clearInterval(timer) };

  function check(): Promise<void> {
    checking ??= look().finally(() => {
      checking = undefined;
    });
    return checking;
  }

  async function look(): Promise<void> {
    const found = await loadPair(folder, now());
    if (!found.ok) {
      if (found.error !== problem) onProblem(found.error);
      problem = found.error;
      return;
    }
    problem = undefined;
    if (current !== undefined && isSame(found.value, current)) return;
    current = found.value;
    onPair(current);
  }
}

function isSame(one: Pair, other: Pair): boolean {
  return one.certificate.equals(other.certificate) && one.key.equals(other.key);
}

async function read(file: string): Promise<Result<Buffer, string>> {
  try {
    const value = await readFile(file);
    return value.length === 0 ? problem(`${file} is empty`) : { ok: true, value };
  } catch (error) {
    return problem(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function inspect(certificate: Buffer, key: Buffer, { folder, now }: { folder: string; now: Date }): Result<Pair, string> {
  const chain = chainOf(certificate);
  const leaf = chain?.[0];
  if (leaf === undefined) return problem(`${join(folder, CERTIFICATE_FILE)} is not a chain of PEM certificates`);
  const privateKey = keyOf(key);
  if (privateKey === undefined) return problem(`${join(folder, KEY_FILE)} is not a PEM private key without a passphrase`);
  if (!leaf.checkPrivateKey(privateKey)) return problem(`${KEY_FILE} in ${folder} is not the key of ${CERTIFICATE_FILE}`);
  const file = join(folder, CERTIFICATE_FILE);
  if (now >= leaf.validToDate) return problem(`${file} expired at ${leaf.validToDate.toISOString()}`);
  if (now < leaf.validFromDate) return problem(`${file} is valid only from ${leaf.validFromDate.toISOString()} on`);
  if (leaf.subjectAltName === undefined) return problem(`${file} names no host: it has no subjectAltName`);
  const pair = { certificate, key, expires: leaf.validToDate };
  return isTaken(pair) ? { ok: true, value: pair } : problem(`TLS does not take ${file} with its key: is the key long enough?`);
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function chainOf(text: Buffer): readonly X509Certificate[] | undefined {
  try {
    return text
      .toString('latin1')
      .match(PEM_CERTIFICATE)
      ?.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

function keyOf(text: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}

function isTaken(pair: Pair): boolean {
  try {
    createSecureContext(secureContextOf(pair));
    return true;
  } catch {
    return false;
  }
}

function problem(error: string): Result<never, string> {
  return { ok: false, error };
}
