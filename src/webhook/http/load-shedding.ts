import type { ShedReason } from '../../core/request-record.ts';

/** How much may be in progress before a review is shed. */
export interface ConcurrencyLimits {
  /** By how much the event loop may be delayed. */
  readonly loopDelayMs: number;
  /** Reviews whose body is still arriving. */
  readonly uploads: number;
  /** Bytes that all bodies hold. */
  readonly bodyBytes: number;
  /** Bytes of the bodies that are complete and wait to be judged. One remote address may have half of them. */
  readonly queuedBytes: number;
}

/** The place of one review, from its headers to its answer. */
export interface Admission {
  /** More bytes of the body have arrived. */
  addBytes(bytes: number): void;
  /** The body is complete. A small one is judged now; any other waits, for its turn or for the worker, if there is room. */
  finishUpload(judged: 'now' | 'later', caller: string): ShedReason | undefined;
  /** The body is judged. May be called more than once. */
  releaseBody(): void;
  /** @param drop is called at most once, and only before `leave`: when the caller does not read its answer in time */
  startAnswer(bytes: number, drop: () => void): void;
  /** The answer is handed to the operating system, or the caller is gone. May be called more than once. */
  leave(): void;
}

/** Of answers that wait until their callers read them. */
export interface AnswerLimits {
  readonly bytes: number;
  readonly timeoutMs: number;
}

export interface LoadShedder {
  /**
   * @param effect `watched`: the API server admits the object without an answer, so such a review is shed first
   * @param drop is called at most once, only while the body arrives and never before `admit` returns; the review has left then
   */
  admit(effect: 'enforced' | 'watched', drop: (reason: ShedReason) => void): Admission | ShedReason;
  /** Bytes that all bodies hold. */
  bodyBytes(): number;
  stop(): void;
}

export interface LoadLimits {
  /** For reviews that enforce. */
  readonly enforced: ConcurrencyLimits;
  /** For reviews that only warn, audit or advise. */
  readonly watched: ConcurrencyLimits;
  readonly answers: AnswerLimits;
}

interface WaitingAnswer {
  readonly bytes: number;
  readonly drop: () => void;
  readonly startedAt: number;
}

const TICK_MS = 100;

/**
 * Counts what is in progress, and decides which reviews are shed, to be sent again later.
 *
 * When the uploads are full, the slowest upload is dropped first: an API server sends a body within moments, so a slow sender harms only itself.
 * Small bodies are judged as soon as they are complete. Reviews that wait for that wait in sockets, where they cannot be counted; the delay of
 * the event loop stands for them. The bytes of other bodies are counted while they wait.
 */
export function makeLoadShedder({ enforced, watched, answers: answerLimits }: LoadLimits): LoadShedder {
  // In the order of arrival.
  const uploads = new Map<Admission, (reason: ShedReason) => void>();
  let bodyBytes = 0;
  let queuedBytes = 0;
  const queuedBytesOf = new Map<string, number>();
  // In the order in which they began.
  const answers = new Map<Admission, WaitingAnswer>();
  let answerBytes = 0;
  let lastTick = performance.now();
  const clock = setInterval(() => {
    lastTick = performance.now();
    dropOldestAnswers(({ startedAt }) => lastTick - startedAt > answerLimits.timeoutMs);
  }, TICK_MS);
  clock.unref();
  return { admit, bodyBytes: () => bodyBytes, stop: () => clearInterval(clock) };

  function admit(effect: 'enforced' | 'watched', drop: (reason: ShedReason) => void): Admission | ShedReason {
    const isWatched = effect === 'watched';
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
    let queuedBy = '';
    const admission = { addBytes, finishUpload, releaseBody, startAnswer, leave };
    return admission;

    function addBytes(bytes: number): void {
      held += bytes;
      bodyBytes += bytes;
      while (bodyBytes > enforced.bodyBytes && uploads.size > 0) dropOldestUpload('bytes');
    }

    function finishUpload(judged: 'now' | 'later', caller: string): ShedReason | undefined {
      const fromCaller = (queuedBytesOf.get(caller) ?? 0) + held;
      const isFull = judged === 'later' && (queuedBytes + held > maxQueuedBytes || fromCaller > maxQueuedBytes / 2);
      if (judged === 'now' || isFull) {
        releaseBody();
        return isFull ? 'waiting' : undefined;
      }
      uploads.delete(admission);
      queued = held;
      queuedBy = caller;
      countQueued(queuedBy, queued);
      return undefined;
    }

    function releaseBody(): void {
      uploads.delete(admission);
      bodyBytes -= held;
      countQueued(queuedBy, -queued);
      held = 0;
      queued = 0;
    }

    function startAnswer(bytes: number, drop: () => void): void {
      answers.set(admission, { bytes, drop, startedAt: lastTick });
      answerBytes += bytes;
      dropOldestAnswers(() => answerBytes > answerLimits.bytes);
    }

    function leave(): void {
      releaseBody();
      endAnswer(admission);
    }
  }

  function countQueued(caller: string, bytes: number): void {
    if (bytes === 0) return;
    queuedBytes += bytes;
    const left = (queuedBytesOf.get(caller) ?? 0) + bytes;
    if (left === 0) queuedBytesOf.delete(caller);
    else queuedBytesOf.set(caller, left);
  }

  function endAnswer(admission: Admission): void {
    answerBytes -= answers.get(admission)?.bytes ?? 0;
    answers.delete(admission);
  }

  function dropOldestAnswers(isDue: (answer: WaitingAnswer) => boolean): void {
    for (const [admission, answer] of answers) {
      if (!isDue(answer)) return;
      endAnswer(admission);
      answer.drop();
    }
  }

  function dropOldestUpload(reason: ShedReason): void {
    for (const [admission, drop] of uploads) {
      admission.releaseBody();
      drop(reason);
      return;
    }
  }
}
