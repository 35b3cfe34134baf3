import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Daemon, Daemons } from '../../test/support/daemons.ts';
import { imageSettings } from '../../test/support/image.ts';
import { createAuthority, issueServerCertificate, type KeyPair } from '../../test/support/openssl.ts';
import { type Answer, open, post, type Target } from '../load/connection.ts';
import { checkOf } from '../load/load-generator.ts';
import { CONFIG_FILE } from '../reviews/recordings.ts';
import { type Pin, SERVERS } from './cpu-pinning.ts';

const exec = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const FLOOR_PARSE = join(import.meta.dirname, 'floor-parse.ts');

/** Node's flags in the image. */
const NODE_FLAGS = imageSettings().entrypoint.slice(1, -1);

/** The memory of a pod of the chart; in its values 512Mi, which is a little more. */
export const POD_MB = 512;

/** A server that takes part. All have the same certificate, and listen on loopback at a port of their own choice. */
export interface Contestant {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Whether a right answer at this path holds a patch. */
  patches(path: string): boolean;
}

export interface Field {
  /** Node that parses, and answers always the same: what everything is measured by. */
  readonly floor: Contestant;
  readonly cloister: Contestant;
  /** Go that decodes only the envelope; undefined where there is no Go. */
  readonly goFloor: Contestant | undefined;
  /** Go as it is usually written, which does what the profile does; likewise. */
  readonly controllerRuntime: Contestant | undefined;
  /** That all certificates are from; in files, and as PEM. */
  readonly authority: KeyPair;
  readonly ca: string;
}

/** Makes certificates and builds servers, as they are shipped: plain JavaScript, and a program. */
export async function prepare({ folder }: Daemons): Promise<Field> {
  const authority = await createAuthority(folder);
  const { certFile, keyFile } = await issueServerCertificate(folder, 'serving', authority, ['IP:127.0.0.1']);
  await Promise.all([copyFile(certFile, join(folder, 'tls.crt')), copyFile(keyFile, join(folder, 'tls.key'))]);

  await exec(process.execPath, [join(root, 'tools', 'commands', 'build.ts')], { cwd: root });
  await compile('--ignoreConfig', '--target', 'es2024', '--module', 'esnext', '--outDir', folder, FLOOR_PARSE);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const goFloor = await buildGo('go-floor');
  const controllerRuntime = await buildGo('controller-runtime');

  return {
    floor: { name: 'floor-parse', program: process.execPath, args: [join(folder, 'floor-parse.js'), folder], patches: () => true },
    cloister: cloisterWith(CONFIG_FILE, folder),
    goFloor: goFloor === undefined ? undefined : { name: 'go-floor', program: goFloor, args: [folder], patches: () => true },
    controllerRuntime:
      controllerRuntime === undefined
        ? undefined
        : { name: 'controller-runtime', program: controllerRuntime, args: [folder], patches: isMutating },
    authority,
    ca: await readFile(authority.certFile, 'utf8'),
  };
}

/** With a configuration and certificates of its own. */
export function cloisterWith(config: string, tlsDir: string): Contestant {
  const local = '127.0.0.1:0';
  const serve = ['serve', '--config', config, '--tls-dir', tlsDir, '--listen', local, '--operations-listen', local];
  return {
    name: 'cloister',
    program: process.execPath,
    args: [...NODE_FLAGS, join(root, 'dist', 'main.js'), ...serve],
    patches: isMutating,
  };
}

const isMutating = (path: string): boolean => path.startsWith('/mutate/');

/** Emits only: whether the types are right is told elsewhere. */
async function compile(...args: readonly string[]): Promise<void> {
  await exec(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--noCheck', ...args], { cwd: root });
}

/** @param name of the folder of its module */
async function buildGo(name: string): Promise<string | undefined> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cloister', 'bench');
  const part = join(folder, `${name}-${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await exec('go', ['build', '-o', part, '.'], { cwd: join(import.meta.dirname, name) });
    await rename(part, join(folder, name));
    return join(folder, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    await rm(part, { force: true });
    throw error;
  }
}

/** One that takes part now. */
export interface Running {
  readonly contestant: Contestant;
  readonly pid: number;
  readonly target: Target;
  /** From the moment it was started to its first right answer. */
  readonly startMs: number;
  /** What it printed so far. */
  said(): Promise<string>;
  /** Asks it to end, and gives its exit code. */
  end(): Promise<number | null>;
  /** At once: for one whose part is over. */
  kill(): void;
}

export interface Stage {
  readonly daemons: Daemons;
  readonly ca: string;
  readonly pin: Pin;
}

/** Starts a server and waits for its first right answer. */
export async function start(contestant: Contestant, { path, body }: { path: string; body: Buffer }, stage: Stage): Promise<Running> {
  const request = post(path, body);
  const check = checkOf(body, contestant.patches(path));
  const since = performance.now();
  const daemon = stage.daemons.start(`${contestant.name}-${since}`, ...stage.pin(SERVERS, contestant.program, contestant.args));
  const target = await listening(daemon, stage.ca);
  check(await firstAnswer(target, request));
  const startMs = performance.now() - since;
  const { child, logFile } = daemon;
  return {
    contestant,
    pid: child.pid as number,
    target,
    startMs,
    said: () => readFile(logFile, 'utf8'),
    async end() {
      // Otherwise this program does not wait for it.
      child.ref();
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = await ended;
      return code;
    },
    kill: () => child.kill('SIGKILL'),
  };
}

const PATIENCE_MS = 30_000;

/** The first address that a server writes is the one it serves reviews at. */
async function listening({ name, child, logFile }: Daemon, ca: string): Promise<Target> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(1)) {
    const log = await readFile(logFile, 'utf8');
    const port = /127\.0\.0\.1:(\d+)/.exec(log)?.[1];
    if (port !== undefined) return { port: Number(port), ca };
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`${name} ended before it listened: ${log}`);
  }
  throw new Error(`${name} did not say within ${PATIENCE_MS} ms where it listens`);
}

/** A server may listen a moment before it has its certificate. */
async function firstAnswer(target: Target, request: Uint8Array): Promise<Answer> {
  for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(1)) {
    try {
      const connection = await open(target);
      const answer = await connection.send(request);
      connection.close();
      return answer;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
}
