import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Size } from './pods.ts';

/** The configuration of Cloister while the reviews are recorded and while they are sent. */
export const CONFIG_FILE = join(import.meta.dirname, '..', 'config.yaml');

/** The profiles of that file, by what they grant. */
export const PROFILES = { sudo: 'userns', containers: 'userns-containers' } as const;

/** A request of an API server. Mutating entries receive the pod as its author wrote it, validating ones after the profile changed it. */
export interface Recording {
  readonly size: Size;
  /** The path it was sent to. */
  readonly path: string;
}

/** The review that most measurements use. */
export const SMALL: Recording = { size: 'small', path: `/mutate/${PROFILES.sudo}` };

export const RECORDINGS: readonly Recording[] = [
  SMALL,
  { size: 'small', path: `/mutate/${PROFILES.containers}` },
  { size: 'small', path: `/validate/enforce/${PROFILES.sudo}` },
  { size: 'small', path: `/validate/enforce/${PROFILES.containers}` },
  { size: 'medium', path: `/mutate/${PROFILES.sudo}` },
  { size: 'medium', path: `/validate/enforce/${PROFILES.sudo}` },
  { size: 'large', path: `/mutate/${PROFILES.sudo}` },
];

export function readRecording(recording: Recording): Promise<Buffer> {
  return readFile(fileOf(recording));
}

export function writeRecording(recording: Recording, body: Uint8Array): Promise<void> {
  return writeFile(fileOf(recording), body);
}

/** The file with one line, the body as it was sent: `recorded/small-validate-enforce-userns.jsonl` for `/validate/enforce/userns` of the small pod. */
export function fileOf({ size, path }: Recording): string {
  return join(import.meta.dirname, 'recorded', `${size}${path.replaceAll('/', '-')}.jsonl`);
}
