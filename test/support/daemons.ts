import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Daemon {
  readonly name: string;
  readonly child: ChildProcess;
  readonly logFile: string;
}

const GRACE_MS = 5_000;

/**
 * Background programs that share a temporary folder, and do not outlive this process.
 *
 * A guard in a session of its own holds a pipe from here: it is closed however this process ends, even by SIGKILL,
 * and then the guard ends the programs and removes the folder.
 */
export class Daemons {
  readonly folder: string;
  readonly #guard: ChildProcess;
  readonly #started: Daemon[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    const script = 'while read -r pid; do pids="$pids $pid"; done; [ -z "$pids" ] || kill -9 $pids 2>/dev/null; rm -rf -- "$1"';
    this.#guard = spawn('sh', ['-c', script, 'guard', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#guard.unref();
    (this.#guard.stdin as Socket).unref();
  }

  static async create(name: string): Promise<Daemons> {
    return new Daemons(await mkdtemp(join(tmpdir(), `cloister-${name}-`)));
  }

  start(name: string, program: string, args: readonly string[]): Daemon {
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    child.unref();
    if (child.pid === undefined)
      child.once('error', () => {}); // ready() tells
    else this.#guard.stdin?.write(`${child.pid}\n`);
    const daemon = { name, child, logFile };
    this.#started.push(daemon);
    return daemon;
  }

  /** Waits until the answer is yes; ends early, with the log's last lines, when a program has died. */
  async ready(daemon: Daemon, isReady: () => Promise<boolean>, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await isReady())) {
      const dead = this.#started.find(({ child }) => hasEnded(child));
      if (dead !== undefined) throw new Error(`${dead.name} ended before ${daemon.name} was ready:\n${await lastLines(dead)}`);
      if (Date.now() > deadline) throw new Error(`${daemon.name} was not ready after ${timeoutMs} ms:\n${await lastLines(daemon)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The last one started stops first: it may need those before it to say goodbye. */
  async stop(): Promise<void> {
    for (const { child } of this.#started.toReversed()) await end(child);
    this.#guard.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.ref();
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  await ended;
  clearTimeout(impatience);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

async function lastLines({ logFile }: Daemon): Promise<string> {
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n');
  return lines.slice(-15).join('\n');
}
