import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Certificates for the parts of a control plane. By openssl, so that nothing here is proved by the code under test. */

export interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

export interface Client extends Subject {
  readonly dnsNames?: readonly string[];
}

/** openssl's own options. */
export interface Kind {
  /** Default: ECDSA on P-256. */
  readonly key?: readonly string[];
  /** Default: SHA-256. Empty: the one that belongs to the key. */
  readonly digest?: readonly string[];
}

export function createAuthority(folder: string): Promise<KeyPair> {
  return certificate(folder, 'ca', { commonName: 'test-ca' }, ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']);
}

export function issueServerCertificate(
  folder: string,
  name: string,
  authority: KeyPair,
  names: readonly string[],
  kind: Kind = {},
): Promise<KeyPair> {
  const purpose = ['-addext', 'extendedKeyUsage=serverAuth', '-addext', `subjectAltName=${names.join(',')}`];
  return certificate(folder, name, { commonName: name }, [...signedBy(authority), ...purpose], kind);
}

export function issueClientCertificate(
  folder: string,
  name: string,
  authority: KeyPair,
  { dnsNames = [], ...subject }: Client,
): Promise<KeyPair> {
  const names = dnsNames.length === 0 ? [] : ['-addext', `subjectAltName=${dnsNames.map((each) => `DNS:${each}`).join(',')}`];
  return certificate(folder, name, subject, [...signedBy(authority), '-addext', 'extendedKeyUsage=clientAuth', ...names]);
}

/** The same, as if it had been issued two days ago for one. */
export async function expire(folder: string, client: KeyPair, authority: KeyPair): Promise<KeyPair> {
  const [request, certFile] = [join(folder, 'expired.csr'), join(folder, 'expired.crt')];
  await openssl(['req', '-new', '-key', client.keyFile, '-subj', '/CN=expired', '-out', request]);
  const signer = ['-CA', authority.certFile, '-CAkey', authority.keyFile, '-CAcreateserial'];
  await openssl(['x509', '-req', '-in', request, '-days', '-1', ...signer, '-out', certFile]);
  return { certFile, keyFile: client.keyFile };
}

function signedBy(authority: KeyPair): readonly string[] {
  return ['-CA', authority.certFile, '-CAkey', authority.keyFile, '-addext', 'basicConstraints=critical,CA:FALSE'];
}

async function certificate(folder: string, name: string, subject: Subject, options: readonly string[], kind: Kind = {}): Promise<KeyPair> {
  const { key: algorithm = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], digest = ['-sha256'] } = kind;
  const pair = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  const key = ['-newkey', ...algorithm, '-nodes', '-keyout', pair.keyFile];
  await openssl(['req', '-x509', ...digest, '-days', '2', ...key, '-out', pair.certFile, '-subj', distinguishedName(subject), ...options]);
  return pair;
}

function distinguishedName({ commonName, organizations = [] }: Subject): string {
  const parts = [...organizations.map((each) => ['O', each]), ['CN', commonName]];
  return parts.map(([key, value]) => `/${key}=${value?.replace(/[\\/+]/g, '\\$&')}`).join('');
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('openssl', args);
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new Error('These tests make certificates with openssl, which is not on the PATH: install it.');
    throw new Error(`openssl ${args.join(' ')} failed: ${stderr ?? error}`);
  }
}
