import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadPair } from '../../src/tls/files.ts';
import { createAuthority, issueServerCertificate, type KeyPair, type Kind } from '../support/openssl.ts';

let folder: string;
let authority: KeyPair;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-strength-'));
  authority = await createAuthority(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const curve = (name: string): Kind => ({ key: ['ec', '-pkeyopt', `ec_paramgen_curve:${name}`] });

/** Puts a certificate of this kind where one is served from, and tries to load it. */
async function load(name: string, kind: Kind) {
  const served = join(folder, name);
  await mkdir(served);
  const { certFile, keyFile } = await issueServerCertificate(folder, name, authority, ['DNS:localhost'], kind);
  await Promise.all([copyFile(certFile, join(served, 'tls.crt')), copyFile(keyFile, join(served, 'tls.key'))]);
  return { served, loaded: await loadPair({ folder: served }, new Date()) };
}

test.each<[string, Kind]>([
  ['RSA with 2048 bits', { key: ['rsa:2048'] }],
  ['RSA with 3072 bits', { key: ['rsa:3072'] }],
  ['P-256', curve('P-256')],
  ['P-384', curve('P-384')],
  ['P-521', curve('P-521')],
  ['Ed25519', { key: ['ed25519'], digest: [] }],
])('T65: a certificate of %s is served', async (name, kind) => {
  expect(await load(name, kind)).toMatchObject({ loaded: { ok: true } });
});

test.each<[string, Kind, string]>([
  ['RSA with 1024 bits', { key: ['rsa:1024'] }, 'has an RSA key of 1024 bits: it must have 2048 or more'],
  ['P-224', curve('P-224'), 'has a key on the curve secp224r1: it must be P-256, P-384 or P-521'],
  ['the curve of Bitcoin', curve('secp256k1'), 'has a key on the curve secp256k1: it must be P-256, P-384 or P-521'],
  ['a Brainpool curve', curve('brainpoolP256r1'), 'has a key on the curve brainpoolP256r1: it must be P-256, P-384 or P-521'],
  ['Ed448', { key: ['ed448'], digest: [] }, 'has a key of type ed448: it must be RSA, ECDSA or Ed25519'],
  ['a signature over SHA-1', { digest: ['-sha1'] }, 'is signed with ecdsa-with-SHA1: it must be SHA-256 or better'],
])('T65: a certificate of %s is too weak to be served', async (name, kind, reason) => {
  const { served, loaded } = await load(name, kind);
  expect(loaded).toEqual({ ok: false, error: `${join(served, 'tls.crt')} ${reason}` });
});

test('T65: a chain is as strong as its weakest certificate', async () => {
  const strong = await load('leaf', {});
  const { served: weak } = await load('intermediate', { digest: ['-sha1'] });
  const file = join(strong.served, 'tls.crt');
  await writeFile(file, (await readFile(file, 'utf8')) + (await readFile(join(weak, 'tls.crt'), 'utf8')));
  expect(await loadPair({ folder: strong.served }, new Date())).toEqual({ ok: false, error: expect.stringContaining('is signed with') });
});
