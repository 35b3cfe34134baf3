import { Argument, Command } from 'commander';
import { jsonSchemas } from '../config/json-schema.ts';
import { addHelp } from './shared/help.ts';

/** `cloister schema`: the JSON Schema of a file, for editors. */
export const command: Command = new Command('schema')
  .description(
    'Prints the JSON Schema of a file that Cloister reads, so that an editor completes and checks its keys. The package has the schemas in the ' +
      'folder schemas/. A schema cannot express every rule: for example, only the commands that read the file check that no profile extends itself.',
  )
  .addArgument(
    new Argument('[file]', 'config: the configuration file; test: a file of policy tests, which `cloister test` runs')
      .choices([...jsonSchemas.keys()])
      .default('config'),
  )
  .action((name: string) => {
    process.stdout.write(printSchema(name));
  });

addHelp(command, {
  exitStatus: { 0: 'success', 2: 'there is no such schema' },
  examples: ['cloister schema > cloister.schema.json', 'cloister schema test'],
});

export function printSchema(name: string): string {
  return `${JSON.stringify(jsonSchemas.get(name)?.(), null, 2)}\n`;
}
