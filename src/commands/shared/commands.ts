import type { Command } from 'commander';

/** The commands, in the order of the help. Each is imported when it is used, so that no command waits for the imports of another. */
export const commands: ReadonlyMap<string, () => Promise<{ readonly command: Command }>> = new Map([
  ['serve', () => import('../serve.ts')],
  ['fix', () => import('../fix.ts')],
  ['check', () => import('../check.ts')],
  ['explain', () => import('../explain.ts')],
  ['manifests', () => import('../manifests.ts')],
  ['ensure', () => import('../ensure.ts')],
  ['certs', () => import('../certs.ts')],
  ['node-profile', () => import('../node-profile.ts')],
]);
