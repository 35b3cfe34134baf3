import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileOf, type Recording, SMALL } from '../reviews/recordings.ts';
import { LOAD_CPU } from '../servers/cpu-pinning.ts';
import type { Machine, RunningServer } from '../servers/servers.ts';
import type { CallJob, CallResults } from './api-server-calls.ts';
import type { AttackJob } from './attack.ts';
import type { LoadJob, LoadResults } from './load-generator.ts';

/** Sends one review to a server again and again, from a process of its own. */
export async function sendLoad(
  recording: Recording,
  server: RunningServer,
  options: Pick<LoadJob, 'pace' | 'seconds'>,
  machine: Machine,
): Promise<LoadResults> {
  const { spec, pid, target } = server;
  const { path, size } = recording;
  // The large bodies of one address that wait at a time are limited.
  const connections = size === 'large' ? { connections: 8 } : {};
  const job: LoadJob = { target, pid, files: [fileOf(recording)], path, expectsPatch: spec.patches(path), ...connections, ...options };
  return runJob('load-generator.ts', job, server, machine);
}

/** Sends one hostile body a second and accepts any answer. It runs at low priority, so that it does not disturb a measurement. */
export async function sendHostileBodies(
  files: readonly string[],
  server: RunningServer,
  seconds: number,
  machine: Machine,
): Promise<LoadResults> {
  const { pid, target } = server;
  const job: LoadJob = { target, pid, files, path: SMALL.path, pace: 1, connections: 1, seconds };
  return runJob('load-generator.ts', job, server, machine, { prefix: ['nice', '-n', '19'] });
}

/** Attacks a server, at low priority; see attack.ts. */
export async function attack(job: AttackJob, server: RunningServer, machine: Machine): Promise<void> {
  await runJob('attack.ts', job, server, machine, { prefix: ['nice', '-n', '19'], printsResults: false });
}

/** Calls a server as API servers do; see api-server-calls.ts. */
export async function callAsApiServers(
  server: RunningServer,
  job: Omit<CallJob, 'target'>,
  machine: Machine,
): Promise<readonly CallResults[]> {
  return runJob('api-server-calls.ts', { target: server.target, ...job } satisfies CallJob, server, machine);
}

async function runJob<Results>(
  script: string,
  job: object,
  { spec }: RunningServer,
  { pin }: Machine,
  { prefix = [], printsResults = true }: { readonly prefix?: readonly string[]; readonly printsResults?: boolean } = {},
): Promise<Results> {
  const command = [...prefix, process.execPath, join(import.meta.dirname, script), JSON.stringify(job)];
  const [program, args] = pin(LOAD_CPU, command[0] as string, command.slice(1));
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 256 * 1024 * 1024 }).catch(({ stderr }) => {
    throw new Error(`the load on ${spec.name} failed: ${stderr}`);
  });
  return (printsResults ? JSON.parse(stdout) : undefined) as Results;
}
