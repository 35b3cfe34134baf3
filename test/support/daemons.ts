import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Daemon {
  readonly name: string;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** What it ends by. */
  readonly signal: NodeJS.Signals;
  readonly command: readonly [program: string, args: readonly string[]];
}

const GRACE_MS = 5_000;

/**
 * The process that cleans up. It reads processes and cgroups line by line, and starts its work at the end of its input. A cgroup can be removed
 * as soon as none of its processes is left; from then on nothing writes into the folder.
 */
const GUARD = `
  while read -r line; do
    case $line in
      forget) pids= ;;
      /*) cgroups="$cgroups $line" ;;
      *) pids="$pids $line" ;;
    esac
  done
  [ -z "$pids" ] || kill -9 $pids 2>/dev/null
  for cgroup in $cgroups; do
    for try in $(seq 1200); do
      [ -d "$cgroup" ] || break
      find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    done
  done
  rm -rf -- "$1"
`;

/**
 * Background programs that share a temporary folder, and do not outlive this process.
 *
 * A guard in a session of its own holds a pipe from here: it is closed however this process ends, even by SIGKILL,
 * and then the guard ends the programs and removes the folder.
 */
export class Daemons {
  readonly folder: string;
  readonly #guard: ChildProcess;
  #started: readonly Daemon[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.#guard = spawn('sh', ['-c', GUARD, 'guard', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#guard.unref();
    (this.#guard.stdin as Socket).unref();
  }

  static async create(name: string): Promise<Daemons> {
    return new Daemons(await mkdtemp(join(tmpdir(), `cloister-${name}-`)));
  }

  start(name: string, program: string, args: readonly string[], signal: NodeJS.Signals = 'SIGTERM'): Daemon {
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    child.unref();
    if (child.pid === undefined)
      child.once('error', () => {}); // ready() reports it
    else this.#send(`${child.pid}`);
    const daemon: Daemon = { name, child, logFile, signal, command: [program, args] };
    this.#started = [...this.#started, daemon];
    return daemon;
  }

  /** Ends some of them at once, as a power failure does, and starts them again in their order. */
  async restart(names: readonly string[]): Promise<void> {
    const chosen = this.#started.filter(({ name }) => names.includes(name));
    this.#started = this.#started.filter((each) => !chosen.includes(each));
    await Promise.all(chosen.map((each) => end({ ...each, signal: 'SIGKILL' })));
    for (const { name, command, signal } of chosen) this.start(name, ...command, signal);
  }

  /** Takes a folder of a cgroup hierarchy, which may not be there yet, away with everything below it once its processes have ended. */
  removeCgroup(folder: string): void {
    this.#send(folder);
  }

  #send(line: string): void {
    this.#guard.stdin?.write(`${line}\n`);
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
    for (const daemon of this.#started.toReversed()) await end(daemon);
    this.#send('forget');
    this.#guard.ref();
    this.#guard.stdin?.end();
    if (!hasEnded(this.#guard)) await once(this.#guard, 'exit');
  }
}

async function end({ child, signal }: Daemon): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.ref();
  child.kill(signal);
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
