import type { ShedReason } from '../../core/request-record.ts';

/** How much may be in progress before a review is shed. */
export interface ConcurrencyLimits {
  /** How long the event loop may be late. */
  readonly loopDelayMs: number;
  /** Reviews whose body is still arriving. */
  readonly uploads: number;
  /** Bytes that all bodies hold. */
  readonly bodyBytes: number;
  /** Bytes of the large bodies that wait for the worker. */
  readonly queuedBytes: number;
}

/** The place of one review, from its headers to its answer. */
export interface Admission {
  /** More bytes of the body have arrived. */
  addBytes(bytes: number): void;
  /** The body is complete. Small bodies are handled synchronously and leave at once; a large one waits for the worker, if there is room. */
  finishUpload(isLarge: boolean): ShedReason | undefined;
  /** The review is answered, or its caller is gone. May be called more than once. */
  leave(): void;
}

export interface LoadShedder {
  /**
   * @param isWatched whether the API server admits the object without an answer: such a review is shed first
   * @param drop is called at most once, only while the body arrives and never before `admit` returns; the review has left then
   */
  admit(isWatched: boolean, drop: (reason: ShedReason) => void): Admission | ShedReason;
  /** Bytes that all bodies hold. */
  bodyBytes(): number;
  stop(): void;
}

const TICK_MS = 100;

/**
 * Counts what is in progress, and decides which reviews are shed, to be sent again later.
 *
 * When the uploads are full, the slowest upload is dropped first: an API server sends a body within moments, so a slow sender harms only itself.
 * Small bodies are judged as soon as they are complete. Reviews that wait for that wait in sockets, where they cannot be counted; the delay of
 * the event loop stands for them.
 */
export function makeLoadShedder({
  enforced,
  watched,
}: {
  readonly enforced: ConcurrencyLimits;
  readonly watched: ConcurrencyLimits;
}): LoadShedder {
  // In the order of arrival.
  const uploads = new Map<Admission, (reason: ShedReason) => void>();
  let bodyBytes = 0;
  let queuedBytes = 0;
  let lastTick = performance.now();
  const clock = setInterval(() => {
    lastTick = performance.now();
  }, TICK_MS);
  clock.unref();
  return { admit, bodyBytes: () => bodyBytes, stop: () => clearInterval(clock) };

  function admit(isWatched: boolean, drop: (reason: ShedReason) => void): Admission | ShedReason {
    const limits = isWatched ? watched : enforced;
    if (performance.now() - lastTick - TICK_MS > limits.loopDelayMs) return 'late';
    if (isWatched && uploads.size >= limits.uploads) return 'arriving';
    if (isWatched && bodyBytes >= limits.bodyBytes) return 'bytes';
    if (uploads.size >= enforced.uploads) dropOldestUpload('arriving');
    const admission = makeAdmission(limits.queuedBytes);
    uploads.set(admission, drop);
    return admission;
  }

  function makeAdmission(maxQueuedBytes: number): Admission {
    let held = 0;
    let queued = 0;
    const admission = { addBytes, finishUpload, leave };
    return admission;

    function addBytes(bytes: number): void {
      held += bytes;
      bodyBytes += bytes;
      while (bodyBytes > enforced.bodyBytes && uploads.size > 0) dropOldestUpload('bytes');
    }

    function finishUpload(isLarge: boolean): ShedReason | undefined {
      const isFull = isLarge && queuedBytes + held > maxQueuedBytes;
      if (!isLarge || isFull) {
        leave();
        return isFull ? 'waiting' : undefined;
      }
      uploads.delete(admission);
      queued = held;
      queuedBytes += queued;
      return undefined;
    }

    function leave(): void {
      uploads.delete(admission);
      bodyBytes -= held;
      queuedBytes -= queued;
      held = 0;
      queued = 0;
    }
  }

  function dropOldestUpload(reason: ShedReason): void {
    for (const [admission, drop] of uploads) {
      admission.leave();
      drop(reason);
      return;
    }
  }
}
