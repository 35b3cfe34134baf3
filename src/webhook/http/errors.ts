import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Every error that the review port answers by itself. A code never changes, so logs, documentation and tests refer to it; the message may change.
 * A body that is no AdmissionReview is answered in `../review/respond.ts`; broken HTTP is answered by Fastify and Node.
 */
export const HTTP_ERRORS = {
  CLOISTER_BAD_FRAMING: { status: 400, message: 'only HTTP/1.1 with identity or chunked transfer encoding is supported' },
  CLOISTER_CLIENT_REJECTED: { status: 403, message: 'the client certificate is missing or not accepted' },
  CLOISTER_NOT_FOUND: {
    status: 404,
    message: 'no such path; reviews go to /mutate/PROFILE, /validate/MODE/PROFILE, /advise/MODE/PROFILE or /unknown/MODE',
  },
  CLOISTER_METHOD_NOT_ALLOWED: { status: 405, message: 'reviews must be sent with POST' },
  CLOISTER_BODY_TOO_LARGE: { status: 413, message: 'the body is too large; make the object smaller' },
  CLOISTER_TOO_MANY_VALUES: { status: 413, message: 'the object has too many values; reduce their number' },
  CLOISTER_TOO_MUCH_MEMORY: { status: 413, message: 'judging the object takes too much memory; make it smaller' },
  CLOISTER_TOO_MANY_PIECES: { status: 413, message: 'the body comes in too many small pieces; send it in larger ones' },
  CLOISTER_UNSUPPORTED_MEDIA_TYPE: { status: 415, message: 'the body must be application/json in UTF-8, not compressed' },
  CLOISTER_OVERLOADED: { status: 429, message: 'too many reviews at the moment; try again' },
  CLOISTER_INTERNAL_ERROR: { status: 500, message: 'internal error in cloister; its log has the stack trace' },
  CLOISTER_REVIEW_TIMEOUT: { status: 503, message: 'the object was not judged in time; make it smaller' },
  CLOISTER_DRAINING: { status: 503, message: 'too many reviews at the moment, and this replica is stopping; try again' },
} as const;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

/** An error as one answer states it: the message may be more precise than that of the catalogue. */
export interface HttpError {
  readonly code: HttpErrorCode;
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const JSON_TYPE = 'application/json';

export function jsonHeaders(bytes: number) {
  return { 'content-type': JSON_TYPE, 'content-length': bytes };
}

export function errorBody(code: HttpErrorCode, message: string = HTTP_ERRORS[code].message): string {
  return JSON.stringify({ code, error: message });
}

/** How much of a rejected request is read. Each piece counts as so many bytes at least: it costs time, however small it is. */
const MAX_REST_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 8 * 1024;

/**
 * Answers with an error and closes the connection, but not before the caller has sent the whole request: closing earlier would reset the
 * connection, and the caller could not read the answer. The server's request timeout bounds the wait, and a bound on the bytes bounds the work.
 */
export function sendError(request: IncomingMessage, response: ServerResponse, { code, message, headers }: HttpError): void {
  const body = errorBody(code, message);
  response.writeHead(HTTP_ERRORS[code].status, { ...jsonHeaders(Buffer.byteLength(body)), ...headers, connection: 'close' });
  if (request.readableEnded) {
    response.end(body);
    return;
  }
  response.write(body);
  let rest = MAX_REST_BYTES;
  request.on('data', (piece: Uint8Array) => {
    rest -= Math.max(piece.length, PIECE_BYTES);
    if (rest < 0) request.socket.destroy();
  });
  request.on('end', () => response.end());
}
