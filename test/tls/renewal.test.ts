import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { checkRenewal } from '../../src/tls/renewal.ts';

const HOUR = 60 * 60 * 1_000;
const made = new Date('2030-01-01T01:00:00Z');
const authority = await createAuthority('ca', { now: made, days: 300 });
// Valid for exactly three days: from one hour before to three days less one hour after.
const { certificate } = await issueCertificate(authority, ['cloister.svc', '10.0.0.1'], { now: made, days: 3 - 1 / 24 });
const current = new X509Certificate(certificate);
const ca = new X509Certificate(authority.certificate);
const twoThirds = new Date('2030-01-03T00:00:00Z');

test('T63: a certificate that covers all names is kept until two thirds of its life', () => {
  expect(checkRenewal(current, { names: ['cloister.svc', '10.0.0.1'], authority: ca }, made)).toEqual({ isDue: false, at: twoThirds });
  expect(checkRenewal(current, { names: [] }, new Date(twoThirds.getTime() - 1))).toEqual({ isDue: false, at: twoThirds });
});

test.each([
  ['it does not exist', undefined, [], made, 'there is none yet'],
  ['it does not cover a name', current, ['cloister.svc', 'other.svc'], made, 'it does not cover other.svc'],
  ['it does not cover an address', current, ['10.0.0.2'], made, 'it does not cover 10.0.0.2'],
  ['two thirds of its life are over', current, [], twoThirds, 'two thirds of its lifetime ended at 2030-01-03T00:00:00.000Z'],
  ['it has expired', current, [], new Date(made.getTime() + 90 * HOUR), 'it expired at 2030-01-04T00:00:00.000Z'],
  ['the clock was set back', current, [], new Date('2028-01-01'), 'it is not valid before 2030-01-01T00:00:00.000Z'],
] as const)('T63, T66: a certificate must be reissued when %s', (_, certificate_, names, now, reason) => {
  expect(checkRenewal(certificate_, { names }, now)).toEqual({ isDue: true, reason });
});

test('a certificate must be reissued when another authority signed it, even one of the same name', async () => {
  const other = new X509Certificate((await createAuthority('ca', { now: made, days: 300 })).certificate);
  const reason = `it is not signed by the authority ${other.serialNumber}`;
  expect(checkRenewal(current, { names: [], authority: other }, made)).toEqual({ isDue: true, reason });
});
