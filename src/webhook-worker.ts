import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { apply } from './apply-patch.ts';
import { loadConfig, parseConfig } from './config/load.ts';
import type { WorkerRequest } from './webhook/http/worker.ts';
import { makeRespond } from './webhook/review/respond.ts';

/**
 * The script of the worker thread to which `serve` gives large reviews. It sends back the decision and never the object that it judged: copying
 * an object between threads costs more than parsing it.
 */

/** The text of the configuration file that the main thread read: parsed profiles hold functions, which cannot be sent to a worker. */
export interface WebhookWorkerData {
  readonly config: string | undefined;
}

// Small reviews go first. On Linux this applies to the calling thread; on other systems it would apply to the whole process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

const { config: text } = workerData as WebhookWorkerData;
const config = text === undefined ? await loadConfig(undefined) : parseConfig(text, 'the configuration');
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date(), repairsInPart: config.value.backstop });

parentPort?.on('message', ({ path, body }: WorkerRequest) => {
  parentPort?.postMessage(respond(path, body));
  // Detach: the garbage collector does not see how much memory the small wrapper holds.
  body.buffer.transfer(0);
});
parentPort?.postMessage('ready');
