import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply-patch.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { LIMITS, type Limits } from '../../../src/webhook/http/limits.ts';
import { makeRespond, type Respond } from '../../../src/webhook/review/respond.ts';
import { exampleReview, startServer, until } from '../../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

const MUTATE = '/mutate/userns';
const MIB = 1024 * 1024;

/** Answers with the size of the body. */
const measure: Respond = (_path, received) => {
  const body = JSON.stringify({ bytes: received.length });
  const record = { phase: 'mutate', mode: 'enforce', profile: 'userns', outcome: 'allowed', counts: [], exempted: [] } as const;
  return { status: 200, body, bytes: body.length, record };
};

const started: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((stop) => stop()));
});

async function start(toRespond: Respond = respond, limits: Partial<Limits> = {}) {
  const server = await startServer(toRespond, limits);
  started.push(server.stop);
  return server;
}

describe('reviews', () => {
  test('the creation of a pod is answered with a patch', async () => {
    const { send } = await start();
    const { status, headers, body } = await send(MUTATE, { body: exampleReview });
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(JSON.parse(body)).toMatchObject({
      kind: 'AdmissionReview',
      response: { uid: JSON.parse(exampleReview).request.uid, allowed: true, patchType: 'JSONPatch' },
    });
  });

  test('the query is not part of the path', async () => {
    const { send } = await start();
    expect((await send(`${MUTATE}?timeout=3s`, { body: exampleReview })).status).toBe(200);
  });

  test('T25, T74: a bug is answered with 500, and neither answer nor log quotes what was sent', async () => {
    const { send, lines, metrics } = await start((_path, body) => {
      throw new Error(`unexpected: ${Buffer.from(body).toString()}`);
    });
    const { status, body } = await send(MUTATE, { body: '{"secret":"canary"}' });
    expect(status).toBe(500);
    expect(body.length).toBeLessThan(200);
    expect(lines.join('')).toContain('server.test.ts');
    expect(body + lines.join('')).not.toContain('canary');
    expect(await metrics.expose()).toContain('cloister_failed_requests_total 1');
    expect((await send(MUTATE, { body: '{}' })).status).toBe(500);
  });
});

