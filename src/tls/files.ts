import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Result } from '../core/result.ts';
import { weaknessOf } from './certificate-policy.ts';

/** What is found in the files. */
interface Found {
  /** The chain, leaf first. */
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Authorities of the clients that may call; absent: anybody may. */
  readonly clientCa?: Buffer;
}

/** A serving certificate that has been looked at: it belongs to its key, is in force and strong enough, and TLS takes it. */
export interface Pair extends Found {
  readonly expires: Date;
}

/** Where certificates are read from. */
export interface TlsFiles {
  /** With tls.crt and tls.key, as a Secret of type kubernetes.io/tls is mounted. */
  readonly folder: string;
  readonly clientCa?: string | undefined;
}

/**
 * All TLS settings of the server. A server that gets a new certificate gets all of them again: what is left out silently falls back to
 * Node's defaults.
 */
export function secureContextOf(pair: Pair | undefined): SecureContextOptions {
  const settings: SecureContextOptions = { minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true };
  if (pair === undefined) return settings;
  const serving = { ...settings, cert: pair.certificate, key: pair.key };
  // A resumed session would bring back a client that was trusted once.
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

/** @returns what the files hold, or why it cannot be served */
export async function loadPair(files: TlsFiles, now: Date): Promise<Result<Pair, string>> {
  const found = await readAll(files);
  return found.ok ? inspect(found.value, files, now) : found;
}

/** What files hold, over time. */
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
 * Looks at the files twice a second and compares bytes. A Secret volume is swapped by renaming a link that the files' paths lead through,
 * where watching the files sees nothing; and they may change between reading the one and the other, so that a pair which does not fit is
 * read again.
 * @param loaded what the caller read already
 */
export function watchPair(files: TlsFiles, loaded: Result<Pair, string>, { now, onPair, onProblem, everyMs = 500 }: WatchOptions): Watch {
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
    const found = await readAll(files);
    const isOld = found.ok && current !== undefined && isSame(found.value, current);
    if (isOld && current !== undefined && now() < current.expires) {
      problem = undefined;
      return;
    }
    const pair = found.ok ? inspect(found.value, files, now()) : found;
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

function isSame(one: Found, other: Found): boolean {
  const isSameCa = one.clientCa === undefined || (other.clientCa !== undefined && one.clientCa.equals(other.clientCa));
  return isSameCa && one.certificate.equals(other.certificate) && one.key.equals(other.key);
}

async function readAll({ folder, clientCa }: TlsFiles): Promise<Result<Found, string>> {
  const names = [join(folder, CERTIFICATE_FILE), join(folder, KEY_FILE), ...(clientCa === undefined ? [] : [clientCa])];
  const contents = await Promise.all(names.map(read));
  const bad = contents.find((each) => !each.ok);
  if (bad?.ok === false) return bad;
  const [certificate, key, authorities] = contents.map((each) => (each.ok ? each.value : Buffer.alloc(0))) as [Buffer, Buffer, Buffer?];
  return { ok: true, value: { certificate, key, ...(authorities === undefined ? {} : { clientCa: authorities }) } };
}

async function read(file: string): Promise<Result<Buffer, string>> {
  try {
    const value = await readFile(file);
    return value.length === 0 ? problem(`${file} is empty`) : { ok: true, value };
  } catch (error) {
    return problem(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function inspect(found: Found, { folder, clientCa }: TlsFiles, now: Date): Result<Pair, string> {
  const file = join(folder, CERTIFICATE_FILE);
  const chain = chainOf(found.certificate);
  const leaf = chain?.[0];
  if (chain === undefined || leaf === undefined) return problem(`${file} is not a chain of PEM certificates`);
  const privateKey = keyOf(found.key);
  if (privateKey === undefined) return problem(`${join(folder, KEY_FILE)} is not a PEM private key without a passphrase`);
  if (!leaf.checkPrivateKey(privateKey)) return problem(`${KEY_FILE} in ${folder} is not the key of ${CERTIFICATE_FILE}`);
  if (now >= leaf.validToDate) return problem(`${file} expired at ${leaf.validToDate.toISOString()}`);
  if (now < leaf.validFromDate) return problem(`${file} is valid only from ${leaf.validFromDate.toISOString()} on`);
  if (leaf.subjectAltName === undefined) return problem(`${file} names no host: it has no subjectAltName`);
  const weakness = chain.map(weaknessOf).find((each) => each !== undefined);
  if (weakness !== undefined) return problem(`${file} ${weakness}`);
  if (found.clientCa !== undefined && chainOf(found.clientCa)?.length === undefined)
    return problem(`${clientCa} is not a list of PEM certificates`);
  const pair = { ...found, expires: leaf.validToDate };
  return isTaken(pair) ? { ok: true, value: pair } : problem(`TLS does not take ${file} with its key`);
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
