import type { Command } from 'commander';

export interface CommandEntry {
  /** What it does, for the list of all commands. */
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

/**
 * The commands, in the order of the help. Each is imported when it is used, so that neither the list nor another command waits for its imports.
 */
export const commands: ReadonlyMap<string, CommandEntry> = new Map([
  ['serve', { summary: 'answer admission reviews', load: () => import('../serve.ts') }],
  ['fix', { summary: 'fix the findings in manifests', load: () => import('../fix.ts') }],
  ['check', { summary: 'list the findings in manifests', load: () => import('../check.ts') }],
  ['scan', { summary: 'list the findings in running pods, and whether their walls are there', load: () => import('../scan.ts') }],
  ['test', { summary: 'test a configuration by pods and their expected verdicts', load: () => import('../test.ts') }],
  ['explain', { summary: 'explain a rule, a profile or a field of a pod', load: () => import('../explain.ts') }],
  ['schema', { summary: 'print the JSON Schema of the configuration file', load: () => import('../schema.ts') }],
  ['manifests', { summary: 'print the objects that the cluster needs', load: () => import('../manifests.ts') }],
  ['ensure', { summary: 'reconcile the cluster with a configuration, and renew its certificates', load: () => import('../ensure.ts') }],
  ['doctor', { summary: 'check whether the cluster can do what its labels promise', load: () => import('../doctor.ts') }],
  ['certs', { summary: 'create certificate files', load: () => import('../certs.ts') }],
  ['node-profile', { summary: 'install the seccomp profile on a node', load: () => import('../node-profile.ts') }],
  ['probe', { summary: 'print what a process in a pod reads about its isolation', load: () => import('../probe.ts') }],
  ['completion', { summary: 'print completions for a shell', load: () => import('../completion.ts') }],
  [
    'version',
    { summary: 'print the version, the built-in profiles and the tested versions of Kubernetes', load: () => import('../version.ts') },
  ],
]);
