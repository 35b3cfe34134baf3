import type { Cluster } from '../cluster/client.ts';
import { type Profile, USER_NAMESPACES_SINCE } from '../core/profiles/profile.ts';

const OLD_SERVER = `the API server is older than Kubernetes 1.${USER_NAMESPACES_SINCE}: unless its feature gate UserNamespacesSupport is on, it drops hostUsers, and every pod of these profiles is refused`;

/** The ids of the profiles whose pods are behind their wall only if the API server stores `hostUsers`. */
export function findHostUsersProfiles(profiles: Iterable<Profile>): readonly string[] {
  return [...profiles].filter(({ grant, requirementsFor }) => requirementsFor(grant).wall.hostUsers === false).map(({ id }) => id);
}

/**
 * Warns when the API server may drop `hostUsers`.
 * @param profiles the ids of the profiles that need it
 */
export async function checkVersion(
  cluster: Pick<Cluster, 'version'>,
  profiles: readonly string[],
  warn: (fields: { readonly kubernetes: string; readonly profiles: readonly string[] }, message: string) => void,
): Promise<void> {
  if (profiles.length === 0) return;
  const version = await cluster.version();
  if (version === undefined || version.major > 1 || version.minor >= USER_NAMESPACES_SINCE) return;
  warn({ kubernetes: `${version.major}.${version.minor}`, profiles }, OLD_SERVER);
}
