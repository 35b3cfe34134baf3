import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { loadConfig } from '../config.ts';
import { backendById, backends } from '../core/profiles/index.ts';
import type { Profile } from '../core/profiles/profile.ts';
import { ruleById, rules } from '../core/rules/index.ts';
import { nearest } from '../did-you-mean.ts';

/** `cloister explain`: the page of a rule or a profile. */
export const command: Command = new Command('explain')
  .summary('tell what a rule or a profile asks, and why')
  .description('Prints the page of a rule or a profile: what it asks of a pod, why, and how to satisfy it. Without a name: what there is.')
  .argument('[name]', 'id of a rule or of a profile')
  .addOption(new Option('--config <file>', 'configuration file, for profiles of your own').env('CLOISTER_CONFIG'))
  .addHelpText(
    'after',
    `
Exit status: 0 it is told, 2 there is no such rule or profile, or the configuration cannot be used.

Examples:
  cloister explain
  cloister explain volume-types
  cloister explain kata-team-a --config config.yaml
`,
  )
  .action(run);

async function run(name: string | undefined, { config: file }: { readonly config?: string }, self: Command): Promise<void> {
  const config = await loadConfig(file);
  if (!config.ok) return self.error(config.error.join('\n'), { exitCode: 2 });
  // Without a configuration all backends are of interest, not just the one that is offered by default.
  const profiles = file === undefined ? new Map<string, Profile>() : config.value.profiles;
  process.stdout.write(name === undefined ? listOf(profiles) : await pageOf(name, profiles, self));
}

function listOf(profiles: ReadonlyMap<string, Profile>): string {
  const width = Math.max(...[...ruleById.keys(), ...backendById.keys(), ...profiles.keys()].map((id) => id.length));
  const lines = (entries: readonly (readonly [id: string, text: string])[]): string =>
    entries.map(([id, text]) => `  ${id.padEnd(width)}  ${text}\n`).join('');
  const own = [...profiles.values()].filter(({ id }) => !backendById.has(id));
  return [
    'Rules:\n',
    lines(rules.map(({ id, summary }) => [id, summary])),
    '\nProfiles:\n',
    lines(backends.map(({ id, summary }) => [id, summary])),
    own.length === 0 ? '' : `\nProfiles of this configuration:\n${lines(own.map((each) => [each.id, describe(each)]))}`,
    '\n`cloister explain <name>` tells more.\n',
  ].join('');
}

async function pageOf(name: string, profiles: ReadonlyMap<string, Profile>, self: Command): Promise<string> {
  if (ruleById.has(name)) return page('rules', name);
  const profile = profiles.get(name);
  const backend = profile?.backend.id ?? (backendById.has(name) ? name : undefined);
  if (backend === undefined) {
    const near = nearest(name, [...ruleById.keys(), ...backendById.keys(), ...profiles.keys()]);
    const guess = near.length === 0 ? '' : `: did you mean ${near.join(' or ')}?`;
    return self.error(`there is no rule or profile "${name}"${guess}\n\`cloister explain\` lists them`, { exitCode: 2 });
  }
  const head = profile === undefined ? '' : `In this configuration, ${name} ${describe(profile)}\n\n`;
  return head + (await page('profiles', backend));
}

function describe({ id, backend, grant, mayChoose, termsFor }: Profile): string {
  const { wall } = termsFor(grant);
  const parts = [
    ...(id === backend.id ? [] : [`extends ${backend.id}`]),
    `grants ${grant}`,
    ...(wall.runtimeClassName === undefined ? [] : [`runs on runtime class ${wall.runtimeClassName}`]),
    ...(mayChoose.length === 0 ? [] : [`lets pods choose ${mayChoose.join(' or ')}`]),
  ];
  return `${parts.join(', ')}.`;
}

/** Pages lie beside src/ and dist/ alike, in the repository as in the package. */
function page(folder: 'rules' | 'profiles', id: string): Promise<string> {
  return readFile(new URL(`../../docs/${folder}/${id}.md`, import.meta.url), 'utf8');
}
