import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeFolder } from '../../src/make-folder.ts';
import type { Daemon, Daemons } from '../../test/support/daemons.ts';
import { imageSettings } from '../../test/support/image.ts';
import { createAuthority, issueServerCertificate, type KeyPair } from '../../test/support/openssl.ts';
import { type Answer, open, post, type Target } from '../load/connection.ts';
import { makeAnswerCheck } from '../load/load-generator.ts';
import { CONFIG_FILE, readRecording, SMALL } from '../reviews/recordings.ts';
import { type Pin, SERVER_CPU } from './cpu-pinning.ts';

const exec = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const FLOOR_PARSE = join(import.meta.dirname, 'floor-parse.ts');

/** Node's flags in the image. */
const NODE_FLAGS = imageSettings().entrypoint.slice(1, -1);

/** The memory of a pod of the chart, whose values set 512Mi (537 MB). */
export const POD_MB = 512;

/** A server under test. Every server has the same certificate and listens on loopback, at a port that the kernel chooses. */
export interface ServerSpec {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Whether a correct answer at this path holds a patch. */
  patches(path: string): boolean;
}

export interface Servers {
  /** The baseline: Node that parses the review and always gives the same answer. */
  readonly floor: ServerSpec;
  readonly cloister: ServerSpec;
  /** The baseline in Go, which decodes only the envelope; undefined without Go. */
  readonly goFloor: ServerSpec | undefined;
  /** An ordinary Go webhook that does what the profile does; undefined without Go. */
  readonly controllerRuntime: ServerSpec | undefined;
  /** The issuer of all certificates: its files, and its certificate as PEM. */
  readonly authority: KeyPair;
  readonly ca: string;
}

/** Creates certificates and builds the servers as they are shipped: JavaScript without types, and Go binaries. */
export async function prepareServers({ folder }: Daemons): Promise<Servers> {
  const authority = await createAuthority(folder);
  const { certFile, keyFile } = await issueServerCertificate(folder, 'serving', authority, ['IP:127.0.0.1']);
  await Promise.all([copyFile(certFile, join(folder, 'tls.crt')), copyFile(keyFile, join(folder, 'tls.key'))]);

  await exec(process.execPath, [join(root, 'tools', 'commands', 'build.ts')], { cwd: root });
  await compile('--ignoreConfig', '--target', 'es2024', '--module', 'esnext', '--outDir', folder, FLOOR_PARSE);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  const goFloor = await buildGoServer('go-floor');
  const controllerRuntime = await buildGoServer('controller-runtime');

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

export function cloisterWith(config: string, tlsDir: string): ServerSpec {
  const local = '127.0.0.1:0';
  const serve = [
    'serve',
    '--config',
    config,
    '--tls-dir',
    tlsDir,
    '--listen',
    local,
    '--operations-listen',
    local,
    '--metrics-listen',
    local,
  ];
  return {
    name: 'cloister',
    program: process.execPath,
    args: [...NODE_FLAGS, join(root, 'dist', 'main.js'), ...serve],
    patches: isMutating,
  };
}

const isMutating = (path: string): boolean => path.startsWith('/mutate/');

/** Emits JavaScript only: `./dev types` checks the types. */
async function compile(...args: readonly string[]): Promise<void> {
  await exec(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '--noCheck', ...args], { cwd: root });
}

/**
 * @param name the folder of its module
 * @returns the program, or undefined without Go
 */
async function buildGoServer(name: string): Promise<string | undefined> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cloister', 'bench');
  const part = join(folder, `${name}-${process.pid}`);
  try {
    await makeFolder(folder);
    await exec('go', ['build', '-o', part, '.'], { cwd: join(import.meta.dirname, name) });
    await rename(part, join(folder, name));
    return join(folder, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    await rm(part, { force: true });
    throw error;
  }
}

export interface RunningServer {
  readonly spec: ServerSpec;
  readonly pid: number;
  readonly target: Target;
  /** From the start of the process to its first correct answer. */
  readonly startMs: number;
  readLog(): Promise<string>;
  /** Sends SIGTERM. @returns the exit code */
  terminate(): Promise<number | null>;
  /** Sends SIGKILL. */
  kill(): void;
}

export interface Machine {
  readonly daemons: Daemons;
  readonly ca: string;
  readonly pin: Pin;
}

/** Starts a server and waits for its first correct answer. */
export async function startServer(spec: ServerSpec, machine: Machine): Promise<RunningServer> {
  const body = await readRecording(SMALL);
  const request = post(SMALL.path, body);
  const check = makeAnswerCheck(body, spec.patches(SMALL.path));
  const since = performance.now();
  const daemon = machine.daemons.start(`${spec.name}-${since}`, ...machine.pin(SERVER_CPU, spec.program, spec.args));
  const target = await waitForAddress(daemon, machine.ca);
  check(await waitForAnswer(target, request));
  const startMs = performance.now() - since;
  const { child, logFile } = daemon;
  return {
    spec,
    pid: child.pid as number,
    target,
    startMs,
    readLog: () => readFile(logFile, 'utf8'),
    async terminate() {
      // Daemons are unreferenced: without this, Node would not wait for the exit.
      child.ref();
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = await exited;
      return code;
    },
    kill: () => child.kill('SIGKILL'),
  };
}

const START_TIMEOUT_MS = 30_000;

/** A server prints the address at which it serves reviews before any other. */
async function waitForAddress({ name, child, logFile }: Daemon, ca: string): Promise<Target> {
  for (const deadline = performance.now() + START_TIMEOUT_MS; performance.now() < deadline; await sleep(1)) {
    const log = await readFile(logFile, 'utf8');
    const port = /127\.0\.0\.1:(\d+)/.exec(log)?.[1];
    if (port !== undefined) return { port: Number(port), ca };
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`${name} ended before it listened: ${log}`);
  }
  throw new Error(`${name} printed no address within ${START_TIMEOUT_MS} ms`);
}

/** A server may listen before it has loaded its certificate: retry. */
async function waitForAnswer(target: Target, request: Uint8Array): Promise<Answer> {
  for (const deadline = performance.now() + START_TIMEOUT_MS; ; await sleep(1)) {
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
