import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { loadConfig } from '../../src/config.ts';
import { makeRespond, type Respond } from '../../src/webhook/respond.ts';
import { LIMITS, type Limits } from '../../src/webhook/server.ts';
import { exampleReview, startServer, until } from '../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });

const MUTATE = '/mutate/userns';
const MIB = 1024 * 1024;

/** Answers with the size of what it was given. */
const measure: Respond = (_path, given) => {
  const body = JSON.stringify({ bytes: given.length });
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
  test('a pod about to be made is answered with a patch', async () => {
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
  test('T21: an empty one is no review', async () => {
    const { send } = await start();
    expect((await send(MUTATE)).status).toBe(400);
  });

  test.each([
    ['a byte below the limit', LIMITS.body - 1],
    ['the limit', LIMITS.body],
  ])('T21: %s is read whole', async (_, bytes) => {
    const { send } = await start(measure);
    const { status, body } = await send(MUTATE, { body: Buffer.alloc(bytes, ' ') });
    expect([status, body]).toEqual([200, `{"bytes":${bytes}}`]);
  });

  test('T21: a byte over the limit is refused, whether announced or not', async () => {
    const { send } = await start(measure);
    const announced = await send(MUTATE, { body: Buffer.alloc(LIMITS.body + 1, ' ') });
    const chunks = [...Array.from({ length: 8 }, () => Buffer.alloc(MIB, ' ')), Buffer.alloc(1)];
    const chunked = await send(MUTATE, { body: chunks });
    expect([announced.status, chunked.status]).toEqual([413, 413]);
    expect([announced.headers.connection, chunked.headers.connection]).toEqual(['close', 'close']);
  });

  test('T21, T24: whoever announces too much is answered before sending it, and cut when it never comes', async () => {
    const { raw } = await start(measure, { requestTimeout: 300, headersTimeout: 200, checkingInterval: 50 });
    const { socket, received, closed } = await raw();
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n`);
    await until(() => received().startsWith('HTTP/1.1 413'));
    await closed;
  });

  test('whoever is still sending too much when the answer comes can read it: nothing is reset', async () => {
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
  ])('T48: of type "%s" are answered with %i', async (type, status) => {
    const { send } = await start();
    expect((await send(MUTATE, { body: exampleReview, headers: { 'content-type': type } })).status).toBe(status);
  });

  test('T48: compressed ones are refused', async () => {
    const { send } = await start();
    expect((await send(MUTATE, { body: exampleReview, headers: { 'content-encoding': 'gzip' } })).status).toBe(415);
  });

  test('T24: a caller that goes away in the middle of one leaves nothing behind', async () => {
    const { raw, send, metrics } = await start();
    const { socket } = await raw();
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`);
    await until(async () => (await metrics.expose()).includes('cloister_requests_in_flight 1'));
    socket.destroy();
    await until(async () => (await metrics.expose()).includes('cloister_requests_in_flight 0'));
    expect((await send(MUTATE, { body: exampleReview })).status).toBe(200);
  });
});

describe('everything else', () => {
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
    expect(JSON.parse(answered.body)).toEqual({ error: expect.any(String) });
    expect(answered.headers.allow).toBe(status === 405 ? 'POST' : undefined);
  });

  test('a body of any type and size is not read where there is nothing', async () => {
    const { send } = await start();
    const headers = { 'content-type': 'text/plain' };
    expect((await send('/nothing', { body: Buffer.alloc(2 * MIB), headers })).status).toBe(404);
  });

  test('what is no HTTP is refused', async () => {
    const { raw } = await start();
    const { socket, closed } = await raw();
    socket.write('nonsense\r\n\r\n');
    expect(await closed).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('T24: headers over 8 KiB are refused', async () => {
    const { send } = await start();
    expect((await send(MUTATE, { headers: { 'x-long': 'a'.repeat(LIMITS.headers) } })).status).toBe(431);
  });
});

describe('connections', () => {
  test.each([
    ['headers', 'POST ', { headersTimeout: 100, requestTimeout: 60_000, checkingInterval: 50 }],
    [
      'a body',
      `POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
      { headersTimeout: 100, requestTimeout: 200, checkingInterval: 50 },
    ],
  ])('T24: that are slow to send %s are closed with 408', async (_, beginning, limits) => {
    const { raw } = await start(respond, limits);
    const { socket, closed } = await raw();
    socket.write(beginning);
    expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('T24: that never shake hands are closed', async () => {
    const { port } = await start(respond, { handshakeTimeout: 100 });
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'close');
  });

  test('speak HTTP/1.1 and nothing else', async () => {
    const { raw } = await start();
    const { socket } = await raw({ ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
    await expect(raw({ ALPNProtocols: ['h2'] })).rejects.toThrow(/application protocol/i);
  });

  test('T24: of more than 64 headers a request are not answered', async () => {
    const { raw } = await start();
    const { socket, received } = await raw();
    const filler = Array.from({ length: 70 }, (_, index) => `X-${index}: a\r\n`).join('');
    socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\n${filler}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
    await until(() => received().startsWith('HTTP/1.1 431'));
    socket.destroy();
  });

  test('are kept, longer than an API server keeps them', async () => {
    const { raw } = await start();
    const { socket, received } = await raw();
    const request = `POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`;
    socket.write(request);
    await until(() => count(received(), 'HTTP/1.1 400') === 1);
    socket.write(request);
    await until(() => count(received(), 'HTTP/1.1 400') === 2);
    expect(received()).toContain('Keep-Alive: timeout=120');
    socket.destroy();
  });

  test('are made anew after a number of requests', async () => {
    const { send } = await start(respond, { requestsPerConnection: 2 });
    const first = await send(MUTATE, { body: '{}' });
    const second = await send(MUTATE, { body: '{}' });
    expect([first.headers.connection, second.headers.connection]).toEqual(['keep-alive', 'close']);
  });

  test('T24, F16: beyond the most that are held are not', async () => {
    const { raw } = await start(respond, { connections: 1 });
    const { socket } = await raw();
    await expect(raw()).rejects.toThrow();
    socket.destroy();
  });
});

describe('stopping', () => {
  test('F7: while draining, every answer tells its caller to connect anew', async () => {
    const { server, send } = await start();
    server.drain();
    const review = await send(MUTATE, { body: exampleReview });
    const nothing = await send('/nothing');
    expect([review.status, review.headers.connection]).toEqual([200, 'close']);
    expect([nothing.status, nothing.headers.connection]).toEqual([404, 'close']);
  });

  test('F7: a review under way is answered, and nobody new is let in', async () => {
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

  test('F7: a review that never arrives does not keep the server', async () => {
    const { server, raw } = await start(respond, { requestTimeout: 200, headersTimeout: 100, checkingInterval: 5_000 });
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
