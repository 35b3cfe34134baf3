import { execFile } from 'node:child_process';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

export interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `cloister manifests` as a process with only the given environment. */
export function printManifests(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Printed> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'manifests', ...args], { env, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
