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

export function createAuthority(folder: string): Promise<KeyPair> {
  return certificate(folder, 'ca', { commonName: 'test-ca' }, ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']);
}

export function issueServerCertificate(folder: string, name: string, authority: KeyPair, names: readonly string[]): Promise<KeyPair> {
  return certificate(folder, name, { commonName: name }, [
    ...signedBy(authority),
    ...['-addext', 'extendedKeyUsage=serverAuth', '-addext', `subjectAltName=${names.join(',')}`],
  ]);
}

export function issueClientCertificate(folder: string, name: string, authority: KeyPair, subject: Subject): Promise<KeyPair> {
  return certificate(folder, name, subject, [...signedBy(authority), '-addext', 'extendedKeyUsage=clientAuth']);
}

function signedBy(authority: KeyPair): readonly string[] {
  return ['-CA', authority.certFile, '-CAkey', authority.keyFile, '-addext', 'basicConstraints=critical,CA:FALSE'];
}

async function certificate(folder: string, name: string, subject: Subject, options: readonly string[]): Promise<KeyPair> {
  const pair = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', pair.keyFile];
  await openssl(['req', '-x509', '-sha256', '-days', '2', ...key, '-out', pair.certFile, '-subj', distinguishedName(subject), ...options]);
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
