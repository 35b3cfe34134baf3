import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import fastify, { type FastifyInstance } from 'fastify';
import type { Record } from './record.ts';
import { isReviewPath, type Respond, type Response } from './respond.ts';

/** What a caller may take of the server. Times are milliseconds, sizes bytes. */
export interface Limits {
  /** Two objects of at most 3 MiB each (an update carries both), with what the API server's defaulting adds, and the envelope. */
  readonly body: number;
  readonly headers: number;
  readonly headerCount: number;
  readonly handshakeTimeout: number;
  readonly headersTimeout: number;
  /** Headers and body together. */
  readonly requestTimeout: number;
  readonly checkingInterval: number;
  /** Longer than the 90 s that the API server keeps an idle connection: were we the first to close, its next request could be lost. */
  readonly keepAliveTimeout: number;
  readonly requestsPerConnection: number;
  readonly connections: number;
}

export const LIMITS: Limits = {
  body: 8 * 1024 * 1024,
  headers: 8 * 1024,
  headerCount: 64,
  handshakeTimeout: 5_000,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  checkingInterval: 1_000,
  keepAliveTimeout: 120_000,
  requestsPerConnection: 1_000,
  connections: 1_024,
};

/** Who is told what happened. It must be quick: callers wait meanwhile. */
export interface Recorder {
  began(): void;
  ended(): void;
  answered(record: Record, seconds: number): void;
  /** What was told and not passed on yet is passed on now. */
  flush(): void;
  /** Turned away before anything was judged. */
  refused(status: number): void;
  /** A bug of ours. */
  failed(error: unknown): void;
}

export interface WebhookServer {
  listen(host: string, port: number): Promise<AddressInfo>;
  /** @param secure all options again: what is left out falls back to Node's defaults */
  replaceCertificate(secure: SecureContextOptions): void;
  /** From now on every answer tells its caller to connect anew. */
  drain(): void;
  /** Takes no more connections, lets what is under way finish, and cuts what then still hangs. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly recorder: Recorder;
  /** Certificate, key and TLS settings. Without a certificate every handshake fails until one is put in. */
  readonly secure: SecureContextOptions;
  readonly limits?: Limits;
}

/**
 * Builds the HTTPS server; it does not listen yet.
 *
 * Reviews are answered before Fastify's router, which costs more than the review does. All other requests, broken ones and closing are
 * Fastify's. HTTP/1.1 only: over one HTTP/2 connection an API server would send everything to one replica.
 */
export function buildServer(respond: Respond, { recorder, secure, limits = LIMITS }: ServerOptions): WebhookServer {
  // More than one where `localhost` has an address of each family.
  const servers: Server[] = [];
  let current = secure;
  let isDraining = false;

  const app = fastify({
    logger: false,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    serverFactory(toFastify) {
      const server = makeServer(limits, current, (request, response) => {
        const path = pathOf(request);
        if (request.method === 'POST' && isReviewPath(path)) {
          review(path, request, response);
          return;
        }
        if (isDraining) response.setHeader('connection', 'close');
        toFastify(request, response);
      });
      servers.push(server);
      return server;
    },
  });
  turnAwayTheRest(app, recorder);

  return {
    async listen(host, port) {
      await app.listen({ host, port });
      return app.server.address() as AddressInfo;
    },
    replaceCertificate(replacement) {
      current = replacement;
      for (const server of servers) server.setSecureContext(replacement);
    },
    drain() {
      isDraining = true;
    },
    async close() {
      isDraining = true;
      // A closing server no longer looks for requests that take too long.
      const cut = setTimeout(() => servers.forEach(closeAllConnections), limits.requestTimeout);
      await app.close();
      clearTimeout(cut);
      recorder.flush();
    },
  };

  function review(path: string, request: IncomingMessage, response: ServerResponse): void {
    const startedAt = performance.now();
    recorder.began();
    response.once('close', recorder.ended);
    if (!isJson(request)) {
      refuse(request, response, 415);
      return;
    }
    readBody(request, limits.body, (body) => {
      if (body === undefined) {
        refuse(request, response, 413);
        return;
      }
      const answer = answerTo(path, body);
      if (answer === undefined) {
        send(response, 500, messageFor(500));
        return;
      }
      send(response, answer.status, answer.body);
      recorder.answered(answer.record, (performance.now() - startedAt) / 1_000);
    });
  }

  function answerTo(path: string, body: Uint8Array): Response | undefined {
    try {
      return respond(path, body);
    } catch (error) {
      recorder.failed(error);
      return undefined;
    }
  }

  function send(response: ServerResponse, status: number, body: string): void {
    if (isDraining) response.setHeader('connection', 'close');
    response.writeHead(status, headersFor(body));
    response.end(body);
  }

  /**
   * Whoever is still sending reads the answer only if its bytes are taken: closing now would reset the connection under it. `requestTimeout`
   * ends the patience.
   */
  function refuse(request: IncomingMessage, response: ServerResponse, status: number): void {
    recorder.refused(status);
    const body = messageFor(status);
    response.writeHead(status, { ...headersFor(body), connection: 'close' });
    response.write(body);
    request.on('end', () => response.end());
    request.resume();
  }
}

