import { X509Certificate } from 'node:crypto';
import { isSignedBy } from './renewal.ts';

/** What can be seen of the authorities that were in force before this one. */
export interface Predecessors {
  /** Those that were trusted beside it when it came. */
  readonly remembered: readonly X509Certificate[];
  /** Those that the API server trusts now. */
  readonly published: readonly X509Certificate[];
  /** Serving certificates in use, each with where. */
  readonly leaves: readonly { readonly certificate: X509Certificate; readonly where: string }[];
  /** Serving pods of which it is not known what they present. */
  readonly unknown: readonly string[];
  /** Until then a pod may start with the serving certificate before the last one: volumes lag behind their Secret. */
  readonly overlapEnds: Date | undefined;
}

export interface Trusted {
  readonly certificate: X509Certificate;
  /** Why it is still trusted. */
  readonly reason: string;
}

/**
 * Which authorities before the one in force stay trusted: those that signed a certificate that somebody presents, or may yet present. The
 * API server takes whatever a trusted authority signed, so each leaves as soon as it can.
 */
export function trustedBeside(authority: X509Certificate | undefined, seen: Predecessors, now: Date): readonly Trusted[] {
  const { remembered, published, leaves, unknown, overlapEnds } = seen;
  const candidates = distinct([...remembered, ...published]).filter(
    (each) => each.ca && now < each.validToDate && each.fingerprint256 !== authority?.fingerprint256,
  );
  return candidates.flatMap((certificate) => {
    const reason = reasonFor(certificate);
    return reason === undefined ? [] : [{ certificate, reason }];
  });

  function reasonFor(candidate: X509Certificate): string | undefined {
    const signed = leaves.find((leaf) => isSignedBy(leaf.certificate, candidate));
    if (signed !== undefined) return `${signed.where} has a certificate that it signed`;
    if (!remembered.some(({ fingerprint256 }) => fingerprint256 === candidate.fingerprint256)) return undefined;
    if (unknown.length > 0) return `it is not known what ${unknown.join(', ')} presents`;
    if (overlapEnds !== undefined && now < overlapEnds)
      return `pods may start with a certificate that it signed until ${overlapEnds.toISOString()}`;
    return undefined;
  }
}

/** The certificates of a PEM text, as far as they can be read. */
export function certificatesIn(text: string): readonly X509Certificate[] {
  return (text.match(PEM_CERTIFICATE) ?? []).flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function distinct(certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  return [...new Map(certificates.map((each) => [each.fingerprint256, each])).values()];
}
