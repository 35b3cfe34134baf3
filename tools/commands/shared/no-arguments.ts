/** Ends the program where it was given arguments: whoever asks it for help does not want it to begin. */
export function takeNoArguments(usage: string): void {
  if (process.argv.length === 2) return;
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}
