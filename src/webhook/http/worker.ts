import { Worker } from 'node:worker_threads';
import type { WorkerLoss } from '../../core/request-record.ts';
import type { ReviewResponse } from '../review/respond.ts';
import { makeCallerTurns } from './caller-turns.ts';

export interface WorkerLimits {
  readonly startTimeoutMs: number;
  /** For one review. */
  readonly reviewTimeoutMs: number;
  /** After this time without work the worker is terminated, which frees its memory. */
  readonly idleTimeoutMs: number;
  readonly heapMiB: number;
  /**
   * Memory for new objects, in addition to `heapMiB`. V8 collects garbage when it is full. If Node has the option `--max-semi-space-size`, three
   * times the value of that option applies instead.
   */
  readonly youngHeapMiB: number;
}

export const WORKER_LIMITS: WorkerLimits = {
  startTimeoutMs: 10_000,
  reviewTimeoutMs: 2_000,
  idleTimeoutMs: 30_000,
  heapMiB: 64,
  youngHeapMiB: 8,
};

/** A message to the worker. It answers each with a ReviewResponse; its first message, of any content, means that it is ready. */
export interface WorkerRequest {
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

export interface WorkerOptions {
  readonly script: URL;
  /** The script's `workerData`. */
  readonly data: unknown;
  readonly limits?: Partial<WorkerLimits>;
  /** The current review fails; the next one starts a new worker. */
  readonly onLost: (loss: WorkerLoss) => void;
}

export interface ReviewWorker {
  /**
   * Judges one review after the other, those of the callers in turn.
   * @param body belongs to the worker from now on
   * @param signal aborts when the caller is gone; a review that still waits is dropped then
   * @param caller the remote address
   * @throws WorkerLostError when the worker is lost over the review; the reason of the signal when it aborts
   */
  judge(path: string, body: Uint8Array<ArrayBuffer>, signal: AbortSignal, caller: string): Promise<ReviewResponse>;
  /** Reviews in progress fail. */
  stop(): Promise<void>;
}

/** The worker was lost over a review. Only `ended` is a bug: the author of an object chooses how much memory and time it takes. */
export class WorkerLostError extends Error {
  readonly loss: WorkerLoss;

  constructor(loss: WorkerLoss, message: string, options?: ErrorOptions) {
    super(message, options);
    this.loss = loss;
  }
}

interface Task extends WorkerRequest {
  readonly resolve: (response: ReviewResponse) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * Makes a worker thread that judges large bodies, so that small ones need not wait for them. The thread starts with the first large body. There
 * is one thread: a second would double the memory that hostile bodies can take, and the many small reviews need the processor.
 */
export function makeReviewWorker({ script, data, limits: given, onLost }: WorkerOptions): ReviewWorker {
  const limits = { ...WORKER_LIMITS, ...given };
  const waiting = makeCallerTurns<Task>();
  let current: Task | undefined;
  let worker: Worker | undefined;
  let isReady = false;
  let timer: NodeJS.Timeout | undefined;

  return {
    judge: (path, body, signal, caller) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const task = { path, body, resolve, reject };
        waiting.add(caller, task);
        signal.addEventListener('abort', () => {
          // Free the body now instead of at the next garbage collection.
          if (waiting.remove(caller, task)) body.buffer.transfer(0);
          reject(signal.reason);
        });
        startNextTask();
      }),
    async stop() {
      const dropped = [...waiting.clear(), ...(current === undefined ? [] : [current])];
      await detachWorker()?.terminate();
      for (const { reject } of dropped) reject(new Error('the server is stopping'));
    },
  };

  function startNextTask(): void {
    if (worker === undefined) {
      if (!waiting.isEmpty()) startWorker();
      return;
    }
    if (!isReady || current !== undefined) return;
    const task = waiting.next();
    if (task === undefined) {
      startTimer(limits.idleTimeoutMs, () => void detachWorker()?.terminate());
      return;
    }
    current = task;
    startTimer(limits.reviewTimeoutMs, () => failTask('overdue', 'a large review was not judged in time'));
    worker.postMessage({ path: task.path, body: task.body } satisfies WorkerRequest, [task.body.buffer]);
  }

  function startWorker(): void {
    const started = new Worker(script, {
      workerData: data,
      name: 'large reviews',
      resourceLimits: { maxOldGenerationSizeMb: limits.heapMiB, maxYoungGenerationSizeMb: limits.youngHeapMiB },
    });
    worker = started;
    started.unref();
    startTimer(limits.startTimeoutMs, () => failTask('overdue', 'the worker for large reviews did not start in time'));
    started.on('message', (message: unknown) => {
      if (started !== worker) return;
      clearTimeout(timer);
      if (isReady) current?.resolve(message as ReviewResponse);
      isReady = true;
      current = undefined;
      startNextTask();
    });
    started.on('error', (error: Error) => {
      if (started !== worker) return;
      const { code } = error as NodeJS.ErrnoException;
      failTask(code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'ended', error.message, error);
    });
    started.on('exit', () => {
      if (started === worker) failTask('ended', 'the worker for large reviews exited');
    });
  }

  /** Fails the current review, or the first that waits: a worker that cannot start fails the review that it was started for. */
  function failTask(loss: WorkerLoss, message: string, cause?: Error): void {
    const task = current ?? waiting.next();
    void detachWorker()?.terminate();
    onLost(loss);
    task?.reject(new WorkerLostError(loss, message, { cause }));
    startNextTask();
  }

  function detachWorker(): Worker | undefined {
    const detached = worker;
    clearTimeout(timer);
    worker = undefined;
    isReady = false;
    current = undefined;
    return detached;
  }

  function startTimer(ms: number, then: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(then, ms);
    timer.unref();
  }
}
