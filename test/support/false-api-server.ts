import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Answer = (response: ServerResponse, request: IncomingMessage) => unknown;

/** An HTTP server in the place of an API server, for what a real one cannot be made to do: it fails in a given way, at a given request. */
export interface FalseApiServer {
  readonly url: string;
  /** Path of a kubeconfig for it. */
  readonly kubeconfig: string;
  /** The requests so far, with path and query. */
  readonly requests: readonly URL[];
  stop(): Promise<void>;
}

/** @param answers to the first request, the second, and so on; the last one also answers all further requests */
export async function startFalseApiServer(answers: readonly Answer[]): Promise<FalseApiServer> {
  const requests: URL[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push(new URL(request.url ?? '', 'http://localhost'));
    answer?.(response, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const folder = await mkdtemp(join(tmpdir(), 'cloister-false-api-server-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    // The library takes plain HTTP with this setting only.
    clusters: [{ name: 'test', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  await writeFile(kubeconfig, JSON.stringify(content));
  return {
    url,
    kubeconfig,
    requests,
    async stop() {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true });
    },
  };
}

export function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return (response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
