import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import {
  alternativeName,
  bits,
  boolean,
  childrenOf,
  context,
  decodeDer,
  distinguishedName,
  encodeDer,
  extension,
  integer,
  type Node,
  OID,
  octets,
  oid,
  sequence,
  tagged,
  time,
} from './der.ts';
import type { Issued } from './pem.ts';

/**
 * Issues X.509 certificates. Keys and signatures come from node:crypto: ECDSA on P-256.
 * Source: RFC 5280
 */

export interface Term {
  readonly now: Date;
  readonly days: number;
}

/** An authority that may sign certificates of servers, and no further authority. */
export async function createAuthority(name: string, { now, days }: Term): Promise<Issued> {
  const { publicKey, privateKey } = await generateKey();
  const certificate = assemble(publicKey, {
    subject: distinguishedName(name),
    issuer: distinguishedName(name),
    ...validityOf(now, days),
    signer: privateKey,
    extensions: [
      extension(OID.basicConstraints, sequence(boolean(true), integer('\0')), { critical: true }),
      // keyCertSign and cRLSign
      extension(OID.keyUsage, bits('\x06', 1), { critical: true }),
      extension(OID.subjectKeyIdentifier, octets(keyIdOf(publicKey))),
    ],
  });
  return { certificate, key: printKey(privateKey) };
}

/**
 * Issues a certificate for a server. The certificate never outlives its authority.
 * @param names DNS names and IP addresses; the first becomes the common name, clients read only the list
 */
export async function issueCertificate(authority: Issued, names: readonly string[], { now, days }: Term): Promise<Issued> {
  const signer = createPrivateKey(authority.key);
  const { raw, validToDate } = new X509Certificate(authority.certificate);
  const { publicKey, privateKey } = await generateKey();
  const { notBefore, notAfter } = validityOf(now, days);
  const certificate = assemble(publicKey, {
    subject: distinguishedName((names[0] ?? '').slice(0, MAX_COMMON_NAME)),
    issuer: subjectOf(raw),
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), validToDate.getTime())),
    signer,
    extensions: [
      extension(OID.basicConstraints, sequence(), { critical: true }),
      // digitalSignature
      extension(OID.keyUsage, bits('\x80', 7), { critical: true }),
      extension(OID.extKeyUsage, sequence(oid(OID.serverAuth))),
      extension(OID.subjectAltName, sequence(...names.map(alternativeName))),
      extension(OID.subjectKeyIdentifier, octets(keyIdOf(publicKey))),
      extension(OID.authorityKeyIdentifier, sequence(tagged(0, keyIdOf(createPublicKey(signer))))),
    ],
  });
  return { certificate, key: printKey(privateKey) };
}

/** Characters. RFC 5280, appendix A.1: ub-common-name */
const MAX_COMMON_NAME = 64;

// The curve by its object identifier: some clients reject a key whose curve is written out as parameters.
const generateKey = () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256', paramEncoding: 'named' });

const printKey = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Certificates are valid this long before they are issued, so that clients whose clock is up to an hour behind accept them. */
const CLOCK_SKEW_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * 60 * 60 * 1_000;

/** When `issueCertificate` or `createAuthority` issued a certificate. */
export function issuedAt({ validFromDate }: X509Certificate): Date {
  return new Date(validFromDate.getTime() + CLOCK_SKEW_MS);
}

function validityOf(now: Date, days: number) {
  return { notBefore: new Date(now.getTime() - CLOCK_SKEW_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

interface CertificateContent {
  readonly subject: Node;
  readonly issuer: Node;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly Node[];
  readonly signer: KeyObject;
}

function assemble(publicKey: KeyObject, { subject, issuer, notBefore, notAfter, extensions, signer }: CertificateContent): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const toBeSigned = sequence(
    context(0, integer('\x02')),
    integer(serialNumber()),
    algorithm,
    issuer,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKeyInfoOf(publicKey),
    context(3, sequence(...extensions)),
  );
  const signature = sign('sha256', encodeDer(toBeSigned), signer).toString('binary');
  return new X509Certificate(encodeDer(sequence(toBeSigned, algorithm, bits(signature)))).toString();
}

/** 128 bits: positive, and without the leading zeros that DER forbids. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('binary');
}

/** The subject as the certificate encodes it, byte for byte: clients build chains by comparing these bytes. */
function subjectOf(certificate: Buffer): Node {
  const [toBeSigned] = childrenOf(decodeDer(certificate)) as [Node, Node, Node];
  // The field after version, serial number, algorithm, issuer and validity.
  return childrenOf(toBeSigned)[5] as Node;
}

/** RFC 5280, section 4.2.1.2, method 1: SHA-1 of the key's bits. The result is a name; its strength protects nothing. */
function keyIdOf(publicKey: KeyObject): string {
  const [, bitString] = childrenOf(publicKeyInfoOf(publicKey)) as [Node, Node];
  return createHash('sha1').update(encodeDer(bitString).subarray(-UNCOMPRESSED_POINT_BYTES)).digest('binary');
}

/** A format byte and two coordinates of 32 bytes: the whole bit string but for its header. */
const UNCOMPRESSED_POINT_BYTES = 65;

function publicKeyInfoOf(publicKey: KeyObject): Node {
  return decodeDer(publicKey.export({ type: 'spki', format: 'der' }));
}
