import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate, issuedAt } from '../../src/tls/certificate.ts';
import { certificatesIn, type Predecessors, trustedBeside } from '../../src/tls/trust.ts';

const now = new Date('2030-01-01T00:00:00Z');
const later = (days: number): Date => new Date(now.getTime() + days * 24 * 60 * 60 * 1_000);
const x509 = ({ certificate }: { readonly certificate: string }): X509Certificate => new X509Certificate(certificate);

// All of one name, as authorities of one Service are.
const [current, old, foreign] = await Promise.all([1, 2, 3].map(() => createAuthority('ca', { now, days: 100 })));
if (current === undefined || old === undefined || foreign === undefined) throw new Error('no authorities');
const leaf = x509(await issueCertificate(current, ['a'], { now, days: 10 }));
const oldLeaf = x509(await issueCertificate(old, ['a'], { now, days: 10 }));

const nothing: Predecessors = { remembered: [], published: [], leaves: [], unknown: [], overlapEnds: undefined };
const trusted = (seen: Partial<Predecessors>, at = now): readonly string[] =>
  trustedBeside(x509(current), { ...nothing, ...seen }, at).map(({ reason }) => reason);

describe('an authority before stays trusted', () => {
  test.each([
    ['the Secret’s certificate', { remembered: [x509(old)], leaves: [{ certificate: oldLeaf, where: 'Secret a/b' }] }, 'Secret a/b'],
    [
      'a pod’s',
      {
        published: [x509(old)],
        leaves: [
          { certificate: leaf, where: 'x' },
          { certificate: oldLeaf, where: '10.0.0.1:8443' },
        ],
      },
      '10.0.0.1:8443',
    ],
  ])('while it signed %s', (_, seen, where) => {
    expect(trusted(seen)).toEqual([`${where} has a certificate that it signed`]);
  });

  test('while a pod does not say what it presents', () => {
    expect(trusted({ remembered: [x509(old)], unknown: ['10.0.0.1:8443'] })).toEqual(['it is not known what 10.0.0.1:8443 presents']);
  });

  test('while a pod may start with its certificate', () => {
    expect(trusted({ remembered: [x509(old)], overlapEnds: later(1) })).toEqual([
      'pods may start with a certificate that it signed until 2030-01-02T00:00:00.000Z',
    ]);
  });
});

describe('it leaves', () => {
  test.each([
    [
      'when nobody has its certificates',
      { remembered: [x509(old)], published: [x509(old)], leaves: [{ certificate: leaf, where: 'x' }] },
      now,
    ],
    ['when the overlap is over', { remembered: [x509(old)], overlapEnds: later(1) }, later(1)],
    [
      'when it has expired, whoever has its certificates',
      { remembered: [x509(old)], leaves: [{ certificate: oldLeaf, where: 'x' }] },
      later(100),
    ],
  ])('%s', (_, seen, at) => {
    expect(trusted(seen, at)).toEqual([]);
  });

  test('an authority that somebody wrote into a caBundle, though pods are silent or may start', () => {
    expect(trusted({ published: [x509(foreign)], unknown: ['10.0.0.1:8443'], overlapEnds: later(1) })).toEqual([]);
  });

  test('what is no authority, and the authority in force, which stands beside nobody', () => {
    expect(trusted({ remembered: [x509(current), leaf], leaves: [{ certificate: leaf, where: 'x' }], unknown: ['x'] })).toEqual([]);
  });
});

test('each is named once, wherever it is found', () => {
  const seen = { remembered: [x509(old)], published: [x509(old), x509(old)], leaves: [{ certificate: oldLeaf, where: 'x' }] };
  expect(trusted(seen)).toHaveLength(1);
});

test('a certificate’s making is read from it', () => {
  expect(issuedAt(leaf)).toEqual(now);
});

test('certificates are found in a text, and what is none is passed over', () => {
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const text = `words\n${old.certificate}${broken}${old.key}${foreign.certificate}`;
  expect(certificatesIn(text).map(({ serialNumber }) => serialNumber)).toEqual([x509(old).serialNumber, x509(foreign).serialNumber]);
  expect(certificatesIn('')).toEqual([]);
});
