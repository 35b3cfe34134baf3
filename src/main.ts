#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { commands } from './commands/shared/commands.ts';
import { exitCodeOf, printError, UNUSABLE } from './commands/shared/fail.ts';
import { addHelp } from './commands/shared/help.ts';
import { oldestNode, version } from './commands/shared/version.ts';
import { didYouMean } from './did-you-mean.ts';

/** Cloister itself failed. The number is EX_SOFTWARE of sysexits.h. */
const BUG = 70;

// `cloister check ... | head` closes the pipe early, which is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`${printError(`standard output cannot be written: ${error.code}`)}\n`);
  process.exit(UNUSABLE);
});

const { node } = process.versions;
if (Number.parseInt(node, 10) < oldestNode()) {
  const problem = `cloister needs Node.js ${oldestNode()} or later, and this is Node.js ${node}: install a newer Node.js, or run cloister with another Node.js that is installed`;
  process.stderr.write(`${printError(problem)}\n`);
  process.exit(UNUSABLE);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${printError(`this is a bug in cloister ${version()}: report it with the lines below`)}\n`);
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = BUG;
}

async function run(args: readonly string[]): Promise<number> {
  const [first = '', second = ''] = args;
  // `cloister help check` is `cloister check --help`.
  if (first === 'help' && commands.has(second)) return run([second, '--help']);
  const name = first;
  const asksForHelp = name === '' || name === 'help' || name.startsWith('-');
  if (!asksForHelp && !commands.has(name)) {
    const problem = `there is no command "${name}"${didYouMean(name, commands.keys())}: \`cloister --help\` lists them`;
    process.stderr.write(`${printError(problem)}\n`);
    return UNUSABLE;
  }

  const program = new Command('cloister')
    .description('Root inside a Kubernetes workspace, and no privileges outside it.')
    .version(version(), '-V, --version', 'print the version');
  addHelp(program, {
    exitStatus: {
      0: 'success',
      1: 'the answer is no (a pod is refused, a test failed), or the work could not be done',
      2: 'the input cannot be used',
      70: 'a bug in cloister',
    },
  });
  for (const [each, { summary, load }] of commands) {
    const isLoaded = each === name || name === 'completion';
    if (isLoaded) program.addCommand((await load()).command.summary(summary));
    else if (asksForHelp) program.addCommand(new Command(each).summary(summary));
  }
  throwInsteadOfExit(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return exitCodeOf(error);
  }
}

/** By default commander exits at once, before all output is written. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  for (const each of command.commands) throwInsteadOfExit(each);
}
