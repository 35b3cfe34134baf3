import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

export type Renewal = { readonly needed: true; readonly reason: string } | { readonly needed: false; readonly at: Date };

export interface Wanted {
  /** The DNS names and IP addresses that it must cover; none for an authority. */
  readonly names: readonly string[];
  /** Who must have signed it. */
  readonly authority?: X509Certificate;
}

/** Whether a certificate is to be made anew: two thirds into its life, so that a third is left to fail and retry in. */
export function renewal(current: X509Certificate | undefined, { names, authority }: Wanted, now: Date): Renewal {
  if (current === undefined) return { needed: true, reason: 'there is none yet' };
  const missing = names.find((name) => !covers(current, name));
  if (missing !== undefined) return { needed: true, reason: `it does not cover ${missing}` };
  if (authority !== undefined && !isSignedBy(current, authority)) {
    return { needed: true, reason: `it is not signed by the authority ${authority.serialNumber}` };
  }
  const { validFromDate: from, validToDate: to } = current;
  if (now < from) return { needed: true, reason: `it is valid only from ${from.toISOString()} on` };
  if (now >= to) return { needed: true, reason: `it expired at ${to.toISOString()}` };
  const at = new Date(from.getTime() + ((to.getTime() - from.getTime()) * 2) / 3);
  return now < at ? { needed: false, at } : { needed: true, reason: `two thirds of its life were over at ${at.toISOString()}` };
}

/** By name and by signature: authorities that follow each other bear the same name. */
export function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name, { subject: 'never' }) : certificate.checkIP(name)) !== undefined;
}
