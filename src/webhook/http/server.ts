import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import fastify, { type FastifyInstance } from 'fastify';
import type { RequestRecord, ShedReason } from '../../core/request-record.ts';
import type { Respond, Response } from '../review/respond.ts';
import { isWatching, type Route, routeOf } from '../review/route.ts';
import { type BodyLimits, readBody } from './body.ts';
import { type Crowd, makeGate, type Visit } from './load-shedding.ts';
import { tokensIn } from './value-count.ts';
import type { Thread } from './worker.ts';

/** What callers may take of the server. Times are milliseconds, sizes bytes. */
export interface Limits extends BodyLimits {
  /** The longest that a large review may take, its caller's patience apart. */
  readonly largeTimeout: number;
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
  /** What may be under way for reviews that enforce, and for those that only watch. */
  readonly enforced: Crowd;
  readonly watched: Crowd;
}

const MIB = 1024 * 1024;

export const LIMITS: Limits = {
  // Two objects of at most 3 MiB each (an update carries both), with what the API server's defaulting adds, and the envelope.
  body: 8 * MIB,
  // Five milliseconds of parsing and judging: others may wait that long.
  large: 256 * 1024,
  // As many as 150 KiB of ordinary pods have. The smaller the values, the more work a byte makes.
  dense: 12_000,
  // Two ordinary objects of 3 MiB, the most that an API server takes, have 490,000; etcd keeps half of that. Parsing takes time and memory by
  // their number, whatever the bytes.
  tokens: 500_000,
  largeTimeout: 4_000,
  headers: 8 * 1024,
  headerCount: 64,
  handshakeTimeout: 5_000,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  checkingInterval: 1_000,
  keepAliveTimeout: 120_000,
  requestsPerConnection: 1_000,
  // Some 65 KiB each. Half of them may be slow on purpose, and the API servers still find room.
  connections: 2_048,
  enforced: { late: 1_000, arriving: 512, bytes: 64 * MIB, waiting: 32 * MIB },
  watched: { late: 250, arriving: 256, bytes: 32 * MIB, waiting: 16 * MIB },
};

/** Records what happens. Its methods must be quick, because callers wait for them. */
export interface Recorder {
  startRequest(): void;
  endRequest(): void;
  recordAnswer(record: RequestRecord, seconds: number): void;
  /** Passes on the records that still wait for a batch. */
  flush(): void;
  /** A request that is rejected before it is judged. */
  recordRejection(error: { readonly status: number; readonly code: string }): void;
  recordShed(reason: ShedReason): void;
  /** A bug in Cloister. */
  recordFailure(error: unknown): void;
}

export interface WebhookServer {
  listen(host: string, port: number): Promise<AddressInfo>;
  /**
   * For all connections from now on. Those that there are go on, each until its next answer.
   * @param secure all options again: what is left out falls back to Node's defaults
   */
  replaceCertificate(secure: SecureContextOptions): void;
  /** From now on every answer tells its caller to connect anew. */
  drain(): void;
  /** How many bytes of bodies it holds. */
  bodyBytes(): number;
  /** Takes no more connections, lets what is under way finish, and cuts what then still hangs. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly recorder: Recorder;
  /** Judges large bodies; it is stopped with the server. */
  readonly thread: Thread;
  /** Certificate, key and TLS settings. Without a certificate every handshake fails until one is put in. */
  readonly secure: SecureContextOptions;
  /** Says what is wrong with a client's certificate. Absent: clients need none. */
  readonly checkClient?: ((socket: TLSSocket) => string | undefined) | undefined;
  readonly limits?: Limits;
}

/**
 * Builds the HTTPS server; it does not listen yet.
 *
 * Reviews are answered before Fastify's router, which costs more than the review does. All other requests, broken ones and closing are
 * Fastify's. HTTP/1.1 only: over one HTTP/2 connection an API server would send everything to one replica.
 */
