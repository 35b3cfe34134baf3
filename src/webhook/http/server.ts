import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
// Fastify answers what is no review (404 and 405), listens, and closes without losing a request.
import fastify, { type FastifyInstance } from 'fastify';
import type { Respond } from '../review/respond.ts';
import { makeRouteLookup, type RouteLookup } from '../review/route.ts';
import { makeConnections } from './connections.ts';
import { errorBody, HTTP_ERRORS, type HttpError, JSON_TYPE, markAnswered, readRest, sendError, sendParserError } from './errors.ts';
import { LIMITS, type Limits } from './limits.ts';
import { makeLoadShedder } from './load-shedding.ts';
import { boundPipelining } from './pipelining.ts';
import { makeReviewHandler, type Recorder } from './reviews.ts';
import type { ReviewWorker } from './worker.ts';

export interface WebhookServer {
  listen(host: string, port: number): Promise<AddressInfo>;
  /**
   * For all new connections. Each open connection closes with its next answer.
   * @param secure all options again: those left out fall back to Node's defaults
   */
  replaceCertificate(secure: SecureContextOptions): void;
  /** From now on every answer closes its connection, so that callers reconnect elsewhere. */
  drain(): void;
  /** Bytes that the bodies of reviews hold. */
  bodyBytes(): number;
  /** Accepts no more connections, lets requests in progress finish, and closes those that exceed the request timeout. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly recorder: Recorder;
  /** Judges large bodies; it is stopped with the server. */
  readonly worker: ReviewWorker;
  /** Certificate, key and TLS settings. Without a certificate every handshake fails, until `replaceCertificate` provides one. */
  readonly secure: SecureContextOptions;
  /** Returns what is wrong with a client's certificate. Absent: clients need none. */
  readonly checkClient?: ((socket: TLSSocket) => string | undefined) | undefined;
  readonly limits?: Limits;
}

/**
 * Builds the HTTPS server; it does not listen yet.
 *
 * Reviews are answered before Fastify's router, which costs more than the review does. HTTP/1.1 only: over one HTTP/2 connection an API server
 * would send every review to one replica.
 */
export function buildServer(respond: Respond, { recorder, worker, secure, checkClient, limits = LIMITS }: ServerOptions): WebhookServer {
  // More than one where `localhost` has an IPv4 and an IPv6 address.
  const servers: Server[] = [];
  let current = secure;
  const connections = makeConnections({ limits, checkClient, onClose: recorder.recordClose });
  const shedder = makeLoadShedder(limits);
  const routeOf = makeRouteLookup();
  const handleReview = makeReviewHandler({ respond, worker, shedder, recorder, connections, limits });

  const app = fastify({
    logger: false,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    clientErrorHandler(error, socket) {
      const code = sendParserError(error, socket);
      if (code !== undefined) recorder.recordRejection({ status: HTTP_ERRORS[code].status, code });
    },
    serverFactory(handleOther) {
      const handle = boundPipelining(
        (request, response) => {
          const problem = connections.problemOf(request);
          if (problem !== undefined) {
            reject(request, response, problem);
            return;
          }
          const malformed = malformationOf(request);
          if (malformed !== undefined) {
            // The rest of this connection cannot be trusted. If the parser rejects the body as well, the parser answers.
            connections.block(request, malformed);
            readRest(request, () => reject(request, response, malformed));
            return;
          }
          const path = pathOf(request);
          const route = request.method === 'POST' ? routeOf(path) : undefined;
          if (route !== undefined) {
            handleReview({ path, route }, request, response);
            return;
          }
          response.setHeader('connection', 'close');
          handleOther(request, response);
        },
        () => recorder.recordClose('pipelined'),
      );
      const server = makeHttpsServer({ limits, secure: current, asksClients: checkClient !== undefined }, handle);
      deferHandshakes(server, connections.open);
      server.on('secureConnection', connections.add);
      servers.push(server);
      return server;
    },
  });
  rejectOtherRequests(app, { routeOf, recorder });

  return {
    async listen(host, port) {
      // The backlog takes a burst of new connections; a client whose connection does not fit retries after a second.
      await app.listen({ host, port, backlog: limits.maxConnections });
      return app.server.address() as AddressInfo;
    },
    replaceCertificate(replacement) {
      current = replacement;
      connections.startGeneration();
      for (const server of servers) server.setSecureContext(replacement);
    },
    drain: connections.drain,
    bodyBytes: shedder.bodyBytes,
    async close() {
      connections.drain();
      // A closing server no longer checks for requests that exceed a timeout.
      const timer = setInterval(() => servers.forEach(closeAllConnections), limits.requestTimeoutMs);
      await app.close();
      clearInterval(timer);
      shedder.stop();
      await worker.stop();
      recorder.flush();
    },
  };

  function reject(request: IncomingMessage, response: ServerResponse, error: HttpError): void {
    recorder.recordRejection({ status: HTTP_ERRORS[error.code].status, code: error.code });
    sendError(request, response, error);
  }
}

interface HttpsOptions {
  readonly limits: Limits;
  readonly secure: SecureContextOptions;
  readonly asksClients: boolean;
}

function makeHttpsServer(
  { limits, secure, asksClients }: HttpsOptions,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = createServer(
    {
      ...secure,
      requestCert: asksClients,
      // A failed handshake would give the client no reason: the request is rejected instead.
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: limits.handshakeTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckIntervalMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      // Node's own answer would have no code, and would not be counted.
      requireHostHeader: false,
    },
    handle,
  );
  // Without a listener Node would answer unknown `Expect` headers itself.
  server.on('checkExpectation', handle);
  server.maxHeadersCount = limits.maxHeaders;
  // Callers reconnect from time to time, so that replicas added later get their share.
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection;
  return server;
}

/** Hands each new connection to `open`, with the function that starts its handshake. Node's own listener would start the handshake at once. */
function deferHandshakes(server: Server, open: (socket: Socket, startHandshake: () => void) => void): void {
  const startHandshakes = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    open(socket, () => {
      for (const startHandshake of startHandshakes) startHandshake.call(server, socket);
    });
  });
}

/** Rejects every request that is no review, before its body is read. */
function rejectOtherRequests(
  app: FastifyInstance,
  { routeOf, recorder }: { readonly routeOf: RouteLookup; readonly recorder: Recorder },
): void {
  app.addHook('onRequest', async (request, reply) => {
    const isReviewPath = routeOf(pathOf(request.raw)) !== undefined;
    const code = isReviewPath ? 'CLOISTER_METHOD_NOT_ALLOWED' : 'CLOISTER_NOT_FOUND';
    const { status } = HTTP_ERRORS[code];
    recorder.recordRejection({ status, code });
    markAnswered(request.raw);
    if (isReviewPath) reply.header('allow', 'POST');
    await reply.code(status).type(JSON_TYPE).send(errorBody(code));
  });
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Node's parser accepts versions and codings that other programs read differently. HTTP/1.1 requires a host: RFC 9112, section 3.2. */
function malformationOf({ httpVersion, headers }: IncomingMessage): HttpError | undefined {
  const { 'transfer-encoding': coding, host } = headers;
  if (httpVersion !== '1.1' || !(coding === undefined || /^(?:chunked)?$/i.test(coding))) return { code: 'CLOISTER_BAD_FRAMING' };
  return host === undefined ? { code: 'CLOISTER_BAD_HTTP', message: 'the request has no Host header' } : undefined;
}

function closeAllConnections(server: Server): void {
  server.closeAllConnections();
}
