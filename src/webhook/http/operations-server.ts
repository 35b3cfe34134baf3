import fastify, { type FastifyInstance } from 'fastify';

export interface OperationsOptions {
  /** Why no review should be sent here now; undefined: all is well. */
  readonly notReady: () => string | undefined;
  readonly metrics: { readonly contentType: string; expose(): Promise<string> };
}

/**
 * Builds the server of probes and metrics; it does not listen yet. Plain HTTP on a port of its own: a kubelet and a Prometheus need no part in
 * the webhook's TLS, and answers must come also when that has no certificate.
 */
export function buildOperations({ notReady, metrics }: OperationsOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    requestIdHeader: false,
    bodyLimit: 1_024,
    requestTimeout: 5_000,
    http: { headersTimeout: 5_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 8 * 1_024 },
    // A probe under way must not hold a process that is done.
    forceCloseConnections: true,
  });
  app.removeAllContentTypeParsers();
  app.server.maxConnections = 256;

  app.get('/livez', () => ({ live: true }));
  app.get('/readyz', (_request, reply) => {
    const reason = notReady();
    return reason === undefined ? reply.send({ ready: true }) : reply.code(503).send({ ready: false, reason });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.expose()));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'here are /livez, /readyz and /metrics' }));
  return app;
}
