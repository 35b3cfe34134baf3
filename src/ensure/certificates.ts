import { type LiveObject, titleOf } from '../cluster/object.ts';
import { issuedAt } from '../tls/certificate.ts';
import { certificatesIn, type KeyPair, parseKeyPair } from '../tls/pem.ts';
import { checkRenewal, isSignedBy } from '../tls/renewal.ts';
import { findTrustedPredecessors, type TrustedAuthority } from '../tls/trust.ts';
import { authoritiesOf, decode, entriesIn, namesOf, secretsOf } from './objects.ts';
import type { DesiredState, ObservedState } from './types.ts';

/** The state of the certificates. */
export interface Certificates {
  /** The current authority, unless it has expired or is unusable. */
  readonly authority: KeyPair | undefined;
  /** Why the authority must be replaced. */
  readonly authorityDue: string | undefined;
  readonly previousAuthorities: readonly TrustedAuthority[];
  /** Why the serving certificate must be replaced. */
  readonly servingDue: string | undefined;
  /** Whether the serving certificate is signed by the current authority. */
  readonly isServingCurrent: boolean;
}

export function certificatesOf({ objects, pods }: ObservedState, desired: DesiredState, now: Date): Certificates {
  const secrets = secretsOf(desired);
  const authoritySecret = objects.get(titleOf(secrets.authority));
  const authorityPair = readPair(authoritySecret);
  const authorityRenewal = checkRenewal(authorityPair.pair?.chain[0], { names: [] }, now);
  const isUsable = authorityPair.pair?.chain[0].ca === true && now < authorityPair.pair.chain[0].validToDate;
  const authority = isUsable ? authorityPair.pair : undefined;
  const authorityDue =
    authorityPair.problem ??
    (authorityPair.pair?.chain[0].ca === false ? 'its certificate is not an authority' : undefined) ??
    (authorityRenewal.isDue ? authorityRenewal.reason : undefined);

  const servingPair = readPair(objects.get(titleOf(secrets.serving)));
  const serving = servingPair.pair?.chain[0];
  const servingRenewal = checkRenewal(
    serving,
    { names: namesOf(desired.service), ...(authority && { authority: authority.chain[0] }) },
    now,
  );
  const isServingCurrent = serving !== undefined && authority !== undefined && isSignedBy(serving, authority.chain[0]);

  const previousAuthorities = findTrustedPredecessors(
    authority?.chain[0],
    {
      remembered: certificatesIn(decode(authoritySecret, 'ca.crt')),
      published: desired.configurations.flatMap((each) => entriesIn(objects.get(titleOf(each))).flatMap(authoritiesOf)),
      leaves: [
        ...(serving === undefined ? [] : [{ certificate: serving, where: titleOf(secrets.serving) }]),
        ...pods.flatMap(({ address, leaf }) => (leaf === undefined ? [] : [{ certificate: leaf, where: address }])),
      ],
      unknown: pods.filter(({ leaf }) => leaf === undefined).map(({ address }) => address),
      overlapEnds: isServingCurrent ? new Date(issuedAt(serving).getTime() + desired.overlapMs) : undefined,
    },
    now,
  );
  return {
    authority,
    authorityDue,
    previousAuthorities,
    servingDue: servingPair.problem ?? (servingRenewal.isDue ? servingRenewal.reason : undefined),
    isServingCurrent,
  };
}

function readPair(secret: LiveObject | undefined): { readonly pair?: KeyPair; readonly problem?: string } {
  const certificate = decode(secret, 'tls.crt');
  const key = decode(secret, 'tls.key');
  if (certificate === '' && key === '') return { problem: 'there is none yet' };
  const parsed = parseKeyPair({ certificate, key });
  return parsed.ok ? { pair: parsed.value } : { problem: PAIR_PROBLEMS[parsed.error] };
}

const PAIR_PROBLEMS = {
  certificate: 'its tls.crt is not a certificate',
  key: 'its tls.key is not the key of its tls.crt',
  mismatch: 'its tls.key is not the key of its tls.crt',
};
