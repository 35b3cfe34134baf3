import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { buildMetricsServer, buildProbeServer } from '../../../src/webhook/http/operations-server.ts';
import { until } from '../../support/webhook-server.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const contentType = 'text/plain; version=0.0.4; charset=utf-8';
const onClose = () => {};
const build = { version: '1.2.3', configuration: 'abc' };

describe('probes', () => {
  test('/livez answers 200 while the process is not ready', async () => {
    const app = buildProbeServer({ build, onClose, notReadyReason: () => 'anything' });
    const { statusCode, body } = await app.inject('/livez');
    expect([statusCode, JSON.parse(body)]).toEqual([200, { live: true }]);
  });

  test('/readyz answers 503 with the reason, and 200 without one; both state what the process runs', async () => {
    let reason: string | undefined = 'no certificate';
    const app = buildProbeServer({ build, onClose, notReadyReason: () => reason });
    const before = await app.inject('/readyz');
    reason = undefined;
    const after = await app.inject('/readyz');
    expect([before.statusCode, before.json()]).toEqual([503, { ready: false, reason: 'no certificate', ...build }]);
    expect([after.statusCode, after.json()]).toEqual([200, { ready: true, ...build }]);
  });

  test.each([
    ['POST', '/mutate/userns'],
    ['GET', '/metrics'],
  ] as const)('%s %s is not served on the port of the probes', async (method, url) => {
    const app = buildProbeServer({ build, onClose, notReadyReason: () => undefined });
    const { statusCode, json } = await app.inject({ method, url });
    expect([statusCode, json()]).toEqual([404, { error: 'no such path; use /livez or /readyz' }]);
  });

  test('T24: a connection with many requests in one piece is closed', async () => {
    const closed = vi.fn();
    const port = await listen(buildProbeServer({ build, onClose: closed, notReadyReason: () => undefined }));
    const socket = await dial(port, '127.0.0.2');
    const ended = once(socket, 'close');
    socket.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(1_500));
    socket.resume();
    await ended;
    expect(closed.mock.calls).toEqual([['pipelined']]);
    expect(await get(port, '/livez')).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('an unknown expectation is ignored, and its answer closes the connection too', async () => {
    const port = await listen(buildProbeServer({ build, onClose, notReadyReason: () => undefined }));
    const socket = await dial(port, '127.0.0.2');
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    const ended = once(socket, 'close');
    socket.write('GET /livez HTTP/1.1\r\nhost: a\r\nexpect: more\r\n\r\n');
    await ended;
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('T24: probes from another address are answered while one address takes all connections and keeps them', async () => {
    const closed = vi.fn();
    const port = await listen(buildProbeServer({ build, onClose: closed, notReadyReason: () => undefined }));
    const attackers: Socket[] = [];
    for (let opened = 0; opened < 300; opened += 1) attackers.push(await dial(port, '127.0.0.2'));
    for (let probe = 0; probe < 20; probe += 1) {
      expect(await get(port, '/livez')).toMatch(/^HTTP\/1\.1 200 /);
      attackers.push(await dial(port, '127.0.0.2'));
    }
    expect(closed).toHaveBeenCalledWith('full');
    expect(attackers.some(({ destroyed }) => destroyed)).toBe(true);
  });

  test('every answer closes its connection', async () => {
    const port = await listen(buildProbeServer({ build, onClose, notReadyReason: () => undefined }));
    for (const path of ['/livez', '/readyz', '/nothing']) expect(await get(port, path)).toMatch(/\r\nconnection: close\r\n/i);
  });
});

describe('metrics', () => {
  test('/metrics answers with the text that Prometheus scrapes', async () => {
    const app = buildMetricsServer({ contentType, onClose, expose: async () => 'up 1\n' });
    const { statusCode, headers, body } = await app.inject('/metrics');
    expect([statusCode, headers['content-type'], body]).toEqual([200, contentType, 'up 1\n']);
  });

  test('T24: the text is made once for all callers that ask within the interval, and the first caller does not wait', async () => {
    let made = 0;
    const expose = async () => {
      made += 1;
      return `made ${made}\n`;
    };
    const app = buildMetricsServer({ contentType, onClose, expose, intervalMs: 500 });
    const ask = async () => (await app.inject('/metrics')).body;
    expect(await ask()).toBe('made 1\n');
    expect(await Promise.all(Array.from({ length: 40 }, ask))).toEqual(Array(40).fill('made 2\n'));
    expect(await ask()).toBe('made 3\n');
  });

  test('a text that cannot be made is an error for its callers alone', async () => {
    const expose = vi.fn().mockRejectedValueOnce(new Error('broken')).mockResolvedValue('up 1\n');
    const app = buildMetricsServer({ contentType, onClose, expose, intervalMs: 10 });
    expect((await app.inject('/metrics')).statusCode).toBe(500);
    expect((await app.inject('/metrics')).body).toBe('up 1\n');
  });
});

async function listen(app: FastifyInstance): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  cleanups.push(() => app.close());
  return (app.server.address() as AddressInfo).port;
}

async function dial(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  cleanups.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function get(port: number, path: string): Promise<string> {
  const socket = await dial(port, '127.0.0.1');
  let text = '';
  socket.on('data', (piece) => (text += piece));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await until(() => socket.closed);
  return text;
}
