import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { makeProbeReport, PROBED_FILES } from '../doctor/probe-report.ts';
import { parseDuration } from './shared/flags.ts';
import { addHelp } from './shared/help.ts';
import { version } from './shared/version.ts';

/** `cloister probe`: what a process in a pod reads about its isolation. */
export const command: Command = new Command('probe')
  .description(
    'Prints what this process reads about its isolation, as one line of JSON: ids of the user namespace, kernel, seccomp filter, capabilities and what is ' +
      'mounted below /proc. `cloister doctor --run` runs it in pods. Reads files of /proc, and changes nothing.',
  )
  .addOption(
    new Option('--hold <duration>', 'how long to run on after the line, or until SIGTERM: ids of two pods can be compared while both run')
      .argParser(parseDuration)
      .default(0, '0s'),
  )
  .action(run);

addHelp(command, {
  notes: 'A field that the kernel does not show is absent.',
  exitStatus: { 0: 'success' },
  examples: ['cloister probe', 'cloister probe --hold 30s'],
});

async function run({ hold }: { readonly hold: number }): Promise<void> {
  const files = await Promise.all(PROBED_FILES.map(async (path) => [path, await readIfThere(path)] as const));
  const report = makeProbeReport(Object.fromEntries(files), version());
  const line = `${JSON.stringify({ apiVersion: 'cloister.dev/v1alpha1', ...report })}\n`;
  if (hold === 0) {
    process.stdout.write(line);
    return;
  }
  // As the first process of a container it gets a signal only if it waits for it. A reader of the line may send the signal at once, so it waits before.
  const controller = new AbortController();
  const ended = Promise.race([once(process, 'SIGTERM', controller), sleep(hold, undefined, controller)]);
  process.stdout.write(line);
  await ended;
  controller.abort();
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    // Kernels differ in which of these files they have, and a runtime may hide one.
    return undefined;
  }
}
