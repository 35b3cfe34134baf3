import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import type { Issued } from '../../src/tls/pem.ts';

const HOUR = 60 * 60 * 1_000;
const now = new Date(Math.floor(Date.now() / 1_000) * 1_000);
const names = ['cloister.cloister-system.svc', 'localhost', '127.0.0.1', '::1', '2001:db8::17'];

const authority = await createAuthority('test authority', { now, days: 10 });
const issued = await issueCertificate(authority, names, { now, days: 5 });
const ca = new X509Certificate(authority.certificate);
const leaf = new X509Certificate(issued.certificate);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-certificate-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function openssl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('openssl', args);
  return stdout;
}

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

async function verified({ certificate }: Issued, by: Issued, ...options: string[]): Promise<string> {
  const [trusted, presented] = [await file('ca.crt', by.certificate), await file('leaf.crt', certificate)];
  return openssl('verify', '-x509_strict', '-purpose', 'sslserver', ...options, '-CAfile', trusted, presented);
}

describe('OpenSSL', () => {
  test.each(names)('T62: OpenSSL verifies the certificate for %s', async (name) => {
    const flag = /^[\d.]+$|:/.test(name) ? '-verify_ip' : '-verify_hostname';
    expect(await verified(issued, authority, flag, name)).toContain('OK');
  });

  test('T62: OpenSSL rejects another host name, and another authority of the same name', async () => {
    await expect(verified(issued, authority, '-verify_hostname', 'example.com')).rejects.toThrow(/hostname mismatch/i);
    const impostor = await createAuthority('test authority', { now, days: 10 });
    await expect(verified(issued, impostor)).rejects.toThrow(/verification failed/i);
  });

  test('OpenSSL does not accept a serving certificate as an authority', async () => {
    const forged = await issueCertificate(issued, ['evil.example'], { now, days: 1 });
    const [trusted, between, presented] = [
      await file('root.crt', authority.certificate),
      await file('between.crt', issued.certificate),
      await file('forged.crt', forged.certificate),
    ];
    await expect(openssl('verify', '-CAfile', trusted, '-untrusted', between, presented)).rejects.toThrow(/invalid CA|path length/i);
  });

  test('OpenSSL reads the key usage of each certificate', async () => {
    const text = await openssl('x509', '-noout', '-text', '-in', await file('leaf.crt', issued.certificate));
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/Extended Key Usage: *\s+TLS Web Server Authentication\n/);
    const root = await openssl('x509', '-noout', '-text', '-in', await file('ca.crt', authority.certificate));
    expect(root).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(root).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(keyId(text, 'Authority')).toBe(keyId(root, 'Subject'));
  });

  test('OpenSSL reads a date after 2049', async () => {
    const old = await createAuthority('old', { now, days: 365 * 40 });
    expect(await openssl('x509', '-noout', '-enddate', '-in', await file('old.crt', old.certificate))).toMatch(/notAfter=.* 20[5-9]\d GMT/);
  });
});

function keyId(text: string, whose: 'Authority' | 'Subject'): string | undefined {
  return new RegExp(`${whose} Key Identifier: *\\s+(?:keyid:)?([\\dA-F:]+)`).exec(text)?.[1];
}

describe('a certificate', () => {
  test('a certificate belongs to its key on P-256', () => {
    const key = createPrivateKey(issued.key);
    expect(leaf.checkPrivateKey(key)).toBe(true);
    expect(key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  });

  test('a certificate is signed by its authority', () => {
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.verify(ca.publicKey)).toBe(true);
  });

  test('T66: a certificate is valid for clocks that are an hour behind', () => {
    expect(leaf.validFromDate).toEqual(new Date(now.getTime() - HOUR));
    expect(leaf.validToDate).toEqual(new Date(now.getTime() + 5 * 24 * HOUR));
  });

  test('T63: a certificate never outlives its authority', async () => {
    const long = await issueCertificate(authority, ['a'], { now, days: 100 });
    expect(new X509Certificate(long.certificate).validToDate).toEqual(ca.validToDate);
  });

  test('each certificate has a unique serial number, positive and of 128 bits', async () => {
    const others = await Promise.all(Array.from({ length: 20 }, () => issueCertificate(authority, ['a'], { now, days: 1 })));
    const serials = others.map(({ certificate }) => new X509Certificate(certificate).serialNumber);
    expect(new Set(serials).size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][\dA-F]{31}$/);
  });

  test('a certificate can cover a name that is longer than a common name', async () => {
    const name = `${'a'.repeat(60)}.${'b'.repeat(60)}.svc`;
    expect(await verified(await issueCertificate(authority, [name], { now, days: 1 }), authority, '-verify_hostname', name)).toContain(
      'OK',
    );
  });

  test('a certificate chains to an authority whose name is not ASCII', async () => {
    const umlaut = await createAuthority('Prüfstelle 検査', { now, days: 1 });
    const { certificate } = await issueCertificate(umlaut, ['a'], { now, days: 1 });
    expect(new X509Certificate(certificate).issuer).toBe('CN=Prüfstelle 検査');
    expect(await verified({ certificate, key: '' }, umlaut)).toContain('OK');
  });
});
