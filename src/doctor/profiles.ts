import type { Profile } from '../core/profiles/profile.ts';

/** Whether pods of the profile are behind their wall only if `hostUsers` is kept. */
export const needsHostUsers = ({ grant, requirementsFor }: Profile): boolean => requirementsFor(grant).wall.hostUsers === false;

/** Whether a user namespace is a part of the wall of the profile: by `hostUsers`, or by the annotation of CRI-O nodes that predate it. */
export const hasUserNamespace = (profile: Profile): boolean =>
  needsHostUsers(profile) || profile.requirementsFor(profile.grant).wall.annotations.length > 0;

/** Whether the grant of the profile unmasks /proc. */
export const unmasksProc = ({ grant, requirementsFor }: Profile): boolean => requirementsFor(grant).workspace.unmasksProc;

export const isKata = ({ backend }: Profile): boolean => backend.id.startsWith('kata-');

/** The seccomp profile that nodes must have for the grant of the profile, relative to the kubelet's seccomp folder. */
export function seccompProfileOf({ grant, requirementsFor }: Profile): string | undefined {
  const { seccompProfile } = requirementsFor(grant).workspace;
  return seccompProfile?.type === 'Localhost' ? (seccompProfile.localhostProfile ?? undefined) : undefined;
}
