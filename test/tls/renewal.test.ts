import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { renewal } from '../../src/tls/renewal.ts';

const HOUR = 60 * 60 * 1_000;
const made = new Date('2030-01-01T01:00:00Z');
const authority = await createAuthority('ca', { now: made, days: 300 });
// From an hour before to three days less an hour after: three days long.
const { certificate } = await issueCertificate(authority, ['cloister.svc', '10.0.0.1'], { now: made, days: 3 - 1 / 24 });
const current = new X509Certificate(certificate);
const twoThirds = new Date('2030-01-03T00:00:00Z');

test('T63: a certificate that covers everything and is young stays, until two thirds of its life', () => {
  expect(renewal(current, ['cloister.svc', '10.0.0.1'], made)).toEqual({ needed: false, at: twoThirds });
  expect(renewal(current, [], new Date(twoThirds.getTime() - 1))).toEqual({ needed: false, at: twoThirds });
});

test.each([
  ['there is none', undefined, [], made, 'there is none yet'],
  ['a name is not covered', current, ['cloister.svc', 'other.svc'], made, 'it does not cover other.svc'],
  ['an address is not covered', current, ['10.0.0.2'], made, 'it does not cover 10.0.0.2'],
  ['two thirds are over', current, [], twoThirds, 'it is nearing expiry'],
  ['all is over', current, [], new Date(made.getTime() + 90 * HOUR), 'it has expired'],
] as const)('T63: a new one is needed when %s', (_, certificate_, wanted, now, reason) => {
  expect(renewal(certificate_, wanted, now)).toEqual({ needed: true, reason });
});
