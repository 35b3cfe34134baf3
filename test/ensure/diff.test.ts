import { expect, test } from 'vitest';
import { diffOf } from '../../src/ensure/diff.ts';
import { createAuthority } from '../../src/tls/certificate.ts';

const { certificate, key } = await createAuthority('ca', { now: new Date('2030-01-01T00:00:00Z'), days: 10 });
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const empty = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'b', namespace: 'a', resourceVersion: '1' },
  data: { 'tls.crt': '', 'tls.key': '' },
};
const full = { ...empty, data: { 'tls.crt': base64(certificate), 'tls.key': base64(key), password: base64('hunter2') } };

test('T69: certificates are described, and keys and other fields of a Secret are not printed', () => {
  const text = diffOf({ before: empty, after: full });
  expect(text).toMatch(/^--- Secret a\/b\n\+\+\+ Secret a\/b\n/);
  expect(text).toMatch(/\+ {4}- CN=ca, serial [\dA-F]{32}, until 2030-01-11T00:00:00.000Z\n/);
  for (const line of ['-  tls.key: (empty)\n', '+  tls.key: (not shown)\n']) expect(text).toContain(line);
  for (const secret of [key, 'hunter2']) {
    for (const line of [...secret.trim().split('\n'), ...(base64(secret).match(/.{1,24}/g) ?? [])]) expect(text).not.toContain(line);
  }
});

test('fields that only the API server writes are not printed', () => {
  const metadata = { ...empty.metadata, resourceVersion: '2' };
  expect(diffOf({ before: empty, after: { ...empty, metadata } })).not.toContain('@@');
});

test('a caBundle without certificates is not printed', () => {
  const entry = (caBundle: string) => ({
    apiVersion: 'x/v1',
    kind: 'K',
    metadata: { name: 'n' },
    webhooks: [{ clientConfig: { caBundle } }],
  });
  const text = diffOf({ before: entry(base64('rubbish')), after: entry(base64(certificate)) });
  expect(text).toContain('caBundle: (not shown)\n');
  expect(text).toContain('CN=ca, serial');
});

test('an object that is deleted is printed with every line taken away', () => {
  const text = diffOf({ before: { ...empty, kind: 'ValidatingAdmissionPolicyBinding' }, after: undefined });
  expect(text).toMatch(/^--- ValidatingAdmissionPolicyBinding a\/b\n\+\+\+ ValidatingAdmissionPolicyBinding a\/b\n@@[^\n]*\n(-[^\n]*\n)+$/);
});
