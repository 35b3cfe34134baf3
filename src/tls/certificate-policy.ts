import type { X509Certificate } from 'node:crypto';

const MIN_RSA_BITS = 2_048;
/** P-256, P-384 and P-521: the curves that Go's TLS, and so every API server, accepts in certificates. */
const CURVES: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** @returns why clients reject this certificate, or should; undefined: it is strong enough */
export function weaknessOf(certificate: X509Certificate): string | undefined {
  const { publicKey, signatureAlgorithm, subject, issuer } = certificate;
  const { modulusLength = 0, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  switch (publicKey.asymmetricKeyType) {
    case 'rsa':
      if (modulusLength < MIN_RSA_BITS) return `has an RSA key of ${modulusLength} bits: it must have ${MIN_RSA_BITS} or more`;
      break;
    case 'ec':
      if (!CURVES.has(namedCurve)) return `has a key on the curve ${namedCurve}: it must be P-256, P-384 or P-521`;
      break;
    case 'ed25519':
      break;
    default:
      return `has a key of type ${publicKey.asymmetricKeyType}: it must be RSA, ECDSA or Ed25519`;
  }
  // Clients do not verify the signature of a self-signed certificate.
  const isSelfSigned = subject === issuer;
  if (!isSelfSigned && /md5|sha1/i.test(signatureAlgorithm ?? ''))
    return `is signed with ${signatureAlgorithm}: it must be SHA-256 or better`;
  return undefined;
}