export function buildServer(respond: Respond, { recorder, thread, secure, checkClient, limits = LIMITS }: ServerOptions): WebhookServer {
  // More than one where `localhost` has an address of each family.
  const servers: Server[] = [];
  let current = secure;
  let isDraining = false;
  // Of connections, by the certificate that they began under and why nothing more is answered on them.
  let generation = {};
  const begun = new WeakMap<object, { readonly generation: object; readonly problem: string | undefined }>();
  const gate = makeGate(limits);

  const app = fastify({
    logger: false,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    serverFactory(toFastify) {
      const server = makeServer({ limits, secure: current, asksClients: checkClient !== undefined }, (request, response) => {
        const problem = begun.get(request.socket)?.problem;
        if (problem !== undefined) {
          refuse(response, 'client', { error: problem });
          return;
        }
        if (!isFramed(request)) {
          // What follows on this connection may be anything. The parser may find fault with the body, too, and is then the one to say so.
          begun.set(request.socket, { generation, problem: TROUBLE.framing.error });
          request.on('end', () => refuse(response, 'framing')).resume();
          return;
        }
        const path = pathOf(request);
        const route = request.method === 'POST' ? routeOf(path) : undefined;
        if (route !== undefined) {
          review({ path, route }, request, response);
          return;
        }
        if (isLast(request)) response.setHeader('connection', 'close');
        toFastify(request, response);
      });
      server.on('secureConnection', (socket) => begun.set(socket, { generation, problem: checkClient?.(socket) }));
      servers.push(server);
      return server;
    },
  });
  turnAwayTheRest(app, recorder);

  return {
    async listen(host, port) {
      // A burst of new connections waits in line; what does not fit comes a second later.
      await app.listen({ host, port, backlog: limits.connections });
      return app.server.address() as AddressInfo;
    },
    replaceCertificate(replacement) {
      current = replacement;
      generation = {};
      for (const server of servers) server.setSecureContext(replacement);
    },
    drain() {
      isDraining = true;
    },
    bodyBytes: gate.bytes,
    async close() {
      isDraining = true;
      // A closing server no longer looks for requests that take too long.
      const cut = setTimeout(() => servers.forEach(closeAllConnections), limits.requestTimeout);
      await app.close();
      clearTimeout(cut);
      gate.stop();
      await thread.stop();
      recorder.flush();
    },
  };

  function review({ path, route }: Called, request: IncomingMessage, response: ServerResponse): void {
    const startedAt = performance.now();
    recorder.startRequest();
    let left = () => {};
    response.once('close', () => {
      recorder.endRequest();
      left();
    });
    if (!isJson(request)) {
      refuse(response, 'type');
      return;
    }
    let stopReading = () => {};
    const entered = gate.enter(isWatching(route), (why) => {
      stopReading();
      shed(response, why);
    });
    if (typeof entered === 'string') {
      shed(response, entered);
      return;
    }
    const visit: Visit = entered;
    left = visit.left;
    stopReading = readBody(request, limits, { grew: visit.grew, done: judge });

    function judge(body: Uint8Array<ArrayBuffer> | 'too-large' | 'too-dense'): void {
      if (typeof body === 'string') {
        visit.left();
        refuse(response, body);
        return;
      }
      const isLarge = body.length > limits.large;
      const isDense = !isLarge && body.length > limits.dense && tokensIn(body) > limits.dense;
      const overload = visit.arrived(isLarge || isDense);
      if (overload !== undefined) {
        if (isLarge) body.buffer.transfer(0);
        shed(response, overload);
      } else if (isLarge) void judgeLarge(body);
      // What is small may share its memory, which another thread must not have.
      else if (isDense) void judgeLarge(new Uint8Array(body));
      else judgeSmall(body);
    }

    function judgeSmall(body: Uint8Array): void {
      try {
        answer(respond(path, body));
      } catch (error) {
        recorder.recordFailure(error);
        send(response, TROUBLE.bug.status, messageOf('bug'));
      }
    }

    async function judgeLarge(body: Uint8Array<ArrayBuffer>): Promise<void> {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const patience = AbortSignal.timeout(patienceOf(request, limits));
      try {
        answer(await thread.judge(path, body, AbortSignal.any([gone.signal, patience])));
      } catch (error) {
        if (gone.signal.aborted) return;
        if (!patience.aborted) recorder.recordFailure(error);
        const trouble = patience.aborted ? 'slow' : 'bug';
        send(response, TROUBLE[trouble].status, messageOf(trouble));
      } finally {
        visit.left();
      }
    }

    function answer({ status, body, bytes, record }: Response): void {
      send(response, status, body, bytes);
      recorder.recordAnswer(record, (performance.now() - startedAt) / 1_000);
    }
  }

  function send(response: ServerResponse, status: number, body: string, bytes = Buffer.byteLength(body)): void {
    if (isLast(response.req)) response.setHeader('connection', 'close');
    response.writeHead(status, headersFor(bytes));
    response.end(body);
  }

  /** Whether its connection is to be made anew afterwards: elsewhere, or under the certificate that holds now. */
  function isLast({ socket }: IncomingMessage): boolean {
    return isDraining || begun.get(socket)?.generation !== generation;
  }

  /** The API server tries again, up to ten times, and on a connection of its own, which may lead to another replica. */
  function shed(response: ServerResponse, why: ShedReason): void {
    recorder.recordShed(why);
    refuse(response, isDraining ? 'draining' : 'overload', { headers: { 'retry-after': '1' } });
  }

  /**
   * Whoever is still sending reads the answer only if its bytes are taken: closing now would reset the connection under it. `requestTimeout`
   * ends the patience.
   */
  function refuse(response: ServerResponse, trouble: Trouble, { error = TROUBLE[trouble].error as string, headers = {} } = {}): void {
    const { req: request } = response;
    const { status } = TROUBLE[trouble];
    recorder.recordRejection({ status, code: trouble });
    const body = JSON.stringify({ error });
    response.writeHead(status, { ...headersFor(Buffer.byteLength(body)), ...headers, connection: 'close' });
    if (request.readableEnded) {
      response.end(body);
      return;
    }
    response.write(body);
    request.on('end', () => response.end());
    request.resume();
  }
}

