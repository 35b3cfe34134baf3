import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

export type Renewal = { readonly needed: true; readonly reason: string } | { readonly needed: false; readonly at: Date };

/**
 * Whether a certificate is to be made anew: two thirds into its life, so that a third is left to fail and retry in.
 * @param wanted the DNS names and IP addresses it must cover; none for an authority
 */
export function renewal(current: X509Certificate | undefined, wanted: readonly string[], now: Date): Renewal {
  if (current === undefined) return { needed: true, reason: 'there is none yet' };
  const missing = wanted.find((name) => !covers(current, name));
  if (missing !== undefined) return { needed: true, reason: `it does not cover ${missing}` };
  const from = current.validFromDate.getTime();
  const to = current.validToDate.getTime();
  if (now.getTime() >= to) return { needed: true, reason: 'it has expired' };
  const at = new Date(from + ((to - from) * 2) / 3);
  return now < at ? { needed: false, at } : { needed: true, reason: 'it is nearing expiry' };
}

function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name, { subject: 'never' }) : certificate.checkIP(name)) !== undefined;
}
