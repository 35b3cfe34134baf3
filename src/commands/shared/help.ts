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

const DEFAULT_WIDTH = 80;
/** Longer lines are hard to read, however wide the terminal is. */
const MAX_WIDTH = 100;

/** The width of a line of text, in characters. Into a file or a pipe: 80. */
export const terminalWidth = (): number => Math.min(process.stdout.columns ?? DEFAULT_WIDTH, MAX_WIDTH);

/** Wrapped to the width of the terminal, as commander wraps the flags. */
function printHelp(command: Command, { notes, exitStatus, examples = [] }: HelpText): string {
  const helper = command.createHelp();
  helper.prepareContext({ helpWidth: terminalWidth() });
  const statuses = Object.entries(exitStatus).map(([status, meaning]) => helper.formatItem(status, status.length, meaning, helper));
  return [
    ...(notes === undefined ? [] : ['', helper.boxWrap(notes, terminalWidth())]),
    '',
    'Exit status:',
    ...statuses,
    ...(examples.length === 0 ? [] : ['', 'Examples:', ...examples.map((each) => `  ${each}`)]),
    '',
  ].join('\n');
}
