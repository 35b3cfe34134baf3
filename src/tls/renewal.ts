import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

export type Renewal = { readonly isDue: true; readonly reason: string } | { readonly isDue: false; readonly at: Date };

export interface CertificateRequirements {
  /** The DNS names and IP addresses that the certificate must cover; empty for an authority. */
  readonly names: readonly string[];
  /** The authority that must have signed it. */
  readonly authority?: X509Certificate;
}

/**
 * Whether a certificate must be reissued. A certificate is reissued after two thirds of its lifetime. During the last third, failed attempts can be
 * repeated.
 */
export function checkRenewal(current: X509Certificate | undefined, { names, authority }: CertificateRequirements, now: Date): Renewal {
  if (current === undefined) return { isDue: true, reason: 'there is none yet' };
  const missing = names.find((name) => !covers(current, name));
  if (missing !== undefined) return { isDue: true, reason: `it does not cover ${missing}` };
  if (authority !== undefined && !isSignedBy(current, authority)) {
    return { isDue: true, reason: `it is not signed by the authority ${authority.serialNumber}` };
  }
  const { validFromDate: from, validToDate: to } = current;
  if (now < from) return { isDue: true, reason: `it is not valid before ${from.toISOString()}` };
  if (now >= to) return { isDue: true, reason: `it expired at ${to.toISOString()}` };
  const at = new Date(from.getTime() + ((to.getTime() - from.getTime()) * 2) / 3);
  return now < at ? { isDue: false, at } : { isDue: true, reason: `two thirds of its lifetime ended at ${at.toISOString()}` };
}

/** Checks the name and the signature: an authority and its successor have the same name. */
export function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name, { subject: 'never' }) : certificate.checkIP(name)) !== undefined;
}
