import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into a server with `--import`. At each SIGUSR2 it prints the longest stall of the event loop since the previous signal, with a
 * resolution of one millisecond.
 */
if (isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  process.on('SIGUSR2', () => {
    process.stdout.write(`longest stall: ${(delay.max / 1e6).toFixed(1)} ms\n`);
    delay.reset();
  });
}
