/** Prints the usage for `--help` and exits. Without this, `--help` would start a command that parses no flags. */
export function answerHelp(usage: string): void {
  if (!process.argv.slice(2).includes('--help')) return;
  process.stdout.write(`${usage}\n`);
  process.exit(0);
}

/**
 * The arguments of a command without flags. A flag, or a number of arguments outside the range, ends the command with its usage.
 * @param most how many arguments the command takes at most; `least`: at least
 */
export function readArguments(usage: string, { least = 0, most }: { readonly least?: number; readonly most: number }): readonly string[] {
  answerHelp(usage);
  const given = process.argv.slice(2);
  if (given.length >= least && given.length <= most && !given.some((each) => each.startsWith('-'))) return given;
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}
