import type { Profile } from './profiles/profile.ts';

/** A container name that `grantTo` of the profile matches. */
export function workspaceNameOf({ grant, requirementsFor }: Profile): string {
  const [pattern] = requirementsFor(grant).grantTo ?? [];
  const name = pattern?.glob.replaceAll('*', 'x') ?? 'workspace';
  return name.replace(/^-/, 'x-').replace(/-$/, '-x');
}
