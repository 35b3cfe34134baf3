import type { X509Certificate } from 'node:crypto';
import { isSignedBy } from './renewal.ts';

/** What is known about the authorities before the current one. */
export interface Predecessors {
  /** The authorities that were trusted when the current one was issued. */
  readonly remembered: readonly X509Certificate[];
  /** The authorities that the API server trusts now. */
  readonly published: readonly X509Certificate[];
  /** Serving certificates in use, each with the place that holds it. */
  readonly leaves: readonly { readonly certificate: X509Certificate; readonly where: string }[];
  /** Serving pods whose certificate could not be read. */
  readonly unknown: readonly string[];
  /** Until then kubelets may still mount the previous serving certificate: volumes are updated later than their Secret. */
  readonly overlapEnds: Date | undefined;
}

export interface TrustedAuthority {
  readonly certificate: X509Certificate;
  /** Why it is still trusted. */
  readonly reason: string;
}

/**
 * The authorities before the current one that must stay trusted: those that signed a certificate which a pod presents, or may still present.
 * The API server accepts every certificate of a trusted authority, so each authority is dropped as early as possible.
 */
export function findTrustedPredecessors(
  current: X509Certificate | undefined,
  { remembered, published, leaves, unknown, overlapEnds }: Predecessors,
  now: Date,
): readonly TrustedAuthority[] {
  const candidates = distinct([...remembered, ...published]).filter(
    (each) => each.ca && now < each.validToDate && each.fingerprint256 !== current?.fingerprint256,
  );
  return candidates.flatMap((certificate) => {
    const reason = reasonFor(certificate);
    return reason === undefined ? [] : [{ certificate, reason }];
  });

  function reasonFor(candidate: X509Certificate): string | undefined {
    const signed = leaves.find((leaf) => isSignedBy(leaf.certificate, candidate));
    if (signed !== undefined) return `${signed.where} has a certificate that this authority signed`;
    if (!remembered.some(({ fingerprint256 }) => fingerprint256 === candidate.fingerprint256)) return undefined;
    if (unknown.length > 0) return `the certificate of ${unknown.join(', ')} is not known`;
    if (overlapEnds !== undefined && now < overlapEnds)
      return `until ${overlapEnds.toISOString()}, pods may start with a certificate that this authority signed`;
    return undefined;
  }
}

function distinct(certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  return [...new Map(certificates.map((each) => [each.fingerprint256, each])).values()];
}
