import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { err, ok, type Result } from '../core/result.ts';

/** A certificate and its private key, both PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate with the private key that belongs to it. */
export interface KeyPair extends Issued {
  /** The certificates of `certificate`, the one with the key first. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** @returns all certificates of a PEM text; undefined: there is none, or one of them cannot be parsed */
export function parseCertificates(text: string): KeyPair['chain'] | undefined {
  const blocks = text.match(CERTIFICATE) ?? [];
  const [first, ...others] = certificatesIn(text);
  return first === undefined || others.length + 1 < blocks.length ? undefined : [first, ...others];
}

/** @returns the certificates of a PEM text that can be parsed */
export function certificatesIn(text: string): readonly X509Certificate[] {
  return (text.match(CERTIFICATE) ?? []).flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

/** @returns the pair, or what is wrong: the certificate or the key cannot be parsed, or they do not belong together */
export function parseKeyPair({ certificate, key }: Issued): Result<KeyPair, 'certificate' | 'key' | 'mismatch'> {
  const chain = parseCertificates(certificate);
  if (chain === undefined) return err('certificate');
  const privateKey = parseKey(key);
  if (privateKey === undefined) return err('key');
  return chain[0].checkPrivateKey(privateKey) ? ok({ certificate, key, chain }) : err('mismatch');
}

function parseKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}
