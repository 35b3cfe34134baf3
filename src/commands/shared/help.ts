import type { Command } from 'commander';

/** What `--help` prints below the flags of a command. */
export interface HelpText {
  readonly notes?: string;
  /** By status: what it means. */
  readonly exitStatus: Readonly<Record<number, string>>;
  readonly examples?: readonly string[];
}

const helpTexts = new WeakMap<Command, HelpText>();

/** Adds the text to the help of a command. */
export function addHelp(command: Command, text: HelpText): Command {
  helpTexts.set(command, text);
  return command.addHelpText('after', () => printHelp(command, text));
}

export function helpTextOf(command: Command): HelpText | undefined {
  return helpTexts.get(command);
}

/** Wrapped to the width of the terminal, as commander wraps the flags. */
function printHelp(command: Command, { notes, exitStatus, examples = [] }: HelpText): string {
  const helper = command.createHelp();
  helper.prepareContext({ helpWidth: process.stdout.columns ?? 80 });
  const statuses = Object.entries(exitStatus).map(([status, meaning]) => helper.formatItem(status, status.length, meaning, helper));
  return [
    ...(notes === undefined ? [] : ['', helper.boxWrap(notes, helper.helpWidth ?? 80)]),
    '',
    'Exit status:',
    ...statuses,
    ...(examples.length === 0 ? [] : ['', 'Examples:', ...examples.map((each) => `  ${each}`)]),
    '',
  ].join('\n');
}
