import { parentPort, workerData } from 'node:worker_threads';
import { type Work, work } from './decoder.ts';

await work(workerData as Work, (message) => parentPort?.postMessage(message));
