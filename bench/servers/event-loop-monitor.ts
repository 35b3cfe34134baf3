import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into a server with `--import`: at each SIGUSR2 it prints for how long at most the loop kept everybody waiting since the one before,
 * to within a millisecond.
 */
if (isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  process.on('SIGUSR2', () => {
    process.stdout.write(`longest stall: ${(delay.max / 1e6).toFixed(1)} ms\n`);
    delay.reset();
  });
}
