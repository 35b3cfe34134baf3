import { Argument, Command } from 'commander';
import { addHelp } from './shared/help.ts';

/** `cloister completion`: commands and flags for a shell. */
export const command: Command = new Command('completion')
  .description(
    'Prints a script that completes the commands of cloister, their flags, and the values of flags that accept only certain values. Other words are ' +
      'completed as file names. Load it in the start file of the shell.',
  )
  .addArgument(new Argument('<shell>', 'shell to complete in').choices(['bash', 'zsh', 'fish']))
  .action((shell: string, _: unknown, self: Command) => {
    const words = (self.parent?.commands ?? []).flatMap((each) => describeCommand(each, ''));
    process.stdout.write(shell === 'fish' ? printFish(words) : printBash(words, shell === 'zsh'));
  });

addHelp(command, {
  exitStatus: { 0: 'success', 2: 'the shell is unknown' },
  examples: [
    'source <(cloister completion bash)',
    'source <(cloister completion zsh)',
    'cloister completion fish > ~/.config/fish/completions/cloister.fish',
  ],
});

/** A command with what may follow it. */
interface CompletedCommand {
  /** `certs dev` */
  readonly name: string;
  readonly summary: string;
  readonly words: readonly string[];
  readonly flags: readonly CompletedFlag[];
}

interface CompletedFlag {
  readonly names: readonly string[];
  readonly description: string;
  /** Empty: it has no value, or one of any form. */
  readonly choices: readonly string[];
  readonly hasValue: boolean;
}

function describeCommand(each: Command, parent: string): CompletedCommand[] {
  const name = `${parent}${each.name()}`;
  const flags = each.options
    .filter(({ hidden }) => !hidden)
    .map(({ short, long, description, argChoices = [], required, optional }) => ({
      names: [short, long].filter((flag) => flag !== undefined),
      description,
      choices: argChoices,
      hasValue: required || optional,
    }));
  const help = { names: ['-h', '--help'], description: 'display help for command', choices: [], hasValue: false };
  const words = [...each.commands.map((inner) => inner.name()), ...each.registeredArguments.flatMap(({ argChoices = [] }) => argChoices)];
  const described = { name, summary: each.summary() || each.description(), words, flags: [...flags, help] };
  return [described, ...each.commands.flatMap((inner) => describeCommand(inner, `${name} `))];
}

/** zsh runs the same function, through its emulation of bash's completion. */
function printBash(all: readonly CompletedCommand[], isZsh: boolean): string {
  const names = all.filter(({ name }) => !name.includes(' ')).map(({ name }) => name);
  const cases = all.map(({ name, words, flags }) => {
    const valued = flags.filter(({ hasValue }) => hasValue);
    const values = valued.map(({ names: flagNames, choices }) => `      ${flagNames.join('|')}) values='${choices.join(' ')}' ;;\n`);
    const offered = [...words, ...flags.flatMap(({ names: flagNames }) => flagNames)].join(' ');
    return `    '${name}')\n      words='${offered}'\n      case "$previous" in\n${values.map((line) => `  ${line}`).join('')}        *) hasValue= ;;\n      esac ;;\n`;
  });
  const nested = all.filter(({ name }) => name.includes(' ')).map(({ name }) => `    '${name}') command="${name}" ;;\n`);
  return `# Completions of cloister for ${isZsh ? 'zsh' : 'bash'}; \`cloister completion ${isZsh ? 'zsh' : 'bash'}\` prints them.
${isZsh ? 'autoload -Uz bashcompinit && bashcompinit\n' : ''}_cloister() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" words='' values='' hasValue=1
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names.join(' ')} help --help --version' -- "$current"))
    return
  fi
  case "$command \${COMP_WORDS[2]}" in
${nested.join('')}  esac
  case "$command" in
${cases.join('')}  esac
  if [ -n "$hasValue" ]; then
    words="$values"
  elif [ "\${current#-}" = "$current" ] && [ "\${words#-}" != "$words" ]; then
    words=''
  fi
  [ -n "$words" ] && COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cloister cloister
`;
}

function printFish(all: readonly CompletedCommand[]): string {
  const lines = all.flatMap(({ name, summary, words, flags }) => {
    const steps = name.split(' ');
    const condition = steps.map((step) => `__fish_seen_subcommand_from ${step}`).join('; and ');
    const own = steps.length > 1 ? [] : [`complete -c cloister -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`];
    return [
      ...own,
      ...words.map((word) => `complete -c cloister -n '${condition}' -a ${word}`),
      ...flags.map(({ names, description, choices, hasValue }) => {
        const flagNames = names.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
        const value = choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : hasValue ? ' -r' : '';
        return `complete -c cloister -n '${condition}' ${flagNames.join(' ')}${value} -d ${quote(description)}`;
      }),
    ];
  });
  return `# Completions of cloister for fish; \`cloister completion fish\` prints them.\n${lines.map((line) => `${line}\n`).join('')}`;
}

const quote = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
