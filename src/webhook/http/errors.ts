import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Every error that the review port answers by itself. A code never changes, so logs, documentation and tests refer to it; the message may change.
 * A body that is no AdmissionReview is answered in `../review/respond.ts`.
 */
export const HTTP_ERRORS = {
  CLOISTER_BAD_FRAMING: { status: 400, message: 'only HTTP/1.1 with identity or chunked transfer encoding is supported' },
  CLOISTER_BAD_HTTP: { status: 400, message: 'the request is not valid HTTP/1.1' },
  CLOISTER_CLIENT_REJECTED: { status: 403, message: 'the client certificate is missing or not accepted' },
  CLOISTER_NOT_FOUND: {
    status: 404,
    message: 'no such path; reviews go to /mutate/PROFILE, /validate/MODE/PROFILE, /advise/MODE/PROFILE or /unknown/MODE',
  },
  CLOISTER_METHOD_NOT_ALLOWED: { status: 405, message: 'reviews must be sent with POST' },
  CLOISTER_REQUEST_TIMEOUT: { status: 408, message: 'the request was not complete in time' },
  CLOISTER_BODY_TOO_LARGE: { status: 413, message: 'the body is too large; make the object smaller' },
  CLOISTER_TOO_MANY_VALUES: { status: 413, message: 'the object has too many values; reduce their number' },
  CLOISTER_TOO_MUCH_MEMORY: { status: 413, message: 'judging the object takes too much memory; make it smaller' },
  CLOISTER_TOO_MANY_PIECES: { status: 413, message: 'the body comes in too many small pieces; send it in larger ones' },
  CLOISTER_UNSUPPORTED_MEDIA_TYPE: { status: 415, message: 'the body must be application/json in UTF-8, not compressed' },
  CLOISTER_OVERLOADED: { status: 429, message: 'too many reviews at the moment; try again' },
  CLOISTER_HEADERS_TOO_LARGE: { status: 431, message: 'the headers are too large, or too many' },
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

/** How much of a rejected request is read. A tiny piece counts for more than its bytes, because it costs as much time as a large one. */
const MAX_REST_BYTES = 16 * 1024 * 1024;
const TINY_PIECE = { bytes: 256, countsAs: 512 * 1024 };

/** The connections that close after an error that is written already. */
const answered = new WeakSet<Socket>();

/** The request has its answer, and is the last of its connection: if its body breaks, the parser's error is not answered too. */
export function markAnswered({ socket }: IncomingMessage): void {
  answered.add(socket);
}

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
  markAnswered(request);
  response.write(body);
  readRest(request, () => response.end());
}

/** Reads the rest of a request that is rejected and drops it, then calls back. If there is too much of it, the connection is closed instead. */
export function readRest(request: IncomingMessage, onEnd: () => void): void {
  let rest = MAX_REST_BYTES;
  request.on('data', (piece: Uint8Array) => {
    rest -= piece.length < TINY_PIECE.bytes ? TINY_PIECE.countsAs : piece.length;
    if (rest < 0) request.socket.destroy();
  });
  request.on('end', onEnd);
}

/**
 * Answers bytes that Node's parser does not accept, for which there is no request, and closes the connection.
 * @param error of the event `clientError`
 * @returns the code of the answer; undefined: there is none, as the caller is gone, does not speak TLS, or has an error already
 */
export function sendParserError({ code }: NodeJS.ErrnoException, socket: Socket): HttpErrorCode | undefined {
  // Errors of the connection and of TLS come here too.
  if (!/^(?:HPE|ERR_HTTP)_/.test(code ?? '') || !socket.writable) {
    socket.destroy();
    return undefined;
  }
  // With bytes that were not read, closing at once would reset the connection, and the caller could not read the answer.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
  if (answered.has(socket)) {
    socket.end().pause();
    return undefined;
  }
  const errorCode = PARSER_ERRORS[code ?? ''] ?? 'CLOISTER_BAD_HTTP';
  const { status } = HTTP_ERRORS[errorCode];
  const body = errorBody(errorCode);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${body.length}\r\n\r\n`;
  socket.end(head + body).pause();
  return errorCode;
}

/** https://nodejs.org/api/errors.html */
const PARSER_ERRORS: Readonly<Record<string, HttpErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'CLOISTER_HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'CLOISTER_REQUEST_TIMEOUT',
};

/** How long a caller may take to read the answer to broken HTTP. */
const LINGER_MS = 1_000;
