import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { makeDevCertificates } from '../../src/commands/certs.ts';

/** A line of the log. */
export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Serving {
  readonly child: ChildProcess;
  readonly port: number;
  /** Of the operations port. */
  ask(path: string): Promise<Asked>;
  /** With tls.crt and tls.key. */
  readonly folder: string;
  readonly ca: Buffer;
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** How many files and sockets it has open. */
  openFiles(): number;
  /** Ends it as a kubelet would. @returns its exit status */
  stop(): Promise<number | null>;
}

interface Asked {
  readonly status: number;
  readonly body: string;
}

export interface ServingOptions {
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly onLine?: (line: Line) => void;
}

/** Runs `cloister serve` as a process of its own, on the loopback interface, with certificates of its own, and waits until it is ready. */
export async function startServing({ args = [], env = {}, onLine }: ServingOptions = {}): Promise<Serving> {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-serving-'));
  await makeDevCertificates(folder, { hosts: [], force: false, now: new Date() });
  const ca = await readFile(join(folder, 'ca.crt'));
  // Ports are chosen here, because a quiet log does not contain the ports that the server would choose.
  const [port, operationsPort, metricsPort] = await freePorts();
  const local = [
    ...['--listen', `127.0.0.1:${port}`, '--operations-listen', `127.0.0.1:${operationsPort}`],
    ...['--metrics-listen', `127.0.0.1:${metricsPort}`, '--drain-delay', '0s'],
  ];
  const child = spawn(process.execPath, ['src/main.ts', 'serve', ...local, '--tls-dir', folder, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: string[] = [];
  const stderr: string[] = [];
  child.stderr.on('data', (chunk) => stderr.push(String(chunk)));
  createInterface(child.stdout).on('line', (line) => {
    stdout.push(`${line}\n`);
    onLine?.(JSON.parse(line) as Line);
  });
  const closed = once(child, 'close');
  while ((await ask(operationsPort, '/readyz').catch(() => undefined))?.status !== 200) {
    if (child.exitCode !== null) throw new Error(`serve ended with ${child.exitCode}: ${stderr.join('')}`);
    await pause(20);
  }
  return {
    child,
    port,
    ask: (path) => ask(path === '/metrics' ? metricsPort : operationsPort, path),
    folder,
    ca,
    stdout: () => stdout.join(''),
    stderr: () => stderr.join(''),
    openFiles: () => readdirSync(`/proc/${child.pid}/fd`).length,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await closed;
      await rm(folder, { recursive: true, force: true });
      return code as number | null;
    },
  };
}

/** A connection for each question: none is left open. */
function ask(port: number, path: string): Promise<Asked> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, async (response) => {
      resolve({ status: response.statusCode ?? 0, body: await text(response) });
    }).on('error', reject);
  });
}

async function freePorts(): Promise<[number, number, number]> {
  const servers = [createServer(), createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return (server.address() as AddressInfo).port;
    }),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports as [number, number, number];
}
