import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Argument, Command, Option } from 'commander';
import { commands } from '../../src/commands/shared/commands.ts';
import { helpTextOf } from '../../src/commands/shared/help.ts';
import { readArguments } from './shared/arguments.ts';

/** `./dev docs` writes docs/cli.md, the reference of all commands and flags, from the commands themselves. */

const PAGE = join(import.meta.dirname, '../../docs/cli.md');

const INTRODUCTION = `# The command line

\`./dev docs\` writes this page from the commands themselves. [manifests](check.md), [serving](serving.md), [ensure](ensure.md) and
[node-profile](node-profile.md) explain their commands at length.

A flag with a variable can also be set by that environment variable; the flag takes precedence. Problems are printed on standard error, one per line. All commands
exit with 70 after a bug in Cloister, except for a server that has started, and have the flag \`--help\`.
`;

/** The text of docs/cli.md. */
export async function cliPage(): Promise<string> {
  const loaded = await Promise.all([...commands.values()].map(({ load }) => load()));
  return [INTRODUCTION, ...loaded.flatMap(({ command }) => sectionsOf(command, 'cloister'))].join('\n');
}

function sectionsOf(command: Command, parent: string): string[] {
  const name = `${parent} ${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((each) => sectionsOf(each, name));
  const help = helpTextOf(command);
  const options = command.options.filter(({ hidden }) => !hidden);
  const parts = [
    `## \`${name}\``,
    `${sentenceOf(command.description())}${help?.notes === undefined ? '' : ` ${help.notes}`}`,
    `\`\`\`text\n${[name, ...command.registeredArguments.map(printArgument), '[options]'].join(' ')}\n\`\`\``,
    ...(command.registeredArguments.length === 0 ? [] : [command.registeredArguments.map(describeArgument).join('\n')]),
    ['| flag | sets | variable | default |', '|---|---|---|---|', ...options.map(rowOf)].join('\n'),
    ...(help === undefined ? [] : [['| exit status | meaning |', '|---|---|', ...Object.entries(help.exitStatus).map(cellsOf)].join('\n')]),
    ...(help?.examples === undefined ? [] : [`\`\`\`sh\n${help.examples.join('\n')}\n\`\`\``]),
  ];
  return parts.map((part) => `${part}\n`);
}

const sentenceOf = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith('.') ? '' : '.');
const printArgument = (argument: Argument): string => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`);
const describeArgument = (argument: Argument): string => `- \`${argument.name()}\`: ${escapeCell(argument.description)}`;
const cellsOf = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;

function rowOf({ flags, description, envVar, defaultValue, defaultValueDescription, argChoices }: Option): string {
  const choices = argChoices === undefined ? '' : `: ${argChoices.map((each) => `\`${each}\``).join(', ')}`;
  const isUnset = defaultValue === undefined || defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0);
  const printed = defaultValueDescription ?? (isUnset ? '' : String(defaultValue));
  return cellsOf([
    `\`${flags}\``,
    description + choices,
    envVar === undefined ? '' : `\`${envVar}\``,
    printed === '' ? '' : `\`${printed}\``,
  ]);
}

const escapeCell = (text: string): string => text.replace(/[|*]/g, '\\$&');

if (import.meta.main) {
  readArguments('usage: ./dev docs    writes docs/cli.md', { most: 0 });
  await writeFile(PAGE, await cliPage());
}
