import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CLOSE_REASONS } from '../../../src/core/request-record.ts';
import { LIMITS, type Limits } from '../../../src/webhook/http/limits.ts';
import type { Respond } from '../../../src/webhook/review/respond.ts';
import { authority, exampleReview, type SendOptions, send, startServer, until } from '../../support/webhook-server.ts';

/** What one caller that can reach the port does to all others, by its connections alone. Callers have loopback addresses of their own. */

const MUTATE = '/mutate/userns';
const HEAD = `POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;
const REVIEW = `${HEAD}Content-Length: ${exampleReview.length}\r\n\r\n${exampleReview}`;
const [ATTACKER, API_SERVER, SECOND_ATTACKER] = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const;
const record = { phase: 'mutate', mode: 'enforce', profile: 'userns', outcome: 'allowed', counts: [], exempted: [] } as const;
const answerOf = (body: string): Respond => {
  const response = { status: 200, body, bytes: Buffer.byteLength(body), record };
  return () => response;
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function start(limits: Partial<Limits> = {}, respond = answerOf('{}')) {
  const server = await startServer(respond, limits);
  cleanups.push(server.stop);
  /** A TCP connection that says nothing. */
  async function stall(localAddress: string = ATTACKER): Promise<Socket> {
    const socket = connect({ port: server.port, host: '127.0.0.1', localAddress });
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  }
  return {
    ...server,
    /** A connection from the attacker's address, over TLS; it never reads unless it is asked to. */
    async attack(localAddress: string = ATTACKER) {
      const { socket, received, closed } = await server.raw({ localAddress } as ConnectionOptions);
      socket.on('error', () => {});
      cleanups.push(() => socket.destroy());
      return { socket, received, closed };
    },
    stall,
    /** A connection that begins a handshake, and never completes it. */
    async begin(localAddress: string = ATTACKER): Promise<Socket> {
      const socket = await stall(localAddress);
      socket.resume().write(await clientHello());
      return socket;
    },
    /** One review over a new connection, as an API server sends it. */
    review: (options: SendOptions = {}) =>
      send({
        ...{ port: server.port, path: MUTATE, ca: authority.certificate, servername: 'localhost', agent: false },
        ...{ body: exampleReview, localAddress: API_SERVER, ...options },
      }),
    /** How many connections were closed early, by reason. */
    async closed() {
      const text = await server.metrics.expose();
      const count = (reason: string) =>
        Number(new RegExp(`^cloister_closed_connections_total{port="reviews",reason="${reason}"} (\\d+)$`, 'm').exec(text)?.[1]);
      return Object.fromEntries(CLOSE_REASONS.map((reason) => [reason, count(reason)] as const).filter(([, found]) => found !== 0));
    },
  };
}

/** The first message of a TLS client. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    connectTls({ socket: wire, servername: 'localhost' }).on('error', () => {});
  });
}

describe('more connections than the limit', () => {
  test('T24, F16: connections that keep still after an answered review are closed for those of an API server', async () => {
    const { attack, review, closed } = await start({ maxConnections: 8 });
    const idle = await Promise.all(Array.from({ length: 8 }, () => attack()));
    for (const { socket } of idle) socket.write(REVIEW);
    await until(() => idle.every(({ received }) => received().startsWith('HTTP/1.1 200')));
    for (let sent = 0; sent < 3; sent += 1) expect((await review()).status).toBe(200);
    expect(idle.filter(({ socket }) => socket.destroyed || socket.readableEnded).length).toBeGreaterThan(0);
    expect((await closed()).full).toBeGreaterThan(0);
  });

  test('T24, F16: TCP connections without a handshake are closed for those of an API server, however fast they come again', async () => {
    const { stall, review } = await start({ maxConnections: 8 });
    let isOver = false;
    const attackers = Array.from({ length: 12 }, async () => {
      while (!isOver) {
        const socket = await stall();
        if (!socket.destroyed) await Promise.race([once(socket, 'close'), new Promise((resolve) => setTimeout(resolve, 500))]);
      }
    });
    const answered = [];
    for (let sent = 0; sent < 20; sent += 1) answered.push((await review()).status);
    isOver = true;
    await Promise.all(attackers);
    expect(answered).toEqual(Array(20).fill(200));
  });

  test.each([
    ['the connections of an API server are kept while the attacker has more', API_SERVER],
    ['where all callers share an address, connections that sent no review are closed first', ATTACKER],
  ])('%s', async (_, address) => {
    const { attack, stall, closed } = await start({ maxConnections: 8 });
    const kept = await attack(address);
    kept.socket.write(REVIEW);
    await until(() => kept.received().startsWith('HTTP/1.1 200'));
    for (let opened = 0; opened < 20; opened += 1) await stall();
    await until(async () => ((await closed()).full ?? 0) >= 13);
    kept.socket.write(REVIEW);
    await until(() => kept.received().split('HTTP/1.1 200').length === 3);
  });

  test('a connection with a review under way is not closed for another', async () => {
    const { attack, stall, closed, server } = await start({ maxConnections: 4 });
    const busy = await attack();
    busy.socket.write(REVIEW.slice(0, -1));
    await until(() => server.bodyBytes() > 0);
    for (let opened = 0; opened < 12; opened += 1) await stall();
    await until(async () => ((await closed()).full ?? 0) >= 9);
    busy.socket.write(REVIEW.slice(-1));
    await until(() => busy.received().startsWith('HTTP/1.1 200'));
  });

  test('T24: a busy connection of the address that has the most is closed for that of another address, and not for its own', async () => {
    const { attack, stall, review, closed, server } = await start({ maxConnections: 4 });
    const kept = await attack(API_SERVER);
    kept.socket.write(REVIEW);
    await until(() => kept.received().startsWith('HTTP/1.1 200'));
    const busy = [await attack(), await attack(), await attack()];
    for (const { socket } of busy) socket.write(REVIEW.slice(0, -1));
    await until(() => server.bodyBytes() >= 3 * (exampleReview.length - 1));
    const own = await stall();
    await until(() => own.destroyed);
    expect(busy.filter(({ socket }) => socket.destroyed)).toEqual([]);
    expect((await review()).status).toBe(200);
    await until(() => busy.filter(({ socket }) => socket.destroyed).length === 1);
    expect(kept.socket.destroyed).toBe(false);
    expect((await closed()).full).toBe(2);
  });

  test.each([
    ['after an answered review', true],
    ['before any review', false],
  ])('T24: of the connections that a caller keeps idle %s, the oldest is closed before the port is full', async (_, isProven) => {
    const { attack, closed } = await start({ maxIdleOfNetwork: 4 });
    const open = async (address: string) => {
      const connection = await attack(address);
      if (!isProven) return connection;
      connection.socket.write(REVIEW);
      await until(() => connection.received().startsWith('HTTP/1.1 200'));
      return connection;
    };
    const kept = await open(API_SERVER);
    const idle = [await open(ATTACKER)];
    for (let opened = 1; opened < 6; opened += 1) idle.push(await open(ATTACKER));
    await until(() => idle.filter(({ socket }) => socket.destroyed).length === 2);
    expect(idle.slice(0, 2).map(({ socket }) => socket.destroyed)).toEqual([true, true]);
    expect(kept.socket.destroyed).toBe(false);
    expect(await closed()).toEqual({ idle: 2 });
  });

  test('a connection whose request was rejected is closed for another, although its body is still to come', async () => {
    const { attack, review } = await start({ maxConnections: 4 });
    const rejected = await Promise.all(Array.from({ length: 4 }, () => attack()));
    for (const { socket } of rejected) socket.write(`${HEAD.replace('json', 'text')}Content-Length: 9\r\n\r\n`);
    await until(() => rejected.every(({ received }) => received().startsWith('HTTP/1.1 415')));
    expect((await review()).status).toBe(200);
  });
});

describe('handshakes', () => {
  test('T24: one address has half of the places; another one does not wait for it', async () => {
    const { begin, review, closed } = await start({ maxHandshakes: 4, contendedHandshakeMs: 600_000 });
    const begun = await Promise.all(Array.from({ length: 20 }, () => begin()));
    await until(() => begun.filter(({ bytesRead }) => bytesRead > 0).length === 2);
    for (let sent = 0; sent < 5; sent += 1) expect((await review()).status).toBe(200);
    expect(begun.filter(({ bytesRead }) => bytesRead > 0).length).toBe(2);
    expect(await closed()).toEqual({});
  });

  test('T24: two addresses that take all places give way to a third one, for each of its handshakes', async () => {
    const { begin, review, closed } = await start({ maxHandshakes: 8, contendedHandshakeMs: 600_000, unevenHandshakeMs: 40 });
    for (const address of [ATTACKER, SECOND_ATTACKER]) await Promise.all(Array.from({ length: 20 }, () => begin(address)));
    expect((await Promise.all(Array.from({ length: 3 }, () => review()))).map(({ status }) => status)).toEqual([200, 200, 200]);
    // Three of them at most: an address that has as many handshakes as the others has no right to more.
    expect((await closed()).handshakes).toBeLessThanOrEqual(3);
    for (let sent = 0; sent < 10; sent += 1) expect((await review()).status).toBe(200);
  });

  test('addresses with as many handshakes as each other do not lose them to each other early', async () => {
    const { begin, closed } = await start({ maxHandshakes: 4, contendedHandshakeMs: 600_000, unevenHandshakeMs: 10 });
    const begun = await Promise.all([ATTACKER, SECOND_ATTACKER, ATTACKER, SECOND_ATTACKER].map((address) => begin(address)));
    await until(() => begun.every(({ bytesRead }) => bytesRead > 0));
    for (const address of [ATTACKER, SECOND_ATTACKER, ATTACKER]) await begin(address);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await closed()).toEqual({});
  });

  test.each([
    ['silent connections', 0],
    ['connections that send a part of their first message', 100],
    ['connections that send a part of their first message in a record of its own', 'record'],
  ] as const)('T24: %s take no place, also where all callers share an address', async (_, bytes) => {
    const { stall, review, closed } = await start({ maxHandshakes: 2, contendedHandshakeMs: 600_000 });
    const hello = await clientHello();
    const sent = bytes === 'record' ? Buffer.of(22, 3, 1, 0, 1, 1) : hello.subarray(0, bytes);
    for (let opened = 0; opened < 20; opened += 1) (await stall()).write(sent);
    expect((await review({ localAddress: ATTACKER })).status).toBe(200);
    expect(await closed()).toEqual({});
  });

  test('T24: each handshake that takes long is closed at its time, however many follow it', async () => {
    const { stall, closed } = await start({ maxHandshakes: 2, contendedHandshakeMs: 100 });
    const hello = await clientHello();
    for (let opened = 0; opened < 12; opened += 1) (await stall()).resume().write(hello);
    // One at a time: after the last but one, no connection waits.
    await until(async () => (await closed()).handshakes === 11);
  });

  test('a slow handshake that is in the way of no other stays, and is not looked at again and again', async () => {
    const { begin, closed } = await start({ maxHandshakes: 4, contendedHandshakeMs: 300 });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const slow = await begin();
    await until(() => slow.bytesRead > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (let opened = 0; opened < 3; opened += 1) await begin(API_SERVER);
    await until(async () => ((await closed()).handshakes ?? 0) >= 1);
    expect(slow.destroyed).toBe(false);
    expect(timers.mock.calls.filter(([, ms]) => ms === LIMITS.unevenHandshakeMs / 4).length).toBeLessThan(40);
    timers.mockRestore();
  });

  test('T24: where all callers share an address, handshakes that take long are closed for those that wait', async () => {
    const { begin, review, closed } = await start({ maxHandshakes: 4, contendedHandshakeMs: 50 });
    const begun = await Promise.all(Array.from({ length: 20 }, () => begin()));
    expect((await review({ localAddress: ATTACKER })).status).toBe(200);
    await until(() => begun.filter(({ destroyed }) => destroyed).length > 2);
    expect((await closed()).handshakes).toBeGreaterThan(2);
  });

  test('a slow handshake is completed while no other connection waits', async () => {
    const { begin, review, closed } = await start({ maxHandshakes: 2, contendedHandshakeMs: 1 });
    const slow = await begin();
    await until(() => slow.bytesRead > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([(await review()).status, slow.destroyed, await closed()]).toEqual([200, false, {}]);
  });

  test.each([
    ['a first message in a few pieces is answered', 40, true],
    ['a client that sends its first message byte by byte is disconnected', 1, false],
  ])('%s', async (_, size, isAnswered) => {
    const { stall } = await start();
    const socket = (await stall()).resume().setNoDelay(true);
    const hello = await clientHello();
    for (let at = 0; at < hello.length && !socket.destroyed; at += size) {
      socket.write(hello.subarray(at, at + size));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await until(() => socket.bytesRead > 0 || socket.destroyed);
    expect(socket.bytesRead > 0).toBe(isAnswered);
  });

  test('a client that leaves before its first message is complete is forgotten', async () => {
    const { stall, server } = await start();
    const socket = await stall();
    socket.write((await clientHello()).subarray(0, 100));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.end();
    await server.close();
  });

  test('a client that sends more than the first record before its turn is disconnected', async () => {
    const { stall, begin } = await start({ maxHandshakes: 2, contendedHandshakeMs: 600_000 });
    const first = await begin();
    await until(() => first.bytesRead > 0);
    const socket = await stall();
    const closed = once(socket, 'close');
    socket.resume().write(Buffer.concat([await clientHello(), Buffer.alloc(40_000)]));
    await closed;
  });

  test('a client that speaks no TLS is disconnected', async () => {
    const { stall } = await start({ handshakeTimeoutMs: 600_000 });
    const socket = await stall();
    const closed = once(socket, 'close');
    socket.resume().write('GET / HTTP/1.1\r\n\r\n');
    await closed;
  });

  test('a connection that waits for its turn when the server stops is still answered', async () => {
    const { begin, stall, review, stop } = await start({ maxHandshakes: 1, contendedHandshakeMs: 300 });
    const slow = await begin();
    await until(() => slow.bytesRead > 0);
    const waiting = review();
    // The server has accepted the connection of the review once it has accepted a later one.
    const later = await stall();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stopping = stop();
    later.destroy();
    expect((await waiting).status).toBe(200);
    await stopping;
  });
});

describe('requests that are not answered yet', () => {
  test('T24: a connection with more than four of them is closed, and what was read with them is not judged', async () => {
    let judged = 0;
    const { attack, closed, review } = await start({}, (...args) => {
      judged += 1;
      return answerOf('{}')(...args);
    });
    const { socket, closed: isClosed } = await attack();
    socket.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(1_000));
    await isClosed;
    const reviews = await attack();
    reviews.socket.write(REVIEW.slice(0, -1));
    reviews.socket.write(REVIEW.slice(-1) + REVIEW.repeat(20));
    await reviews.closed;
    expect(judged).toBeLessThanOrEqual(5);
    expect((await closed()).pipelined).toBe(2);
    expect((await review()).status).toBe(200);
  });

  test('four requests at a time are answered, again and again', async () => {
    const { attack, closed } = await start();
    const { socket, received } = await attack();
    for (let sent = 4; sent <= 20; sent += 4) {
      socket.write(REVIEW.repeat(4));
      await until(() => received().split('HTTP/1.1 200').length === sent + 1);
    }
    expect(await closed()).toEqual({});
  });
});

describe('a body in small pieces', () => {
  const chunked = (chunks: string) => `${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
  const ONE_BYTE = '1\r\n \r\n';

  test('a few small pieces are accepted', async () => {
    const { attack } = await start();
    const { socket, received } = await attack();
    socket.write(chunked(`${ONE_BYTE.repeat(60)}0\r\n\r\n`));
    await until(() => received().startsWith('HTTP/1.1 200'));
  });

  test('T24, F10: a quarter of a million chunks of one byte are rejected early, and hold no memory', async () => {
    const { attack, server, metrics, review } = await start();
    const attackers = await Promise.all(Array.from({ length: 8 }, () => attack()));
    let most = 0;
    for (const { socket } of attackers) socket.write(chunked(ONE_BYTE.repeat(250_000)));
    const watch = setInterval(() => (most = Math.max(most, server.bodyBytes())), 1);
    await Promise.all(attackers.map((attacker) => attacker.closed));
    clearInterval(watch);
    expect(await metrics.expose()).toContain('cloister_refused_requests_total{status="413"} 8');
    expect(most).toBeLessThan(8 * 64 * 1024);
    await until(() => server.bodyBytes() === 0);
    expect((await review()).status).toBe(200);
  });

  test('T24, F10: chunks of one byte behind another coding are read no further than others', async () => {
    const { attack, review } = await start();
    const attackers = await Promise.all(Array.from({ length: 8 }, () => attack()));
    const text = `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n${ONE_BYTE.repeat(250_000)}`;
    for (const { socket } of attackers) socket.write(text);
    await Promise.all(attackers.map((attacker) => attacker.closed));
    expect((await review()).status).toBe(200);
  });

  test('TLS records of one byte are rejected too', async () => {
    const { attack } = await start();
    const { socket, received } = await attack();
    socket.setNoDelay(true);
    socket.write(`${HEAD}Content-Length: 5000\r\n\r\n`);
    for (let sent = 0; sent < 200 && !received().startsWith('HTTP'); sent += 1) {
      await new Promise((resolve) => socket.write(' ', resolve));
      await new Promise(setImmediate);
    }
    await until(() => received().includes('CLOISTER_TOO_MANY_PIECES'));
  });

  test('T24: after the rejection, only a few more of them are read', async () => {
    const { attack } = await start();
    const { socket, received } = await attack();
    socket.setNoDelay(true);
    socket.write(`${HEAD}Content-Length: 5000\r\n\r\n`);
    let sent = 0;
    let last = Number.POSITIVE_INFINITY;
    for (; sent < last && !socket.destroyed; sent += 1) {
      await new Promise((resolve) => socket.write(' ', resolve));
      // The server reads each piece alone.
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (received().startsWith('HTTP/1.1 413')) last = Math.min(last, sent + 200);
    }
    expect(sent).toBeLessThan(last);
  });

  test('after a rejection not more than a few MiB are read', async () => {
    const { attack } = await start();
    const { socket, closed } = await attack();
    socket.write(chunked(''));
    const piece = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const sent = setInterval(() => socket.write(piece.repeat(16)), 5);
    await closed;
    clearInterval(sent);
    expect(socket.bytesWritten).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('reviews that take long to judge', () => {
  const slow = (judged: string[]): Respond => {
    return (_, body) => {
      const end = performance.now() + (body.length > LIMITS.smallBodyBytes ? 10 : 0);
      while (performance.now() < end);
      judged.push(Buffer.from(body).toString().trim());
      return answerOf('{}')('', body);
    };
  };
  const reviewOf = (name: string, bytes: number): string => `${HEAD}Content-Length: ${bytes}\r\n\r\n${name.padEnd(bytes)}`;
  const LONG = LIMITS.smallBodyBytes + 1;

  test.each([
    ['a small review is judged between two of them', 10],
    ['callers take turns', LONG],
  ])('T24: %s', async (_, bytes) => {
    const judged: string[] = [];
    const { attack } = await start({}, slow(judged));
    const attackers = await Promise.all(Array.from({ length: 8 }, () => attack()));
    const other = await attack(API_SERVER);
    // The server shares the thread: it finds all of them at once.
    for (const { socket } of attackers) socket.write(reviewOf('attacker', LONG));
    other.socket.write(reviewOf('other', bytes));
    await until(() => judged.length === 9);
    expect(judged.indexOf('other')).toBeLessThan(4);
  });

  test('a review is not judged if its caller leaves before its turn', async () => {
    const judged: string[] = [];
    const { attack, server } = await start({ turnMs: 0 }, slow(judged));
    const [first, second, leaving] = await Promise.all([attack(), attack(API_SERVER), attack()]);
    first.socket.write(reviewOf('first', LONG));
    second.socket.write(reviewOf('second', LONG));
    leaving.socket.write(reviewOf('leaving', LONG));
    leaving.socket.destroy();
    await until(() => judged.length >= 2 && server.bodyBytes() === 0);
    expect(judged.toSorted()).toEqual(['first', 'second']);
  });
});

describe('answers that their callers do not read', () => {
  /** More than the buffers of both sockets take. */
  const big = answerOf(' '.repeat(16 * 1024 * 1024));

  test('T24, F10: the connection is closed after a time, and the answer is no longer held', async () => {
    const { attack, closed } = await start({ answers: { bytes: 1024 * 1024 * 1024, timeoutMs: 200 } }, big);
    const { socket } = await attack();
    socket.pause();
    socket.write(REVIEW);
    await until(async () => closed().then(({ unread }) => unread === 1));
  });

  test('the connection that has not read for the longest time is closed when all such answers hold too many bytes', async () => {
    const { attack, closed, review } = await start({ answers: { bytes: 40 * 1024 * 1024, timeoutMs: 60_000 } }, big);
    const attackers = await Promise.all(Array.from({ length: 4 }, () => attack()));
    for (const { socket } of attackers) {
      socket.pause();
      socket.write(REVIEW);
    }
    await until(async () => closed().then(({ unread }) => unread === 2));
    expect((await review()).body).toHaveLength(16 * 1024 * 1024);
  });
});
