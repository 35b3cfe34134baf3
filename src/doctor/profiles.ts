import type { Profile } from '../core/profiles/profile.ts';

/** Whether pods of the profile are behind their wall only if `hostUsers` is kept. */
export const needsHostUsers = ({ grant, requirementsFor }: Profile): boolean => requirementsFor(grant).wall.hostUsers === false;

/** Whether the grant of the profile unmasks /proc. */
export const unmasksProc = ({ grant, requirementsFor }: Profile): boolean => requirementsFor(grant).workspace.unmasksProc;

export const isKata = ({ backend }: Profile): boolean => backend.id.startsWith('kata-');
