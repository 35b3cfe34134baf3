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
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import forge from 'node-forge';

/**
 * Makes X.509 certificates. Keys and signatures are node:crypto's, ECDSA on P-256; node-forge only puts the DER together.
 * Source: RFC 5280
 */

/** A certificate and its private key, both PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Term {
  readonly now: Date;
  readonly days: number;
}

/** A certificate that may sign those of servers, and no further authority. */
export async function createAuthority(name: string, { now, days }: Term): Promise<Issued> {
  const { publicKey, privateKey } = await generateKey();
  const certificate = assemble(publicKey, {
    subject: nameOf(name),
    issuer: nameOf(name),
    ...lifetime(now, days),
    signer: privateKey,
    extensions: [
      extension(OID.basicConstraints, sequence(boolean(true), integer('\0')), { critical: true }),
      // keyCertSign and cRLSign
      extension(OID.keyUsage, bits('\x06', 1), { critical: true }),
      extension(OID.subjectKeyIdentifier, octets(keyIdOf(publicKey))),
    ],
  });
  return { certificate, key: pem(privateKey) };
}

/**
 * A server's certificate. It never outlives its authority.
 * @param names DNS names and IP addresses; the first is its common name, clients read only the list
 */
export async function issueCertificate(authority: Issued, names: readonly string[], { now, days }: Term): Promise<Issued> {
  const signer = createPrivateKey(authority.key);
  const { raw, validToDate } = new X509Certificate(authority.certificate);
  const { publicKey, privateKey } = await generateKey();
  const { notBefore, notAfter } = lifetime(now, days);
  const certificate = assemble(publicKey, {
    subject: nameOf((names[0] ?? '').slice(0, MAX_COMMON_NAME)),
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
  return { certificate, key: pem(privateKey) };
}

const MAX_COMMON_NAME = 64;

// The named curve as an object identifier: written out as parameters, some clients refuse the key.
const generateKey = () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256', paramEncoding: 'named' });

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Clocks of a cluster differ: who is an hour behind still takes it. */
const SKEW = 60 * 60 * 1_000;
const DAY = 24 * 60 * 60 * 1_000;

/** When a certificate of ours was made. */
export function issuedAt({ validFromDate }: X509Certificate): Date {
  return new Date(validFromDate.getTime() + SKEW);
}

function lifetime(now: Date, days: number) {
  return { notBefore: new Date(now.getTime() - SKEW), notAfter: new Date(now.getTime() + days * DAY) };
}

interface Content {
  readonly subject: Node;
  readonly issuer: Node;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly Node[];
  readonly signer: KeyObject;
}

function assemble(publicKey: KeyObject, { subject, issuer, notBefore, notAfter, extensions, signer }: Content): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const toBeSigned = sequence(
    context(0, integer('\x02')),
    integer(serialNumber()),
    algorithm,
    issuer,
    sequence(time(notBefore), time(notAfter)),
    subject,
    asn1.fromDer(publicKey.export({ type: 'spki', format: 'der' }).toString('binary')),
    context(3, sequence(...extensions)),
  );
  const signature = sign('sha256', Buffer.from(asn1.toDer(toBeSigned).getBytes(), 'binary'), signer).toString('binary');
  const der = asn1.toDer(sequence(toBeSigned, algorithm, bits(signature))).getBytes();
  return new X509Certificate(Buffer.from(der, 'binary')).toString();
}

/** 128 bits: positive, and without the leading zeros that DER forbids. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('binary');
}

/** The subject as its certificate writes it, byte for byte: chains are built by comparing it. */
function subjectOf(certificate: Buffer): Node {
  const [toBeSigned] = asn1.fromDer(certificate.toString('binary')).value as [Node, Node, Node];
  // After version, serial number, algorithm, issuer and validity.
  return (toBeSigned.value as Node[])[5] as Node;
}

/** RFC 5280, section 4.2.1.2, method 1: SHA-1 of the key's bits. A name, no safeguard. */
function keyIdOf(publicKey: KeyObject): string {
  const spki = asn1.fromDer(publicKey.export({ type: 'spki', format: 'der' }).toString('binary'));
  const [, bitString] = spki.value as [Node, Node];
  // Without the first octet, which counts unused bits.
  const key = asn1.toDer(bitString).getBytes().slice(-UNCOMPRESSED_POINT);
  return createHash('sha1').update(key, 'binary').digest('binary');
}

const UNCOMPRESSED_POINT = 65;

function alternativeName(name: string): Node {
  return isIP(name) === 0 ? tagged(2, name) : tagged(7, bytesFromIP(name));
}

const { asn1 } = forge;
// Missing from the package's types.
const { bytesFromIP } = forge.util as unknown as { bytesFromIP(address: string): string };
const { Class, Type } = asn1;
type Node = forge.asn1.Asn1;

const OID = {
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;

function extension(id: string, value: Node, { critical = false } = {}): Node {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(asn1.toDer(value).getBytes()));
}

function nameOf(commonName: string): Node {
  const value = asn1.create(Class.UNIVERSAL, Type.UTF8, false, forge.util.encodeUtf8(commonName));
  return sequence(asn1.create(Class.UNIVERSAL, Type.SET, true, [sequence(oid(OID.commonName), value)]));
}

/** RFC 5280, section 4.1.2.5: UTCTime through 2049, GeneralizedTime from then on. */
function time(date: Date): Node {
  return date.getUTCFullYear() < 2050
    ? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

function sequence(...items: Node[]): Node {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
}

function oid(id: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(id).getBytes());
}

function integer(bytes: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.INTEGER, false, bytes);
}

function boolean(value: boolean): Node {
  return asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, value ? '\xff' : '\0');
}

function octets(bytes: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes);
}

function bits(bytes: string, unused = 0): Node {
  return asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unused) + bytes);
}

function context(tag: number, value: Node): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, true, [value]);
}

function tagged(tag: number, bytes: string): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, false, bytes);
}
