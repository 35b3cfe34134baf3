import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningServer, ServerSpec } from './servers.ts';

const MONITOR = join(import.meta.dirname, 'event-loop-monitor.ts');

/** A server in Node whose longest stall can be read. */
export const monitored = (spec: ServerSpec): ServerSpec => ({ ...spec, args: ['--import', MONITOR, ...spec.args] });

/** The longest stall of the event loop of a monitored server since the previous call, in milliseconds. */
export async function readLongestStall({ pid, readLog }: RunningServer): Promise<number> {
  const before = stallsIn(await readLog()).length;
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    await sleep(5);
    const stalls = stallsIn(await readLog());
    if (stalls.length > before) return Number(stalls.at(-1));
  }
}

const stallsIn = (text: string): readonly string[] => Array.from(text.matchAll(/^longest stall: (\S+) ms$/gm), ([, ms]) => ms as string);
