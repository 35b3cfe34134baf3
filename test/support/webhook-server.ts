import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { makeLogger } from '../../src/telemetry/logger.ts';
import { makeMetrics } from '../../src/telemetry/metrics.ts';
import { makeRecorder } from '../../src/telemetry/recorder.ts';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { secureContextOf } from '../../src/tls/files.ts';
import { LIMITS, type Limits } from '../../src/webhook/http/limits.ts';
import { buildServer, type ServerOptions } from '../../src/webhook/http/server.ts';
import type { ReviewWorker } from '../../src/webhook/http/worker.ts';
import type { Respond } from '../../src/webhook/review/respond.ts';

const now = new Date();
export const authority = await createAuthority('test', { now, days: 1 });
const issued = await issueCertificate(authority, ['localhost', '127.0.0.1'], { now, days: 1 });
const secure = secureContextOf({ certificate: Buffer.from(issued.certificate), key: Buffer.from(issued.key), expires: now });

/** A worker without a thread, for tests in which it does not matter which thread judges. */
const inline = (respond: Respond): ReviewWorker => ({ judge: async (path, body) => respond(path, body), stop: async () => {} });

const PATIENT_MS = 60_000;

/** The limits without those on time, for tests whose subject is not time: on a busy machine a slow review is no fault. */
export const PATIENT_LIMITS: Limits = {
  ...LIMITS,
  largeReviewTimeoutMs: PATIENT_MS,
  handshakeTimeoutMs: PATIENT_MS,
  headersTimeoutMs: PATIENT_MS,
  requestTimeoutMs: PATIENT_MS,
  enforced: { ...LIMITS.enforced, loopDelayMs: PATIENT_MS },
  watched: { ...LIMITS.watched, loopDelayMs: PATIENT_MS },
};

/** Starts a webhook server on the loopback interface, with a real recorder whose log lines are kept. */
export async function startServer(respond: Respond, limits: Partial<Limits> = {}, options: Partial<ServerOptions> = {}) {
  const lines: string[] = [];
  const metrics = makeMetrics({ profiles: ['userns'], version: '0.0.0', configuration: '' });
  const recorder = makeRecorder(makeLogger('debug', { write: (line) => lines.push(line) }), metrics);
  const server = buildServer(respond, { recorder, worker: inline(respond), secure, ...options, limits: { ...PATIENT_LIMITS, ...limits } });
  metrics.observeBodyBytes(server.bodyBytes);
  const { port } = await server.listen('127.0.0.1', 0);
  const agent = new Agent({ keepAlive: true, ca: authority.certificate, servername: 'localhost' });

  return {
    server,
    port,
    metrics,
    lines,
    send: (path: string, options: SendOptions = {}) => send({ ...options, port, path, agent }),
    raw: (options: ConnectionOptions = {}) => connectTo(port, options),
    async stop() {
      agent.destroy();
      await server.close();
    },
  };
}

export interface SendOptions extends RequestOptions {
  readonly body?: string | Buffer | readonly Buffer[];
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends a list of buffers in chunks, without an announced length. */
export function send({ body = '', ...options }: SendOptions): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...(options.headers as object) };
    const length = isText(body) ? { 'content-length': Buffer.byteLength(body) } : {};
    const sent = request({ method: 'POST', host: '127.0.0.1', ...options, headers: { ...length, ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', reject);
    if (!isText(body)) for (const chunk of body) sent.write(chunk);
    sent.end(isText(body) ? body : undefined);
  });
}

/**
 * Sends as an API server does: it retries 429 and 5xx with Retry-After ten times at most, and a broken connection never.
 * Source: k8s.io/client-go/rest/with_retry.go
 */
export async function insist(options: SendOptions): Promise<Answered> {
  for (let retries = 0; ; retries += 1) {
    const answered = await send(options);
    const { status, headers } = answered;
    const after = Number(headers['retry-after'] ?? Number.NaN);
    if (!(status === 429 || status >= 500) || Number.isNaN(after) || retries === 10) return answered;
    await new Promise((resolve) => setTimeout(resolve, after * 1_000));
  }
}

const isText = (body: string | Buffer | readonly Buffer[]): body is string | Buffer => typeof body === 'string' || Buffer.isBuffer(body);

/** A raw TLS connection. */
export interface Connection {
  readonly socket: TLSSocket;
  /** What has arrived so far. */
  received(): string;
  /** What arrived until the server closed. */
  readonly closed: Promise<string>;
}

export function connectTo(port: number, options: ConnectionOptions = {}): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.certificate, ...options });
    const closed = new Promise<string>((done) => socket.once('close', () => done(text)));
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.once('secureConnect', () => resolve({ socket, closed, received: () => text }));
  });
}

/** A review of the creation of a docker-in-docker pod. */
export const exampleReview = readFileSync('examples/review.json', 'utf8');

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENT_MS;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`${isSo} was not true within ${PATIENT_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
