import type { IncomingMessage } from 'node:http';
import { tokensIn } from './value-count.ts';

export interface BodyLimits {
  /** Bytes. */
  readonly body: number;
  /** A body of more bytes is large. */
  readonly large: number;
  /** A body of about as many commas, braces and brackets is as good as large: small values cost more than their bytes. */
  readonly dense: number;
  /** How many of them a large body may have. */
  readonly tokens: number;
}

export interface Reader {
  /** So many more bytes have come. What was announced takes no memory until it comes. */
  readonly grew: (bytes: number) => void;
  /** Not called when the caller goes away. */
  readonly done: (body: Uint8Array<ArrayBuffer> | 'too-large' | 'too-dense') => void;
}

/** @returns what ends the reading early: what came is forgotten, and the reader hears no more */
export function readBody(request: IncomingMessage, limits: BodyLimits, { grew, done }: Reader): () => void {
  const announced = Number(request.headers['content-length'] ?? limits.body);
  let chunks: Buffer<ArrayBuffer>[] = [];
  // Of a large body. It shares its memory with nothing, so that another thread can have it.
  let whole: Buffer<ArrayBuffer> | undefined;
  let size = 0;
  let tokens = 0;
  if (announced > limits.body) {
    done('too-large');
    return () => {};
  }
  request.on('data', take).on('end', finish).on('error', stop);
  return stop;

  function take(chunk: Buffer<ArrayBuffer>): void {
    if (size + chunk.length > limits.body) {
      refuse('too-large');
      return;
    }
    if (whole === undefined && size + chunk.length > limits.large) {
      // Put together while it comes, and in one place: to copy megabytes at the end, or whenever there is no more room, keeps others waiting.
      whole = Buffer.allocUnsafeSlow(announced);
      size = 0;
      for (const early of chunks.splice(0)) add(early, whole);
    }
    if (whole !== undefined) add(chunk, whole);
    else {
      chunks.push(chunk);
      size += chunk.length;
    }
    if (tokens > limits.tokens) {
      refuse('too-dense');
      return;
    }
    grew(chunk.length);
  }

  function add(chunk: Uint8Array, whole: Uint8Array): void {
    whole.set(chunk, size);
    size += chunk.length;
    tokens += tokensIn(chunk);
  }

  function refuse(reason: 'too-large' | 'too-dense'): void {
    stop();
    done(reason);
  }

  function finish(): void {
    const [only] = chunks;
    const large = whole;
    // From now on it is the reader's.
    whole = undefined;
    if (large !== undefined) done(large.subarray(0, size));
    else done(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks));
  }

  function stop(): void {
    chunks = [];
    // Now: megabytes that wait to be collected bring the whole collection forward.
    whole?.buffer.transfer(0);
    whole = undefined;
    request.off('data', take).off('end', finish);
  }
}
