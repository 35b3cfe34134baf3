#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { oldestNode, version } from './commands/shared/version.ts';
import { nearest } from './did-you-mean.ts';

/** Each is loaded when it is named, so that none waits for what only another needs. */
const commands: ReadonlyMap<string, () => Promise<{ readonly command: Command }>> = new Map([
  ['serve', () => import('./commands/serve.ts')],
  ['fix', () => import('./commands/fix.ts')],
  ['check', () => import('./commands/check.ts')],
  ['explain', () => import('./commands/explain.ts')],
  ['manifests', () => import('./commands/manifests.ts')],
  ['ensure', () => import('./commands/ensure.ts')],
  ['certs', () => import('./commands/certs.ts')],
  ['node-profile', () => import('./commands/node-profile.ts')],
]);

/** Something is wrong with what the user gave. 1 is left to commands: the answer is no. */
const UNUSABLE = 2;
/** Something is wrong with us. As sysexits.h has it. */
const BUG = 70;

// `cloister check ... | head` closes the pipe early, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`cloister: standard output cannot be written (${error.code})\n`);
  process.exit(UNUSABLE);
});

const needed = oldestNode();
const { node } = process.versions;
if (Number.parseInt(node, 10) < needed) {
  process.stderr.write(`cloister needs Node ${needed} or later, and this is ${node}: install it, or call cloister by another node\n`);
  process.exit(UNUSABLE);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`cloister: this is a bug in cloister ${version()}; please report it with what follows\n`);
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = BUG;
}

async function run(args: readonly string[]): Promise<number> {
  const [name = ''] = args;
  const asksAll = name === '' || name === 'help' || name.startsWith('-');
  if (!asksAll && !commands.has(name)) {
    process.stderr.write(
      `cloister: there is no command "${name}"${guess(nearest(name, commands.keys()))}\n\`cloister --help\` lists them\n`,
    );
    return UNUSABLE;
  }

  const program = new Command('cloister')
    .description('Root inside a Kubernetes workspace, nobody outside it.')
    .version(version(), '-V, --version', 'print the version')
    .addHelpText(
      'after',
      '\nExit status: 0 all is well, 1 the answer is no (serve: it could not start), 2 the input cannot be used, 70 a bug in cloister.',
    );
  for (const [each, load] of commands) {
    if (asksAll || each === name) program.addCommand((await load()).command);
  }
  withoutExit(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : UNUSABLE;
  }
}

/** Commander would end the process where it stands, before what is printed has left it. */
function withoutExit(command: Command): void {
  command.exitOverride();
  for (const each of command.commands) withoutExit(each);
}

function guess(names: readonly string[]): string {
  return names.length === 0 ? '' : `: did you mean ${names.join(' or ')}?`;
}
