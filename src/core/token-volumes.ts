import { type Cel, maybe } from './cel.ts';
import { orEmpty, type Volume } from './pod.ts';

/** Names of volumes. A volume may lack a name, and a mount too. */
export type VolumeNames = ReadonlySet<Volume['name']>;

export function holdsToken({ projected }: Volume): boolean {
  return orEmpty(projected?.sources).some(({ serviceAccountToken: token }) => token != null);
}

/** The kubelet requests a certificate for the pod's service account, which the API server may accept instead of a token. Source: KEP-4317. */
export function holdsCertificate({ projected }: Volume): boolean {
  return orEmpty(projected?.sources).some(({ podCertificate: certificate }) => certificate != null);
}

/** The API server injects the token's volume under such a name before it calls webhooks. Only the author can change a volume that the author wrote. */
export function isInjected({ name }: Volume): boolean {
  return name?.startsWith('kube-api-access-') === true;
}

/** The names of the volumes into which the API server put a token. Where the profile removes the token, they are removed with their mounts. */
export function injectedTokensOf(volumes: readonly Volume[]): VolumeNames {
  return new Set(volumes.flatMap((volume) => (holdsToken(volume) && isInjected(volume) ? [volume.name] : [])));
}

/**
 * The indices of projected sources without content. The API server accepts such sources. It creates one when it drops a podCertificate because the
 * feature gate is off, which it does after the mutating webhooks.
 */
export function emptySourcesOf({ projected }: Volume): readonly number[] {
  return orEmpty(projected?.sources).flatMap((source, index) => (Object.values(source).every((each) => each == null) ? [index] : []));
}

/** In CEL: whether a volume is `injectedTokensOf` its pod. */
/** The sources of a projected volume. The API server writes a missing list as null, because the field is not omitted when it is empty. */
export function sourcesCel(volume: Cel): Cel {
  const written = maybe(volume, 'projected.sources');
  return `(${written}.orValue(null) == null ? [] : ${written}.orValue([]))`;
}

export const isInjectedTokenCel = (volume: Cel): Cel =>
  `(${volume}.name.startsWith('kube-api-access-') && ${sourcesCel(volume)}.exists(s, has(s.serviceAccountToken)))`;
