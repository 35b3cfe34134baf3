import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, peakMb } from './process-stats.ts';

/** What a program used from its start to its end. */
export interface ProgramCost {
  /** Of all threads. */
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly wallClockSeconds: number;
}

const POLL_MS = 5;

/**
 * Runs a program to its end, and reads what it has used until shortly before.
 * @param code the status that it must end with
 */
export async function programCost(program: string, args: readonly string[], code: number): Promise<ProgramCost> {
  const start = performance.now();
  const child = spawn(program, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${program} cannot be started`);
  let cost = { cpuSeconds: 0, peakMb: 0 };
  let isRunning = true;
  void exited.then(() => {
    isRunning = false;
  });
  while (isRunning) {
    cost = readCost(pid) ?? cost;
    await sleep(POLL_MS);
  }
  const [status] = await exited;
  if (status !== code) throw new Error(`${program} ${args[0]} ended with status ${status}`);
  return { ...cost, wallClockSeconds: (performance.now() - start) / 1_000 };
}

/** undefined: the process has just ended */
function readCost(pid: number): Pick<ProgramCost, 'cpuSeconds' | 'peakMb'> | undefined {
  try {
    const cost = { cpuSeconds: cpuSeconds(pid), peakMb: peakMb(pid) };
    return Number.isFinite(cost.peakMb) ? cost : undefined;
  } catch {
    return undefined;
  }
}
