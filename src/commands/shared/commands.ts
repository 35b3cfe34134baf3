import type { Command } from 'commander';

/** The commands, in the order of the help. Each is imported when it is used, so that no command waits for the imports of another. */
export const commands: ReadonlyMap<string, () => Promise<{ readonly command: Command }>> = new Map([
  ['serve', () => import('../serve.ts')],
  ['fix', () => import('../fix.ts')],
  ['check', () => import('../check.ts')],
  ['test', () => import('../test.ts')],
  ['explain', () => import('../explain.ts')],
  ['schema', () => import('../schema.ts')],
  ['manifests', () => import('../manifests.ts')],
  ['ensure', () => import('../ensure.ts')],
  ['certs', () => import('../certs.ts')],
  ['node-profile', () => import('../node-profile.ts')],
  ['completion', () => import('../completion.ts')],
  ['version', () => import('../version.ts')],
]);
