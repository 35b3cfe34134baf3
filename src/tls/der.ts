import { isIP } from 'node:net';
import forge from 'node-forge';

/**
 * The parts of an X.509 certificate as ASN.1 nodes, and their DER encoding. Byte strings are binary strings, as node-forge has them.
 * docs/dependencies.md says why this uses node-forge: Node has no writer of certificates, and libraries with typed extensions bring a family
 * of further packages.
 * Source: RFC 5280
 */

export type Node = forge.asn1.Asn1;

const { asn1 } = forge;
const { Class, Type } = asn1;
// Missing from the types of node-forge.
const { bytesFromIP } = forge.util as unknown as { bytesFromIP(address: string): string };

export const OID = {
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

export function decodeDer(der: Buffer): Node {
  return asn1.fromDer(der.toString('binary'));
}

export function encodeDer(node: Node): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'binary');
}

export function childrenOf(node: Node): readonly Node[] {
  return node.value as Node[];
}

export function extension(id: string, value: Node, { critical = false } = {}): Node {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(asn1.toDer(value).getBytes()));
}

export function distinguishedName(commonName: string): Node {
  const value = asn1.create(Class.UNIVERSAL, Type.UTF8, false, forge.util.encodeUtf8(commonName));
  return sequence(asn1.create(Class.UNIVERSAL, Type.SET, true, [sequence(oid(OID.commonName), value)]));
}

/** A DNS name or an IP address, as an entry of subjectAltName. */
export function alternativeName(name: string): Node {
  return isIP(name) === 0 ? tagged(2, name) : tagged(7, bytesFromIP(name));
}

/** RFC 5280, section 4.1.2.5: UTCTime through 2049, GeneralizedTime from then on. */
export function time(date: Date): Node {
  return date.getUTCFullYear() < 2050
    ? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

export function sequence(...items: Node[]): Node {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
}

export function oid(id: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(id).getBytes());
}

export function integer(bytes: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.INTEGER, false, bytes);
}

export function boolean(value: boolean): Node {
  return asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, value ? '\xff' : '\0');
}

export function octets(bytes: string): Node {
  return asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes);
}

/** @param unusedBits of the last byte */
export function bits(bytes: string, unusedBits = 0): Node {
  return asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, String.fromCharCode(unusedBits) + bytes);
}

/** A node under a context-specific tag. */
export function context(tag: number, value: Node): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, true, [value]);
}

/** Bytes under a context-specific tag. */
export function tagged(tag: number, bytes: string): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, false, bytes);
}
