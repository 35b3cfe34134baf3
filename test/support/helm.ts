import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import { program } from '../../tools/programs.ts';
import type { Finished } from './client.ts';

export const CHART = join(import.meta.dirname, '../../charts/cloister');

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
  const release = ['template', 'cloister', CHART, '--namespace=cloister-system', '--values=-'];
  return run(await program('helm'), [...release, ...args], values);
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
