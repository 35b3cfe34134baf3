import { Worker } from 'node:worker_threads';
import type { WorkerLoss } from '../../core/request-record.ts';
import type { Response } from '../review/respond.ts';

/** Times are milliseconds, sizes MiB. */
export interface ThreadLimits {
  readonly startTimeout: number;
  /** For one review. */
  readonly workTimeout: number;
  /** After so long without work the thread ends, and its memory is given back. */
  readonly idleTimeout: number;
  readonly heap: number;
  /** For what is new, beside that: V8 fills it before it looks for garbage. Node's `--max-semi-space-size`, three times over, holds in its place. */
  readonly youngHeap: number;
}

export const THREAD_LIMITS: ThreadLimits = { startTimeout: 10_000, workTimeout: 2_000, idleTimeout: 30_000, heap: 64, youngHeap: 8 };

/** What the thread is sent. It answers each with a Response; its first message, of whatever content, says that it is ready. */
export interface Question {
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

export interface ThreadOptions {
  readonly script: URL;
  /** What the script finds as `workerData`. */
  readonly data: unknown;
  readonly limits?: Partial<ThreadLimits>;
  /** The review at hand fails; the next has a new thread. */
  readonly onLost: (loss: WorkerLoss) => void;
}

export interface Thread {
  /**
   * Judges one review after the other.
   * @param body belongs to the thread from now on
   * @param signal when its caller is gone: what still waits is forgotten
   * @throws when the thread is lost over it, or the signal is given
   */
  judge(path: string, body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Response>;
  /** What is under way fails. */
  stop(): Promise<void>;
}

interface Task extends Question {
  readonly resolve: (response: Response) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * A thread that judges large bodies, so that small ones need not wait for them. It starts with the first. There is one: a second would double
 * the memory that hostile bodies can take, and the processor belongs to the many small ones.
 */
export function makeThread({ script, data, limits: given, onLost }: ThreadOptions): Thread {
  const limits = { ...THREAD_LIMITS, ...given };
  const waiting = new Set<Task>();
  let current: Task | undefined;
  let worker: Worker | undefined;
  let isReady = false;
  let timer: NodeJS.Timeout | undefined;

  return {
    judge: (path, body, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const task = { path, body, resolve, reject };
        waiting.add(task);
        signal.addEventListener('abort', () => {
          // Its megabytes are not to wait until they are collected.
          if (waiting.delete(task)) body.buffer.transfer(0);
          reject(signal.reason);
        });
        next();
      }),
    async stop() {
      const dropped = [...waiting, ...(current === undefined ? [] : [current])];
      waiting.clear();
      await drop()?.terminate();
      for (const { reject } of dropped) reject(new Error('the server is stopping'));
    },
  };

  function next(): void {
    if (worker === undefined) {
      if (waiting.size > 0) start();
      return;
    }
    if (!isReady || current !== undefined) return;
    const [task] = waiting;
    if (task === undefined) {
      limit(limits.idleTimeout, () => void drop()?.terminate());
      return;
    }
    waiting.delete(task);
    current = task;
    limit(limits.workTimeout, () => lose('overdue', new Error('a large review was not judged in time')));
    worker.postMessage({ path: task.path, body: task.body } satisfies Question, [task.body.buffer]);
  }

  function start(): void {
    const started = new Worker(script, {
      workerData: data,
      name: 'large reviews',
      resourceLimits: { maxOldGenerationSizeMb: limits.heap, maxYoungGenerationSizeMb: limits.youngHeap },
    });
    worker = started;
    started.unref();
    limit(limits.startTimeout, () => lose('overdue', new Error('the thread for large reviews did not start in time')));
    started.on('message', (message: unknown) => {
      if (started !== worker) return;
      clearTimeout(timer);
      if (isReady) current?.resolve(message as Response);
      isReady = true;
      current = undefined;
      next();
    });
    started.on('error', (error: Error) => {
      if (started === worker) lose('ended', error);
    });
    started.on('exit', () => {
      if (started === worker) lose('ended', new Error('the thread for large reviews ended'));
    });
  }

  /** A thread that cannot even start fails the review that it was started for. */
  function lose(loss: WorkerLoss, error: Error): void {
    const [first] = waiting;
    const task = current ?? first;
    if (task !== undefined) waiting.delete(task);
    void drop()?.terminate();
    onLost(loss);
    task?.reject(error);
    next();
  }

  function drop(): Worker | undefined {
    const dropped = worker;
    clearTimeout(timer);
    worker = undefined;
    isReady = false;
    current = undefined;
    return dropped;
  }

  function limit(ms: number, then: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(then, ms);
    timer.unref();
  }
}
