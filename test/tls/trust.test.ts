import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate, issuedAt } from '../../src/tls/certificate.ts';
import { findTrustedPredecessors, type Predecessors } from '../../src/tls/trust.ts';

const now = new Date('2030-01-01T00:00:00Z');
const later = (days: number): Date => new Date(now.getTime() + days * 24 * 60 * 60 * 1_000);
const x509 = ({ certificate }: { readonly certificate: string }): X509Certificate => new X509Certificate(certificate);

// All have the same name, as the authorities of one Service do.
const [current, old, foreign] = await Promise.all([1, 2, 3].map(() => createAuthority('ca', { now, days: 100 })));
if (current === undefined || old === undefined || foreign === undefined) throw new Error('no authorities');
const leaf = x509(await issueCertificate(current, ['a'], { now, days: 10 }));
const oldLeaf = x509(await issueCertificate(old, ['a'], { now, days: 10 }));

const nothing: Predecessors = { remembered: [], published: [], leaves: [], unknown: [], overlapEnds: undefined };
const trusted = (seen: Partial<Predecessors>, at = now): readonly string[] =>
  findTrustedPredecessors(x509(current), { ...nothing, ...seen }, at).map(({ reason }) => reason);

describe('a previous authority stays trusted', () => {
  test.each([
    ['the certificate of the Secret', { remembered: [x509(old)], leaves: [{ certificate: oldLeaf, where: 'Secret a/b' }] }, 'Secret a/b'],
    [
      'the certificate of a pod',
      {
        published: [x509(old)],
        leaves: [
          { certificate: leaf, where: 'x' },
          { certificate: oldLeaf, where: '10.0.0.1:8443' },
        ],
      },
      '10.0.0.1:8443',
    ],
  ])('a previous authority stays trusted while it signed %s', (_, seen, where) => {
    expect(trusted(seen)).toEqual([`${where} has a certificate that this authority signed`]);
  });

  test('a previous authority stays trusted while the certificate of a pod is not known', () => {
    expect(trusted({ remembered: [x509(old)], unknown: ['10.0.0.1:8443'] })).toEqual(['the certificate of 10.0.0.1:8443 is not known']);
  });

  test('a previous authority stays trusted while a pod may start with a certificate of it', () => {
    expect(trusted({ remembered: [x509(old)], overlapEnds: later(1) })).toEqual([
      'until 2030-01-02T00:00:00.000Z, pods may start with a certificate that this authority signed',
    ]);
  });
});

describe('a previous authority is dropped', () => {
  test.each([
    [
      'no pod and no Secret has a certificate of it',
      { remembered: [x509(old)], published: [x509(old)], leaves: [{ certificate: leaf, where: 'x' }] },
      now,
    ],
    ['the overlap is over', { remembered: [x509(old)], overlapEnds: later(1) }, later(1)],
    [
      'it has expired, although a pod has a certificate of it',
      { remembered: [x509(old)], leaves: [{ certificate: oldLeaf, where: 'x' }] },
      later(100),
    ],
  ])('a previous authority is dropped when %s', (_, seen, at) => {
    expect(trusted(seen, at)).toEqual([]);
  });

  test('an authority that another client wrote into a caBundle is dropped, although a pod is unknown and the overlap lasts', () => {
    expect(trusted({ published: [x509(foreign)], unknown: ['10.0.0.1:8443'], overlapEnds: later(1) })).toEqual([]);
  });

  test('a certificate that is no authority, and the current authority, are no previous authorities', () => {
    expect(trusted({ remembered: [x509(current), leaf], leaves: [{ certificate: leaf, where: 'x' }], unknown: ['x'] })).toEqual([]);
  });
});

test('an authority that is found several times is returned once', () => {
  const seen = { remembered: [x509(old)], published: [x509(old), x509(old)], leaves: [{ certificate: oldLeaf, where: 'x' }] };
  expect(trusted(seen)).toHaveLength(1);
});

test('the time of issue is read from a certificate', () => {
  expect(issuedAt(leaf)).toEqual(now);
});
