import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** All servers share the first processor, and the load has the second. */
export const SERVER_CPU = 0;
export const LOAD_CPU = 1;

/** The command that starts a program on one processor. */
export type Pin = (cpu: number, program: string, args: readonly string[]) => readonly [program: string, args: readonly string[]];

/** Without a second processor, or without taskset, programs are not pinned. */
export function findPinning(): { readonly pin: Pin; readonly isPinned: boolean } {
  const isPinned = availableParallelism() > 1 && spawnSync('taskset', ['-c', '0,1', 'true']).status === 0;
  return { isPinned, pin: isPinned ? (cpu, program, args) => ['taskset', ['-c', String(cpu), program, ...args]] : (_, ...rest) => rest };
}