interface Called {
  readonly path: string;
  readonly route: Route;
}

interface Ground {
  readonly limits: Limits;
  readonly secure: SecureContextOptions;
  readonly asksClients: boolean;
}

function makeServer({ limits, secure, asksClients }: Ground, handle: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const server = createServer(
    {
      ...secure,
      // A broken handshake would leave both ends guessing: who is refused is told why.
      requestCert: asksClients,
      rejectUnauthorized: false,
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
  // What else a caller may expect is not known here, and Node would answer in our place.
  server.on('checkExpectation', handle);
  server.maxHeadersCount = limits.headerCount;
  // Now and then a connection is made anew, so that replicas which came later get their share.
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  server.maxConnections = limits.connections;
  return server;
}

/** Before any body is read. */
function turnAwayTheRest(app: FastifyInstance, recorder: Recorder): void {
  app.addHook('onRequest', async (request, reply) => {
    const isReview = routeOf(pathOf(request.raw)) !== undefined;
    const trouble = isReview ? 'method' : 'nothing';
    const { status } = TROUBLE[trouble];
    recorder.recordRejection({ status, code: trouble });
    if (isReview) reply.header('allow', 'POST');
    await reply.code(status).type(JSON_TYPE).send(messageOf(trouble));
  });
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

const JSON_TYPE = 'application/json';
const JSON_CONTENT = /^application\/json[\t ]*(?:;[\t ]*charset=(?:utf-8|"utf-8")[\t ]*)?$/i;

/** Node's parser lets through versions and codings that others read otherwise than it does. */
function isFramed({ httpVersion, headers }: IncomingMessage): boolean {
  const { 'transfer-encoding': coding } = headers;
  return httpVersion === '1.1' && (coding === undefined || /^(?:chunked)?$/i.test(coding));
}

function isJson({ headers }: IncomingMessage): boolean {
  const { 'content-type': type = '', 'content-encoding': coding } = headers;
  return (type === JSON_TYPE || JSON_CONTENT.test(type)) && coding === undefined;
}

/** The API server says how long it waits; what it no longer waits for is not worth judging. */
function patienceOf({ url = '' }: IncomingMessage, { largeTimeout }: Limits): number {
  const seconds = Number(/[?&]timeout=(\d{1,2})s(?:&|$)/.exec(url)?.[1] ?? Number.POSITIVE_INFINITY);
  return Math.min(largeTimeout, Math.max(seconds * 1_000 - 500, 500));
}

const TROUBLE = {
  framing: { status: 400, error: 'requests come over HTTP/1.1, and their bodies as they are or in chunks, in no other coding' },
  client: { status: 403, error: 'the client certificate is not one that may call' },
  nothing: {
    status: 404,
    error: 'there is nothing here; reviews go to /mutate/PROFILE, /validate/MODE/PROFILE, /advise/MODE/PROFILE or /unknown/MODE',
  },
  method: { status: 405, error: 'a review is sent by POST' },
  'too-large': { status: 413, error: 'the body is too large' },
  'too-dense': { status: 413, error: 'the body has too many values: the object is to be made of fewer' },
  type: { status: 415, error: 'the body must be application/json in UTF-8, not compressed' },
  overload: { status: 429, error: 'there is too much to judge at the moment: try again' },
  bug: { status: 500, error: 'this is a bug in cloister; its log says more' },
  slow: { status: 503, error: 'the body was not judged in time: the object is to be made smaller' },
  draining: { status: 503, error: 'there is too much to judge at the moment, and this replica is about to stop: try again' },
} as const;
type Trouble = keyof typeof TROUBLE;

function messageOf(trouble: Trouble): string {
  return JSON.stringify({ error: TROUBLE[trouble].error });
}

function headersFor(bytes: number) {
  return { 'content-type': JSON_TYPE, 'content-length': bytes };
}

function closeAllConnections(server: Server): void {
  server.closeAllConnections();
}