describe('bodies', () => {
  test('T21: an empty body is no review', async () => {
    const { send } = await start();
    expect((await send(MUTATE)).status).toBe(400);
  });

  test.each([
    ['one byte less than the limit', LIMITS.maxBodyBytes - 1],
    ['the limit itself', LIMITS.maxBodyBytes],
  ])('T21: a body of %s is read completely', async (_, bytes) => {
    const { send } = await start(measure);
    const { status, body } = await send(MUTATE, { body: Buffer.alloc(bytes, ' ') });
    expect([status, body]).toEqual([200, `{"bytes":${bytes}}`]);
  });

  test('T21: a body of one byte over the limit is rejected, with and without an announced length', async () => {
    const { send } = await start(measure);
    const announced = await send(MUTATE, { body: Buffer.alloc(LIMITS.maxBodyBytes + 1, ' ') });
    const chunks = [...Array.from({ length: 8 }, () => Buffer.alloc(MIB, ' ')), Buffer.alloc(1)];
    const chunked = await send(MUTATE, { body: chunks });
    expect([announced.status, chunked.status]).toEqual([413, 413]);
    expect([announced, chunked].map(({ body }) => JSON.parse(body).code)).toEqual(['CLOISTER_BODY_TOO_LARGE', 'CLOISTER_BODY_TOO_LARGE']);
    expect([announced.headers.connection, chunked.headers.connection]).toEqual(['close', 'close']);
  });

  test('T21, T24: a caller that announces too much is answered before it sends the body, and disconnected when it never does', async () => {
    const { raw } = await start(measure, { requestTimeoutMs: 300, headersTimeoutMs: 200, timeoutCheckIntervalMs: 50 });
    const { socket, received, closed } = await raw();
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n`);
    await until(() => received().startsWith('HTTP/1.1 413'));
    await closed;
  });

  test('a caller that still sends too much can read the answer: the connection is not reset', async () => {
    const { raw } = await start(measure);
    const { socket, received, closed } = await raw();
    const errors: Error[] = [];
    socket.on('error', (error) => errors.push(error));
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${10 * MIB}\r\n\r\n`);
    socket.write(Buffer.alloc(MIB));
    await until(() => received().startsWith('HTTP/1.1 413'));
    socket.write(Buffer.alloc(9 * MIB));
    await closed;
    expect(errors).toEqual([]);
    expect(socket.bytesWritten).toBeGreaterThan(10 * MIB);
  });

  test.each([
    ['application/json', 200],
    ['application/json; charset=utf-8', 200],
    ['Application/JSON;charset="UTF-8"', 200],
    ['application/json\t; charset=utf-8', 200],
    ['application/json; charset=utf-16', 415],
    ['application/json; profile=x', 415],
    ['application/jsonp', 415],
    ['application/json, text/plain', 415],
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=x', 415],
    ['', 415],
  ])('T48: a body of type "%s" is answered with %i', async (type, status) => {
    const { send } = await start();
    expect((await send(MUTATE, { body: exampleReview, headers: { 'content-type': type } })).status).toBe(status);
  });

  test('T48: a compressed body is rejected', async () => {
    const { send } = await start();
    expect((await send(MUTATE, { body: exampleReview, headers: { 'content-encoding': 'gzip' } })).status).toBe(415);
  });

  test('T24: a caller that goes away in the middle of a body leaves nothing behind', async () => {
    const { raw, send, metrics } = await start();
    const { socket } = await raw();
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`);
    await until(async () => (await metrics.expose()).includes('cloister_requests_in_flight 1'));
    socket.destroy();
    await until(async () => (await metrics.expose()).includes('cloister_requests_in_flight 0'));
    expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
  });
});

describe('other requests', () => {
  test.each([
    ['POST', '/', 404],
    ['POST', '/mutate/', 404],
    ['POST', '/mutate/userns/', 404],
    ['POST', '/mutate/%75serns', 404],
    ['POST', '/Mutate/userns', 404],
    ['POST', '/validate/other/userns', 404],
    ['POST', '/livez', 404],
    ['GET', '/metrics', 404],
    ['GET', MUTATE, 405],
    ['PUT', MUTATE, 405],
    ['DELETE', '/validate/enforce/userns', 405],
    ['OPTIONS', '/unknown/warn', 405],
    ['PROPFIND', MUTATE, 405],
  ])('T50: %s %s is answered with %i and a small JSON body', async (method, path, status) => {
    const { send } = await start();
    const answered = await send(path, { method, body: method === 'POST' || method === 'PUT' ? '{}' : '' });
    expect(answered.status).toBe(status);
    expect(JSON.parse(answered.body)).toEqual({
      code: status === 405 ? 'CLOISTER_METHOD_NOT_ALLOWED' : 'CLOISTER_NOT_FOUND',
      error: expect.any(String),
    });
    expect(answered.headers.allow).toBe(status === 405 ? 'POST' : undefined);
  });

  test('the body of a request for an unknown path is not read, whatever its type and size', async () => {
    const { send } = await start();
    const headers = { 'content-type': 'text/plain' };
    expect((await send('/nothing', { body: Buffer.alloc(2 * MIB), headers })).status).toBe(404);
  });

  test('bytes that are not HTTP are rejected', async () => {
    const { raw } = await start();
    const { socket, closed } = await raw();
    socket.write('nonsense\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('T24: headers over 8 KiB are rejected', async () => {
    const { send } = await start();
    expect((await send(MUTATE, { headers: { 'x-long': 'a'.repeat(LIMITS.maxHeaderBytes) } })).status).toBe(431);
  });
});

describe('connections', () => {
  test.each([
    ['headers', 'POST ', { headersTimeoutMs: 100, requestTimeoutMs: 60_000, timeoutCheckIntervalMs: 50 }],
    [
      'a body',
      `POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
      { headersTimeoutMs: 100, requestTimeoutMs: 200, timeoutCheckIntervalMs: 50 },
    ],
  ])('T24: a connection that is slow to send %s is closed with 408', async (_, beginning, limits) => {
    const { raw } = await start(respond, limits);
    const { socket, closed } = await raw();
    socket.write(beginning);
    expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('T24: a connection without a handshake is closed', async () => {
    const { port } = await start(respond, { handshakeTimeoutMs: 100 });
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'close');
  });

  test('a connection speaks HTTP/1.1 and nothing else', async () => {
    const { raw } = await start();
    const { socket } = await raw({ ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
    await expect(raw({ ALPNProtocols: ['h2'] })).rejects.toThrow(/application protocol/i);
  });

  test('T24: a request with more than 64 headers is rejected', async () => {
    const { raw } = await start();
    const { socket, received } = await raw();
    const filler = Array.from({ length: 70 }, (_, index) => `X-${index}: a\r\n`).join('');
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\n${filler}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
    await until(() => received().startsWith('HTTP/1.1 431'));
    socket.destroy();
  });

  test('a connection is kept longer than an API server keeps it', async () => {
    const { raw } = await start();
    const { socket, received } = await raw();
    const head = `POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${exampleReview.length}\r\n\r\n`;
    const request = head + exampleReview;
    socket.write(request);
    await until(() => count(received(), 'HTTP/1.1 200') === 1);
    socket.write(request);
    await until(() => count(received(), 'HTTP/1.1 200') === 2);
    expect(received()).toContain('Keep-Alive: timeout=120');
    socket.destroy();
  });

  test('a connection is closed after a number of requests', async () => {
    const { send } = await start(respond, { maxRequestsPerConnection: 2 });
    const first = await send(MUTATE, { body: exampleReview });
    const second = await send(MUTATE, { body: exampleReview });
    expect([first.headers.connection, second.headers.connection]).toEqual(['keep-alive', 'close']);
  });

  test.each([
    ['a body that is no review', MUTATE, '{}', 400],
    ['an unknown path', '/nothing', exampleReview, 404],
  ])('a connection is kept for an answered review alone: it closes after %s', async (_, path, body, status) => {
    const { send } = await start();
    const answered = await send(path, { body });
    expect([answered.status, answered.headers.connection]).toEqual([status, 'close']);
    expect((await send(MUTATE, { body: exampleReview })).headers.connection).toBe('keep-alive');
  });
});

describe('stopping', () => {
  test('F7: while the server drains, every answer closes its connection', async () => {
    const { server, send } = await start();
    server.drain();
    const review = await send(MUTATE, { body: exampleReview });
    const nothing = await send('/nothing');
    expect([review.status, review.headers.connection]).toEqual([200, 'close']);
    expect([nothing.status, nothing.headers.connection]).toEqual([404, 'close']);
  });

  test('F7: a review in progress is answered, and no new connection is accepted', async () => {
    const { server, raw } = await start();
    const { socket, closed } = await raw();
    const body = '{"kind":"other"}';
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n{`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stopped = server.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(raw()).rejects.toThrow();
    socket.write(body.slice(1));
    expect(await closed).toMatch(/^HTTP\/1\.1 400 .*\r\nconnection: close\r\n/is);
    await stopped;
  });

  test('F7: a review that never arrives does not prevent the server from closing', async () => {
    const { server, raw } = await start(respond, { requestTimeoutMs: 200, headersTimeoutMs: 100, timeoutCheckIntervalMs: 5_000 });
    const { socket, closed } = await raw();
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close();
    await closed;
  });
});

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}
