import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAuthority } from '../../src/tls/certificate.ts';
import { certificatesIn, parseCertificates, parseKeyPair } from '../../src/tls/pem.ts';

const now = new Date();
const one = await createAuthority('one', { now, days: 1 });
const other = await createAuthority('other', { now, days: 1 });
const BROKEN = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

const serial = (pem: string): string => new X509Certificate(pem).serialNumber;
const serials = (found: readonly X509Certificate[] | undefined) => found?.map(({ serialNumber }) => serialNumber);

test('certificatesIn finds the certificates of a text, and skips a block that cannot be parsed', () => {
  const text = `words\n${one.certificate}${BROKEN}${one.key}${other.certificate}`;
  expect(serials(certificatesIn(text))).toEqual([serial(one.certificate), serial(other.certificate)]);
  expect(certificatesIn('')).toEqual([]);
});

test('parseCertificates returns all certificates of a text, or none of them', () => {
  expect(serials(parseCertificates(`words\n${one.certificate}${one.key}${other.certificate}`))).toEqual([
    serial(one.certificate),
    serial(other.certificate),
  ]);
  for (const text of ['', one.key, BROKEN, one.certificate + BROKEN, BROKEN + one.certificate]) {
    expect(parseCertificates(text), text).toBe(undefined);
  }
});

test('parseKeyPair checks that the key is that of the first certificate', () => {
  const { key } = one;
  const certificate = one.certificate + other.certificate;
  expect(parseKeyPair({ certificate, key })).toMatchObject({ ok: true, value: { certificate, key } });
  expect(parseKeyPair({ certificate: BROKEN, key })).toEqual({ ok: false, error: 'certificate' });
  expect(parseKeyPair({ certificate, key: 'none' })).toEqual({ ok: false, error: 'key' });
  expect(parseKeyPair({ certificate, key: other.key })).toEqual({ ok: false, error: 'mismatch' });
});
