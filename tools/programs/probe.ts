import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { buildGo } from './go.ts';

/** The program in probe/: from inside a pod it attempts actions that only root on the node may do. Built once, into the user's cache. */
export async function probeProgram(): Promise<string> {
  const files = await Promise.all(['go.mod', 'main.go'].map((name) => readFile(join(import.meta.dirname, 'probe', name))));
  const version = createHash('sha256').update(Buffer.concat(files)).digest('hex').slice(0, 12);
  const folder = await cached(`probe-${version}`, ['probe'], (into) =>
    buildGo({ module: 'probe', packages: ['.'], into: join(into, 'probe') }),
  );
  return join(folder, 'probe');
}
