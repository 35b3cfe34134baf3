import fastify, { type FastifyInstance } from 'fastify';

export interface OperationsOptions {
  /** Why no review should be sent to this process now; undefined: it is ready. */
  readonly notReadyReason: () => string | undefined;
  readonly metrics: { readonly contentType: string; expose(): Promise<string> };
}

/**
 * Builds the server of probes and metrics; it does not listen yet. It speaks plain HTTP on its own port, because kubelets and Prometheus need no
 * part in the webhook's TLS, and must get answers also while there is no certificate.
 */
export function buildOperationsServer({ notReadyReason, metrics }: OperationsOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    requestIdHeader: false,
    bodyLimit: 1_024,
    requestTimeout: 5_000,
    http: { headersTimeout: 5_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 8 * 1_024 },
    // A probe in progress must not delay the end of the process.
    forceCloseConnections: true,
  });
  app.removeAllContentTypeParsers();
  app.server.maxConnections = 256;

  app.get('/livez', () => ({ live: true }));
  app.get('/readyz', (_request, reply) => {
    const reason = notReadyReason();
    return reason === undefined ? reply.send({ ready: true }) : reply.code(503).send({ ready: false, reason });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.expose()));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'no such path; use /livez, /readyz or /metrics' }));
  return app;
}
