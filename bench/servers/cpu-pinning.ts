import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** The processor of all servers, and the one of the load. */
export const SERVERS = 0;
export const LOAD = 1;

/** Says how a program is to be started to stay on one processor. */
export type Pin = (cpu: number, program: string, args: readonly string[]) => readonly [program: string, args: readonly string[]];

/** Where there is no second processor, or no taskset, programs run where the system lets them. */
export function pinning(): { readonly pin: Pin; readonly isPinned: boolean } {
  const isPinned = availableParallelism() > 1 && spawnSync('taskset', ['-c', '0,1', 'true']).status === 0;
  return { isPinned, pin: isPinned ? (cpu, program, args) => ['taskset', ['-c', String(cpu), program, ...args]] : (_, ...rest) => rest };
}