function makeServer(limits: Limits, secure: SecureContextOptions, handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(
    {
      ...secure,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: limits.handshakeTimeout,
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      connectionsCheckingInterval: limits.checkingInterval,
      keepAliveTimeout: limits.keepAliveTimeout,
      maxHeaderSize: limits.headers,
    },
    handle,
  );
  server.maxHeadersCount = limits.headerCount;
  // Now and then a connection is made anew, so that replicas which came later get their share.
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  server.maxConnections = limits.connections;
  return server;
}

/** Before any body is read. */
function turnAwayTheRest(app: FastifyInstance, recorder: Recorder): void {
  app.addHook('onRequest', async (request, reply) => {
    const isReview = isReviewPath(pathOf(request.raw));
    const status = isReview ? 405 : 404;
    recorder.refused(status);
    if (isReview) reply.header('allow', 'POST');
    await reply.code(status).type(JSON_TYPE).send(messageFor(status));
  });
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

const JSON_TYPE = 'application/json';
const JSON_CONTENT = /^application\/json[\t ]*(?:;[\t ]*charset=(?:utf-8|"utf-8")[\t ]*)?$/i;

function isJson({ headers }: IncomingMessage): boolean {
  return JSON_CONTENT.test(headers['content-type'] ?? '') && headers['content-encoding'] === undefined;
}

/** @param done gets undefined for a body over the limit, and is not called when the caller goes away */
function readBody(request: IncomingMessage, limit: number, done: (body: Uint8Array | undefined) => void): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) {
    done(undefined);
    return;
  }
  let chunks: Buffer[] = [];
  let size = 0;
  request.on('data', take).on('end', finish).on('error', drop);

  function take(chunk: Buffer): void {
    size += chunk.length;
    if (size <= limit) {
      chunks.push(chunk);
      return;
    }
    drop();
    request.off('data', take).off('end', finish);
    done(undefined);
  }

  function finish(): void {
    done(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size));
  }

  function drop(): void {
    chunks = [];
  }
}

const MESSAGES = {
  404: 'there is nothing here; reviews go to /mutate/PROFILE, /validate/MODE/PROFILE, /advise/MODE/PROFILE or /unknown/MODE',
  405: 'a review is sent by POST',
  413: 'the body is too large',
  415: 'the body must be application/json in UTF-8, not compressed',
  500: 'this is a bug in cloister; its log says more',
} as const;

function messageFor(status: number): string {
  return JSON.stringify({ error: MESSAGES[status as keyof typeof MESSAGES] });
}

function headersFor(body: string) {
  return { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body) };
}

function closeAllConnections(server: Server): void {
  server.closeAllConnections();
}
