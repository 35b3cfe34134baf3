import { Command, Option } from 'commander';
import { API_VERSION } from '../config/schema.ts';
import { SUPPORTED_VERSIONS } from '../core/kubernetes.ts';
import { backends } from '../core/profiles/index.ts';
import { addHelp } from './shared/help.ts';
import { version } from './shared/version.ts';

/** `cloister version`: what this version of Cloister knows. */
export const command: Command = new Command('version')
  .description(
    'Prints the version of Cloister, the API version of its configuration file, the profiles that need no configuration, and the versions of ' +
      'Kubernetes that it is tested with.',
  )
  .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
  .action(({ output }: { readonly output: string }) => {
    const facts = {
      version: version(),
      configuration: API_VERSION,
      profiles: backends.map(({ id }) => id),
      kubernetes: SUPPORTED_VERSIONS,
      node: process.versions.node,
    };
    process.stdout.write(output === 'json' ? `${JSON.stringify(facts, null, 2)}\n` : printFacts(facts));
  });

addHelp(command, { exitStatus: { 0: 'success' }, examples: ['cloister version', 'cloister version -o json'] });

function printFacts(facts: Readonly<Record<string, string | readonly string[]>>): string {
  const width = Math.max(...Object.keys(facts).map(({ length }) => length)) + 2;
  return Object.entries(facts)
    .map(([name, value]) => `${`${name}:`.padEnd(width)} ${typeof value === 'string' ? value : value.join(', ')}\n`)
    .join('');
}
