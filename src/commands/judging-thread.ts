import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { apply } from '../apply-patch.ts';
import { loadConfig, parseConfig } from '../config.ts';
import { makeRespond } from '../webhook/respond.ts';
import type { Question } from '../webhook/thread.ts';

/**
 * The thread that `serve` gives large reviews to. What it sends back is the decision, never what was judged: copying that from one thread to
 * another costs more than parsing it.
 */

/** The configuration in the words that the main thread read: profiles hold functions, and those cannot be sent. */
export interface ThreadData {
  readonly config: string | undefined;
}

// Whoever waits for a small review goes first. Linux takes this for the calling thread, other systems for the whole process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

const { config: text } = workerData as ThreadData;
const config = text === undefined ? await loadConfig(undefined) : parseConfig(text, 'the configuration');
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

parentPort?.on('message', ({ path, body }: Question) => {
  parentPort?.postMessage(respond(path, body));
  // Megabytes, held by an object so small that nobody would look for it soon.
  body.buffer.transfer(0);
});
parentPort?.postMessage('ready');
