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
const ca = new X509Certificate(authority.certificate);
const twoThirds = new Date('2030-01-03T00:00:00Z');

test('T63: a certificate that covers everything and is young stays, until two thirds of its life', () => {
  expect(renewal(current, { names: ['cloister.svc', '10.0.0.1'], authority: ca }, made)).toEqual({ needed: false, at: twoThirds });
  expect(renewal(current, { names: [] }, new Date(twoThirds.getTime() - 1))).toEqual({ needed: false, at: twoThirds });
});

test.each([
  ['there is none', undefined, [], made, 'there is none yet'],
  ['a name is not covered', current, ['cloister.svc', 'other.svc'], made, 'it does not cover other.svc'],
  ['an address is not covered', current, ['10.0.0.2'], made, 'it does not cover 10.0.0.2'],
  ['two thirds are over', current, [], twoThirds, 'two thirds of its life were over at 2030-01-03T00:00:00.000Z'],
  ['all is over', current, [], new Date(made.getTime() + 90 * HOUR), 'it expired at 2030-01-04T00:00:00.000Z'],
  ['the clock jumped back', current, [], new Date('2028-01-01'), 'it is valid only from 2030-01-01T00:00:00.000Z on'],
] as const)('T63, T66: a new one is needed when %s', (_, certificate_, names, now, reason) => {
  expect(renewal(certificate_, { names }, now)).toEqual({ needed: true, reason });
});

test('a new one is needed when another authority signed it, be it of the same name', async () => {
  const other = new X509Certificate((await createAuthority('ca', { now: made, days: 300 })).certificate);
  const reason = `it is not signed by the authority ${other.serialNumber}`;
  expect(renewal(current, { names: [], authority: other }, made)).toEqual({ needed: true, reason });
});
