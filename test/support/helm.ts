import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import { chartTool } from '../../tools/programs/chart-tools.ts';
import type { ApiServer } from './api-server.ts';
import type { Finished } from './client.ts';
import { within } from './network.ts';

export const CHART = join(import.meta.dirname, '../../charts/cloister');

/** Of the release. */
export const NAMESPACE = 'cloister-system';

/** As the cluster's administrator. @throws with what helm says */
export async function helm({ connection, admin }: ApiServer, args: readonly string[], values: object = {}): Promise<Finished> {
  const [command, all] = within(connection.network, await chartTool('helm'), [...args, `--namespace=${NAMESPACE}`]);
  const env = { PATH: process.env.PATH, HOME: dirname(admin.kubeconfig), KUBECONFIG: admin.kubeconfig };
  const finished = await run(command, all, JSON.stringify(values), env);
  if (finished.code !== 0) throw new Error(`helm ${args[0]}: ${finished.stderr}`);
  return finished;
}

/** Waits until the Job of the release as it is now has done its work. @throws with why it has not */
export async function ensured({ kubectl }: ApiServer): Promise<void> {
  const job = ['--selector=app.kubernetes.io/component=ensure', `--namespace=${NAMESPACE}`];
  const { code, stderr } = await kubectl(['wait', '--for=condition=complete', 'job', ...job, '--timeout=180s']);
  if (code !== 0) throw new Error(`${stderr}${(await kubectl(['logs', ...job, '--tail=20'])).stdout}`);
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: whatever a kind has
  readonly [field: string]: any;
}

/** What the chart becomes with some values, in YAML or JSON. */
export async function render(values: string, args: readonly string[] = []): Promise<Finished> {
  const release = ['template', 'cloister', CHART, `--namespace=${NAMESPACE}`, '--values=-'];
  return run(await chartTool('helm'), [...release, ...args], values);
}

/** @throws when the values are refused */
export async function rendered(values: object = {}, args: readonly string[] = []): Promise<readonly Manifest[]> {
  const { code, stdout, stderr } = await render(JSON.stringify(values), args);
  if (code !== 0) throw new Error(stderr);
  return manifestsIn(stdout);
}

export function manifestsIn(stream: string): readonly Manifest[] {
  return parseAllDocuments(stream).flatMap((document) => {
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [manifest];
  });
}

/** @throws when there is none, or more than one */
export function only(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind && (name === undefined || each.metadata.name === name));
  const [first, ...others] = found;
  if (first === undefined || others.length > 0) throw new Error(`there are ${found.length} objects ${kind} ${name ?? ''}`);
  return first;
}

export async function run(command: string, args: readonly string[], input = '', env: NodeJS.ProcessEnv = process.env): Promise<Finished> {
  const child = spawn(command, args, { env });
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(input);
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}
