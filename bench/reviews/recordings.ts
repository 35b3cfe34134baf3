import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Size } from './pods.ts';

/** What Cloister is configured with, here and while recording. */
export const CONFIG_FILE = join(import.meta.dirname, '..', 'config.yaml');

/** The profiles of that file, by what they grant. */
export const PROFILES = { sudo: 'userns', containers: 'userns-containers' } as const;

/** A request of the API server's: mutating entries see a pod as its author made it, validating ones as the profile left it. */
export interface Recording {
  readonly size: Size;
  /** The path it was sent to. */
  readonly path: string;
}

export const RECORDINGS: readonly Recording[] = [
  { size: 'small', path: `/mutate/${PROFILES.sudo}` },
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

/** `/validate/enforce/userns` of the small pod is in `recorded/small-validate-enforce-userns.jsonl`: one line, as it was sent. */
export function fileOf({ size, path }: Recording): string {
  return join(import.meta.dirname, 'recorded', `${size}${path.replaceAll('/', '-')}.jsonl`);
}
