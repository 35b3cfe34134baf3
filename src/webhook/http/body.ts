import type { IncomingMessage } from 'node:http';
import { estimateValues } from './value-count.ts';

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** A body of more bytes waits for its turn before it is judged. */
  readonly smallBodyBytes: number;
  /** A body of more bytes is large. */
  readonly largeBodyBytes: number;
  /** A body with more values, by estimate, is handled as a large one: small values cost more than their bytes. */
  readonly manyValues: number;
  /** The most values, by estimate, of a large body. */
  readonly maxValues: number;
  /** The number of pieces in which a body may arrive, plus one for each `minPieceBytes`. Each piece costs time, however small it is. */
  readonly freePieces: number;
  readonly minPieceBytes: number;
}

export type BodyErrorCode = 'CLOISTER_BODY_TOO_LARGE' | 'CLOISTER_TOO_MANY_VALUES' | 'CLOISTER_TOO_MANY_PIECES';

export interface BodyReader {
  /** Called when the body holds this number of bytes more in memory. An announced length takes no memory before its bytes arrive. */
  readonly onBytes: (bytes: number) => void;
  /** Called once, with the complete body or with the reason against it; never called after the caller has gone away. */
  readonly onEnd: (body: Uint8Array<ArrayBuffer> | BodyErrorCode) => void;
}

const FIRST_CAPACITY = 16 * 1024;
/** While the body arrives, values are counted each time this number of bytes is complete. */
const COUNTED_BYTES = 64 * 1024;

/**
 * Reads a body. What arrives is copied into one buffer, which doubles when it is full: keeping the pieces would keep an object and a whole read
 * buffer in memory for each of them.
 * @returns stops the reading: the bytes so far are freed, and the reader is not called again
 */
export function readBody(request: IncomingMessage, limits: BodyLimits, { onBytes, onEnd }: BodyReader): () => void {
  const announcedBytes = Number(request.headers['content-length'] ?? limits.maxBodyBytes);
  // A large one shares its memory with no other buffer, so that it can be transferred to the worker.
  let buffer = EMPTY;
  let size = 0;
  let pieces = 0;
  let countedBytes = 0;
  let values = 0;
  if (announcedBytes > limits.maxBodyBytes) {
    onEnd('CLOISTER_BODY_TOO_LARGE');
    return () => {};
  }
  request.on('data', take).on('end', finish).on('error', stop);
  return stop;

  function take(piece: Buffer<ArrayBuffer>): void {
    pieces += 1;
    if (size + piece.length > limits.maxBodyBytes) refuse('CLOISTER_BODY_TOO_LARGE');
    else if (pieces > limits.freePieces + size / limits.minPieceBytes) refuse('CLOISTER_TOO_MANY_PIECES');
    else {
      const grownBytes = hold(piece);
      if (size > limits.largeBodyBytes) countValues();
      if (values > limits.maxValues) refuse('CLOISTER_TOO_MANY_VALUES');
      // Last, because it may stop this reading.
      else if (grownBytes > 0) onBytes(grownBytes);
    }
  }

  /** @returns by how many bytes the buffer has grown */
  function hold(piece: Buffer<ArrayBuffer>): number {
    const start = size;
    size += piece.length;
    if (piece.length === announcedBytes) {
      // Most bodies arrive in one piece. Such a piece is passed on without a copy.
      buffer = piece;
      return size;
    }
    const capacity = buffer.length;
    if (size > capacity) {
      const full = buffer;
      buffer = Buffer.allocUnsafeSlow(Math.max(size, Math.min(announcedBytes, Math.max(2 * capacity, FIRST_CAPACITY))));
      buffer.set(full.subarray(0, start));
      free(full);
    }
    buffer.set(piece, start);
    return buffer.length - capacity;
  }

  function countValues(): void {
    for (; countedBytes + COUNTED_BYTES <= size; countedBytes += COUNTED_BYTES)
      values += estimateValues(buffer.subarray(countedBytes, countedBytes + COUNTED_BYTES));
  }

  function refuse(code: BodyErrorCode): void {
    stop();
    onEnd(code);
  }

  function finish(): void {
    const body = buffer.subarray(0, size);
    // The reader owns the memory from now on, so `stop` must not free it.
    buffer = EMPTY;
    stop();
    onEnd(body);
  }

  function stop(): void {
    free(buffer);
    buffer = EMPTY;
    request.off('data', take).off('end', finish);
  }
}

const EMPTY = Buffer.alloc(0);

/** Frees the memory now: megabytes that wait for the garbage collector make it run sooner. A piece may share its memory, and is left alone. */
function free(buffer: Buffer<ArrayBuffer>): void {
  if (buffer.length >= FIRST_CAPACITY && buffer.length === buffer.buffer.byteLength) buffer.buffer.transfer(0);
}
