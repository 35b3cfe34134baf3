import { execFile } from 'node:child_process';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, '../../src/commands/manifests.ts');
const SCRIPT = `const { command } = await import(process.argv[1]); await command.parseAsync(process.argv.slice(2), { from: 'user' });`;

export interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `cloister manifests` in a process of its own, with no environment but the given one. */
export function printManifests(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Printed> {
  return new Promise((resolve) => {
    const nodeArgs = ['--input-type=module', '--eval', SCRIPT, SOURCE, ...args];
    execFile(process.execPath, nodeArgs, { env, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
