import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileOf, PROFILES, type Recording, readRecording } from '../reviews/recordings.ts';
import { LOAD } from '../servers/cpu-pinning.ts';
import { type Contestant, type Running, type Stage, start } from '../servers/servers.ts';
import type { Crowd, CrowdJob } from './api-server-calls.ts';
import type { Job, Load } from './load-generator.ts';

export const SMALL: Recording = { size: 'small', path: `/mutate/${PROFILES.sudo}` };

/** Starts a server, and waits until it has answered a review. */
export async function begin(contestant: Contestant, stage: Stage): Promise<Running> {
  return start(contestant, { path: SMALL.path, body: await readRecording(SMALL) }, stage);
}

/** Puts load on one server, from a process of its own. */
export async function put(recording: Recording, server: Running, how: Pick<Job, 'pace' | 'seconds'>, stage: Stage): Promise<Load> {
  const { contestant, pid, target } = server;
  const { path } = recording;
  const job: Job = { target, pid, files: [fileOf(recording)], path, patched: contestant.patches(path), ...how };
  return run('load-generator.ts', job, server, stage);
}

/** Sends bodies of any kind, one a second, and takes whatever is answered. It gives way to whoever measures meanwhile. */
export async function pester(files: readonly string[], server: Running, seconds: number, stage: Stage): Promise<Load> {
  const { pid, target } = server;
  const job: Job = { target, pid, files, path: SMALL.path, pace: 1, connections: 1, seconds };
  return run('load-generator.ts', job, server, stage, ['nice', '-n', '19']);
}

/** Calls as API servers do; see api-server-calls.ts. */
export async function call(server: Running, job: Omit<CrowdJob, 'target'>, stage: Stage): Promise<readonly Crowd[]> {
  return run('api-server-calls.ts', { target: server.target, ...job } satisfies CrowdJob, server, stage);
}

async function run<Result>(
  script: string,
  job: object,
  { contestant }: Running,
  { pin }: Stage,
  before: readonly string[] = [],
): Promise<Result> {
  const command = [...before, process.execPath, join(import.meta.dirname, script), JSON.stringify(job)];
  const [program, args] = pin(LOAD, command[0] as string, command.slice(1));
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 256 * 1024 * 1024 }).catch(({ stderr }) => {
    throw new Error(`the load on ${contestant.name} failed: ${stderr}`);
  });
  return JSON.parse(stdout);
}
