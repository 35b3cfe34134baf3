import type { IncomingMessage } from 'node:http';
import { estimateValues } from './value-count.ts';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** A body of more bytes is large. */
  readonly largeBodyBytes: number;
  /** A body with more values, by estimate, is handled as a large one: small values cost more than their bytes. */
  readonly manyValues: number;
  /** The most values, by estimate, of a large body. */
  readonly maxValues: number;
}

export type BodyErrorCode = 'CLOISTER_BODY_TOO_LARGE' | 'CLOISTER_TOO_MANY_VALUES';

export interface BodyReader {
  /** So many more bytes have arrived. An announced length takes no memory before its bytes arrive. */
  readonly onBytes: (bytes: number) => void;
  /** Called once, with the complete body or with the reason against it; never called after the caller has gone away. */
  readonly onEnd: (body: Uint8Array<ArrayBuffer> | BodyErrorCode) => void;
}

/**
 * Reads a body, in one of these states: announced (no byte yet), small (a list of chunks), large (one buffer of the announced length), ended
 * (complete, refused or stopped).
 * @returns stops the reading: the bytes so far are freed, and the reader is not called again
 */
export function readBody(request: IncomingMessage, limits: BodyLimits, { onBytes, onEnd }: BodyReader): () => void {
  const announcedBytes = Number(request.headers['content-length'] ?? limits.maxBodyBytes);
  let chunks: Buffer<ArrayBuffer>[] = [];
  // Shares its memory with no other buffer, so that it can be transferred to the worker.
  let large: Buffer<ArrayBuffer> | undefined;
  let size = 0;
  let values = 0;
  if (announcedBytes > limits.maxBodyBytes) {
    onEnd('CLOISTER_BODY_TOO_LARGE');
    return () => {};
  }
  request.on('data', take).on('end', finish).on('error', stop);
  return stop;

  function take(chunk: Buffer<ArrayBuffer>): void {
    if (size + chunk.length > limits.maxBodyBytes) {
      refuse('CLOISTER_BODY_TOO_LARGE');
      return;
    }
    if (large === undefined && size + chunk.length > limits.largeBodyBytes) {
      // One buffer, filled while the body arrives: copying megabytes at the end, or whenever a buffer is full, would delay other reviews.
      large = Buffer.allocUnsafeSlow(announcedBytes);
      size = 0;
      for (const early of chunks.splice(0)) add(early, large);
    }
    if (large !== undefined) add(chunk, large);
    else {
      chunks.push(chunk);
      size += chunk.length;
    }
    if (values > limits.maxValues) {
      refuse('CLOISTER_TOO_MANY_VALUES');
      return;
    }
    onBytes(chunk.length);
  }

  function add(chunk: Uint8Array, to: Uint8Array): void {
    to.set(chunk, size);
    size += chunk.length;
    values += estimateValues(chunk);
  }

  function refuse(code: BodyErrorCode): void {
    stop();
    onEnd(code);
  }

  function finish(): void {
    const [only] = chunks;
    const complete = large;
    // The reader owns it from now on, so `stop` must not free it.
    large = undefined;
    if (complete !== undefined) onEnd(complete.subarray(0, size));
    else onEnd(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks));
  }

  function stop(): void {
    chunks = [];
    // Free the memory now: megabytes that wait for the garbage collector make it run sooner.
    large?.buffer.transfer(0);
    large = undefined;
    request.off('data', take).off('end', finish);
  }
}
