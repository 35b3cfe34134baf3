import type { IncomingMessage } from 'node:http';
import { tokensIn } from './tokens.ts';

export interface BodyLimits {
  /** Bytes. */
  readonly body: number;
  /** A body of more bytes is large. */
  readonly large: number;
  /** How many commas, braces and brackets a large body may have. */
  readonly tokens: number;
}

export interface Reader {
  /** So many more bytes are held. */
  readonly grew: (bytes: number) => void;
  /** Not called when the caller goes away. */
  readonly done: (body: Uint8Array<ArrayBuffer> | 'too-large' | 'too-dense') => void;
}

/** @returns what ends the reading early: what came is forgotten, and the reader hears no more */
export function readBody(request: IncomingMessage, limits: BodyLimits, { grew, done }: Reader): () => void {
  let chunks: Buffer<ArrayBuffer>[] = [];
  let size = 0;
  let tokens = 0;
  if (Number(request.headers['content-length'] ?? 0) > limits.body) {
    done('too-large');
    return () => {};
  }
  request.on('data', take).on('end', finish).on('error', stop);
  return stop;

  function take(chunk: Buffer<ArrayBuffer>): void {
    const wasLarge = size > limits.large;
    size += chunk.length;
    chunks.push(chunk);
    if (size > limits.large) tokens += wasLarge ? tokensIn(chunk) : chunks.reduce((sum, each) => sum + tokensIn(each), 0);
    if (size > limits.body) refuse('too-large');
    else if (tokens > limits.tokens) refuse('too-dense');
    else grew(chunk.length);
  }

  function refuse(reason: 'too-large' | 'too-dense'): void {
    stop();
    done(reason);
  }

  function finish(): void {
    const [only] = chunks;
    // What goes to another thread must not share memory with anything.
    const isWhole = only !== undefined && chunks.length === 1 && size <= limits.large;
    done(isWhole ? only : Buffer.concat(chunks, size));
  }

  function stop(): void {
    chunks = [];
    request.off('data', take).off('end', finish);
  }
}
