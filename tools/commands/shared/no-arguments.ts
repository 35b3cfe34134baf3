/** Prints the usage and exits if there are arguments. `--help` must not start a program that takes none. */
export function takeNoArguments(usage: string): void {
  if (process.argv.length === 2) return;
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}
