import type { Command, CommanderError } from 'commander';

/** The input cannot be used. */
export const UNUSABLE = 2;

const CODE = 'cloister.failed';

/**
 * Ends a command. Each problem is a line on standard error, after the prefix that commander uses.
 * @param exitCode 2 by default: the input cannot be used
 */
export function fail(self: Command, problems: readonly string[], exitCode: number = UNUSABLE): never {
  return self.error(problems.map(printError).join('\n'), { exitCode, code: CODE });
}

export function printError(problem: string): string {
  return `error: ${problem}`;
}

/** Commander reports its own problems with status 1; they are all unusable flags. */
export function exitCodeOf({ code, exitCode }: CommanderError): number {
  return code === CODE || exitCode === 0 ? exitCode : UNUSABLE;
}
