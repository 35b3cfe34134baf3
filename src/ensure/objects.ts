import type { X509Certificate } from 'node:crypto';
import { type LiveObject, type Reference, titleOf } from '../cluster/object.ts';
import { HANDS_OFF_ANNOTATION } from '../core/labels.ts';
import type { Entry } from '../manifests/entries.ts';
import { LABELS } from '../manifests/labels.ts';
import { authoritySecretOf, type Service, servingSecretOf } from '../manifests/rbac.ts';
import { certificatesIn } from '../tls/pem.ts';
import type { TrustedAuthority } from '../tls/trust.ts';
import type { DesiredState, ObservedState } from './types.ts';

/** The Secrets, empty: their contents are generated. */
export function secretsOf({ service }: DesiredState): { readonly authority: Reference; readonly serving: Reference } {
  const secret = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: service.namespace, labels: LABELS },
    type: 'kubernetes.io/tls',
    // Required for this type.
    data: { 'tls.crt': '', 'tls.key': '' },
  });
  return { authority: secret(authoritySecretOf(service)), serving: secret(servingSecretOf(service)) };
}

/** The DNS names of a Service. API servers connect to `name.namespace.svc`. */
export function namesOf({ namespace, name }: Service): readonly [string, ...string[]] {
  return [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`, `${name}.${namespace}`];
}

export function isHandsOff({ metadata }: LiveObject): boolean {
  const mark = metadata.annotations?.[HANDS_OFF_ANNOTATION];
  // Any value but false counts, also a misspelt one.
  return mark !== undefined && mark !== 'false';
}

/** The decoded field of the data of a Secret; empty where it is absent. */
export function decode(secret: LiveObject | undefined, name: string): string {
  const data = secret?.data as Readonly<Record<string, string>> | undefined;
  return Buffer.from(data?.[name] ?? '', 'base64').toString('latin1');
}

/** The encoding of the data of a Secret, and of a caBundle. */
export function encode(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64');
}

export function entriesIn(configuration: object | undefined): readonly Entry[] {
  return (configuration as { readonly webhooks?: readonly Entry[] } | undefined)?.webhooks ?? [];
}

/** The configurations in the cluster that have entries, so that the API server calls the webhook. */
export function liveConfigurations({ configurations }: DesiredState, objects: ObservedState['objects']): readonly LiveObject[] {
  return configurations.flatMap((each) => objects.get(titleOf(each)) ?? []).filter((each) => entriesIn(each).length > 0);
}

export function authoritiesOf({ clientConfig }: Entry): readonly X509Certificate[] {
  return certificatesIn(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('latin1'));
}

/** The current authority and the previous ones as one PEM text. */
export function bundleOf(authority: X509Certificate | undefined, previousAuthorities: readonly TrustedAuthority[]): string {
  return [...(authority === undefined ? [] : [authority]), ...previousAuthorities.map(({ certificate }) => certificate)]
    .map(String)
    .join('');
}
