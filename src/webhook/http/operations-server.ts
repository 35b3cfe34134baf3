import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import type { CloseReason } from '../../core/request-record.ts';
import { makeConnectionTable } from './connection-table.ts';
import { boundPipelining } from './pipelining.ts';

/** What a process runs. `cloister ensure` reads it from `/readyz`. */
export interface Build {
  readonly version: string;
  /** SHA-256 of the configuration file. */
  readonly configuration: string;
}

export interface ProbeOptions {
  /** Why no review should be sent to this process now; undefined: it is ready. */
  readonly notReadyReason: () => string | undefined;
  readonly build: Build;
  readonly onClose: (reason: CloseReason) => void;
}

export interface MetricsOptions {
  readonly contentType: string;
  /** Makes the text that Prometheus scrapes. */
  readonly expose: () => Promise<string>;
  readonly onClose: (reason: CloseReason) => void;
  /** The text is made at most once in this time. Default: a second. */
  readonly intervalMs?: number;
}

/**
 * Builds the server of the probes; it does not listen yet. It speaks plain HTTP on a port of its own, because kubelets need no part in the
 * webhook's TLS, and must get answers also while there is no certificate.
 */
export function buildProbeServer({ notReadyReason, build, onClose }: ProbeOptions): FastifyInstance {
  const app = buildPlainServer('/livez or /readyz', onClose);
  app.get('/livez', () => ({ live: true }));
  app.get('/readyz', (_request, reply) => {
    const reason = notReadyReason();
    return reason === undefined ? reply.send({ ready: true, ...build }) : reply.code(503).send({ ready: false, reason, ...build });
  });
  return app;
}

/**
 * Builds the server of the metrics; it does not listen yet. It has a port of its own, so that a NetworkPolicy can close it to all but
 * Prometheus. Callers that ask sooner than the interval wait for the next text, so that together they cost no more than one text in that time.
 */
export function buildMetricsServer({ contentType, expose, onClose, intervalMs = 1_000 }: MetricsOptions): FastifyInstance {
  const app = buildPlainServer('/metrics', onClose);
  let next: Promise<Buffer> | undefined;
  let lastMadeAt = Number.NEGATIVE_INFINITY;
  app.get('/metrics', async (_request, reply) => {
    next ??= makeNext();
    return reply.type(contentType).send(await next);
  });
  return app;

  async function makeNext(): Promise<Buffer> {
    await pause(Math.max(0, lastMadeAt + intervalMs - performance.now()));
    lastMadeAt = performance.now();
    next = undefined;
    return Buffer.from(await expose());
  }
}

/** Every answer closes its connection: one that is kept would take the place of a probe. */
function buildPlainServer(paths: string, onClose: (reason: CloseReason) => void): FastifyInstance {
  const table = makeConnectionTable({ maxConnections: 256, maxIdleOfNetwork: 256 }, onClose);
  const app = fastify({
    logger: false,
    requestIdHeader: false,
    exposeHeadRoutes: false,
    bodyLimit: 1_024,
    serverFactory(handle) {
      const bounded = boundPipelining(handle, () => onClose('pipelined'));
      const options = { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 8 * 1_024 };
      // Without a listener Node would answer unknown `Expect` headers itself, and keep the connection.
      const server = createServer(options, bounded).on('checkExpectation', bounded);
      return server.on('connection', (socket: Socket) => table.add(socket, 'unproven'));
    },
    // A probe in progress must not delay the end of the process.
    forceCloseConnections: true,
  });
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('connection', 'close');
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: `no such path; use ${paths}` }));
  return app;
}
