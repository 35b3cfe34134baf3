import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openingsOf, reviewNamed } from '../../fuzz/broken.ts';
import { hellos, TLS_1_1 } from '../../fuzz/connections.ts';
import { hold, repliesIn } from '../../fuzz/talk.ts';
import { type Serving, startServing } from '../../support/serving.ts';

/** The uids of all reviews that were judged, whether or not their answers arrived. */
let judged: unknown[] = [];
let serving: Serving;
beforeAll(async () => {
  serving = await startServing({ args: ['--log-level', 'debug'], onLine: ({ uid }) => uid !== undefined && judged.push(uid) });
});
afterAll(async () => {
  expect(await serving.stop()).toBe(0);
});

const LINE = 'POST /validate/audit/userns HTTP/1.1';
const OUTER = reviewNamed('outer');
const INNER = reviewNamed('inner');
const SIZE = OUTER.length.toString(16);
const LENGTH = `Content-Length: ${OUTER.length}`;
const CHUNKED = 'Transfer-Encoding: chunked';

interface Request {
  readonly line?: string;
  readonly fields?: readonly string[];
  readonly body?: string;
  readonly newline?: string;
}

function request({ line = LINE, fields = [LENGTH], body = OUTER, newline = '\r\n' }: Request = {}): string {
  return [line, 'Host: localhost', 'Content-Type: application/json', ...fields, '', body].join(newline);
}

/** Follows a broken request; a reader that the broken one misleads takes it for a separate request. */
const HIDDEN = request({ fields: [`Content-Length: ${INNER.length}`], body: INNER });

function chunks(size = SIZE, newline = '\r\n'): string {
  return `${size}${newline}${OUTER}${newline}0${newline}${newline}`;
}

/** @returns the status of each answer */
async function exchange(text: string, answers = 1): Promise<number[]> {
  judged = [];
  const reply = await hold(serving, { over: 'tls', pieces: [Buffer.from(text, 'latin1')], ending: 'end', answers });
  expect(reply.isStuck).toBe(false);
  // The log is written a moment later.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return repliesIn(reply.received).map(({ status }) => status);
}

const REFUSED: Readonly<Record<string, string>> = {
  'a length and chunks': request({ fields: [LENGTH, CHUNKED] }),
  'chunks and a length, which end the body at once': request({ fields: [CHUNKED, 'Content-Length: 5'], body: '0\r\n\r\n' }),
  'two lengths': request({ fields: [LENGTH, 'Content-Length: 1'] }),
  'the same length twice': request({ fields: [LENGTH, LENGTH] }),
  'a list of lengths': request({ fields: [`${LENGTH}, ${OUTER.length}`] }),
  'a length with a sign': request({ fields: [`Content-Length: +${OUTER.length}`] }),
  'a length below nothing': request({ fields: ['Content-Length: -1'] }),
  'a length in another base': request({ fields: [`Content-Length: 0x${SIZE}`] }),
  'a length of two words': request({ fields: [`${LENGTH} 1`] }),
  'a length without a number': request({ fields: ['Content-Length:'] }),
  'a length that wraps round': request({ fields: ['Content-Length: 18446744073709551616'] }),
  'a length whose name ends in a space': request({ fields: [`Content-Length : ${OUTER.length}`] }),
  'a length whose name ends in nothing': request({ fields: [`Content-Length\0: ${OUTER.length}`] }),
  'a length on the next line': request({ fields: [`Content-Length:\r\n ${OUTER.length}`] }),
  ...Object.fromEntries(
    [
      'chunked, chunked',
      'chunked, identity',
      'identity',
      'gzip',
      'xchunked',
      '"chunked"',
      'chunked;q=1',
      '\x0bchunked',
      'chunked\0',
      '\r\n chunked',
      '',
    ]
      .concat('gzip, chunked', ',chunked')
      .map((coding) => [`the coding ${JSON.stringify(coding)}`, request({ fields: [`Transfer-Encoding: ${coding}`], body: chunks() })]),
  ),
  'another coding, and an expectation': request({ fields: ['Expect: 200-ok', 'Transfer-Encoding: gzip, chunked'], body: chunks() }),
  'another coding, for an unknown path': request({
    line: 'GET / HTTP/1.1',
    fields: ['Transfer-Encoding: gzip, chunked'],
    body: chunks(),
  }),
  'two codings': request({ fields: [CHUNKED, 'Transfer-Encoding: identity'], body: chunks() }),
  'a coding whose name ends in a space': request({ fields: ['Transfer-Encoding : chunked'], body: chunks() }),
  'a coding behind a bare line feed': request({ fields: [`X: a\n${CHUNKED}`, LENGTH] }),
  'a coding behind a bare carriage return': request({ fields: [`X: a\r${CHUNKED}`, LENGTH] }),
  'chunks in HTTP/1.0': request({ line: LINE.replace('1.1', '1.0'), fields: [CHUNKED], body: chunks() }),
  ...Object.fromEntries(
    [
      '',
      'g',
      '-1',
      '+5',
      `0x${SIZE}`,
      ` ${SIZE}`,
      `${SIZE} `,
      `${SIZE};`,
      `${SIZE}\0`,
      `${SIZE};a\n`,
      `1${'0'.repeat(15)}${SIZE}`,
      'f'.repeat(17),
    ].map((size) => [`a chunk of size ${JSON.stringify(size)}`, request({ fields: [CHUNKED], body: chunks(size) })]),
  ),
  'chunks between bare line feeds': request({ fields: [CHUNKED], body: chunks(SIZE, '\n') }),
  'a chunk that is longer than it says': request({ fields: [CHUNKED], body: chunks((OUTER.length - 1).toString(16)) }),
  'a length after the last chunk': request({ fields: [CHUNKED], body: `${SIZE}\r\n${OUTER}\r\n0\r\nContent-Length: 5\r\n\r\n` }),
  'bare line feeds': request({ newline: '\n' }),
  'bare carriage returns': request({ newline: '\r' }),
  'a line that goes on in the next': request({ fields: ['X: a\r\n b', LENGTH] }),
  'a field without a colon': request({ fields: ['X', LENGTH] }),
  'a field without a name': request({ fields: [': a', LENGTH] }),
  'a field with a NUL in it': request({ fields: ['X: a\0b', LENGTH] }),
  'HTTP/0.9': request({ line: 'POST /validate/audit/userns' }),
  'HTTP/1.0': request({ line: LINE.replace('1.1', '1.0') }),
  'HTTP/2.0': request({ line: LINE.replace('1.1', '2.0') }),
  'HTTP/1.2': request({ line: LINE.replace('1.1', '1.2') }),
  'the preface of HTTP/2': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${request()}`,
  'no host': request().replace('Host: localhost\r\n', ''),
  'no host, and a body that breaks': request({ fields: [CHUNKED], body: chunks('g') }).replace('Host: localhost\r\n', ''),
  'an unknown method': request({ line: LINE.replace('POST', 'PAST') }),
  'an answer': request({ line: 'HTTP/1.1 200 OK' }),
};

describe('R4, T61: requests that other programs might read differently', () => {
  test.each(Object.entries(REFUSED))('a request with %s is rejected, and nothing after it is judged', async (_, text) => {
    expect(await exchange(text + HIDDEN)).toEqual([400]);
    expect(judged).toEqual([]);
  });
});

describe('R4, T24: requests over a limit', () => {
  test.each([
    ['a header of 9 KB', request({ fields: [`X: ${'a'.repeat(9_000)}`, LENGTH] })],
    ['a target of 9 KB', request({ line: `POST /${'a'.repeat(9_000)} HTTP/1.1` })],
    ['65 headers', request({ fields: [...Array.from({ length: 65 }, (_, index) => `X-${index}: a`), LENGTH] })],
    [
      '65 headers, before how long the body is',
      request({ fields: [...Array.from({ length: 65 }, (_, index) => `X-${index}: a`), CHUNKED], body: chunks() }),
    ],
    [
      'a header of 9 KB after the body',
      request({ fields: [CHUNKED], body: `${SIZE}\r\n${OUTER}\r\n0\r\nX: ${'a'.repeat(9_000)}\r\n\r\n` }),
    ],
  ])('%s is rejected with 431, and nothing after it is judged', async (_, text) => {
    expect(await exchange(text + HIDDEN)).toEqual([431]);
    expect(judged).toEqual([]);
  });

  test('a chunk with an extension of 20 KB is rejected', async () => {
    expect(await exchange(request({ fields: [CHUNKED], body: chunks(`${SIZE};${'a'.repeat(20_000)}`) }) + HIDDEN)).toEqual([400]);
    expect(judged).toEqual([]);
  });
});

describe('R4: requests that every program reads alike', () => {
  test.each([
    ['two reviews at once', request() + HIDDEN, [200, 200]],
    ['a body in chunks', request({ fields: [CHUNKED], body: chunks() }) + HIDDEN, [200, 200]],
    ['a chunk with an extension', request({ fields: [CHUNKED], body: chunks(`${SIZE};a=b`) }) + HIDDEN, [200, 200]],
    ['empty lines in front', `\r\n\r\n${request()}${HIDDEN}`, [200, 200]],
    ['an unknown expectation', request({ fields: ['Expect: 200-ok', LENGTH] }) + HIDDEN, [200, 200]],
    ['the expectation 100-continue', request({ fields: ['Expect: 100-continue', LENGTH] }), [200]],
    [
      'an upgrade to another protocol',
      request({ fields: ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMA', LENGTH] }),
      [200],
    ],
    ['a request for an unknown path before it', request({ line: 'POST /nothing HTTP/1.1' }) + HIDDEN, [404]],
    ['a request with another method before it', request({ line: LINE.replace('POST', 'TRACE') }) + HIDDEN, [405]],
    ['a target with a host', request({ line: LINE.replace('/validate', 'https://localhost/validate') }) + HIDDEN, [404]],
  ])('this is answered: %s', async (_, text, statuses) => {
    expect(await exchange(text, statuses.length)).toEqual(statuses);
  });

  test('a request in the body of another is only a body', async () => {
    expect(await exchange(request({ fields: [`Content-Length: ${HIDDEN.length}`], body: HIDDEN }))).toEqual([400]);
    expect(judged).toEqual([]);
  });

  test('after a rejected request nothing more is read from the connection', async () => {
    const refused = request().replace('application/json', 'text/plain');
    const pieces = [refused, HIDDEN].map((text) => Buffer.from(text));
    judged = [];
    const reply = await hold(serving, { over: 'tls', pieces, pause: 200, ending: 'wait' });
    expect(repliesIn(reply.received).map(({ status }) => status)).toEqual([415]);
    expect(judged).toEqual([]);
  });
});

/** @returns the code of each answer, and how many requests each status has in the metric more than before */
async function codesOf(text: string): Promise<readonly [codes: unknown[], counted: Record<string, number>]> {
  const before = await refused();
  const reply = await hold(serving, { over: 'tls', pieces: [Buffer.from(text, 'latin1')], ending: 'end' });
  const codes = repliesIn(reply.received).map(({ body }) => (JSON.parse(body) as { readonly code: unknown }).code);
  const after = await refused();
  const grown = Object.entries(after).map(([status, count]) => [status, count - (before[status] ?? 0)] as const);
  return [codes, Object.fromEntries(grown.filter(([, count]) => count > 0))];
}

async function refused(): Promise<Record<string, number>> {
  const { body } = await serving.ask('/metrics');
  return Object.fromEntries(
    [...body.matchAll(/^cloister_refused_requests_total\{status="(\d+)"\} (\d+)$/gm)].map(([, status = '', count]) => [
      status,
      Number(count),
    ]),
  );
}

describe('R4: one answer with a code, which is counted', () => {
  const BROKEN = { fields: [CHUNKED], body: `${chunks('5')}broken` };
  test.each([
    ['a request without a host', request().replace('Host: localhost\r\n', ''), 'CLOISTER_BAD_HTTP', 400],
    ['a body that breaks', request(BROKEN), 'CLOISTER_BAD_HTTP', 400],
    ['a body that breaks after a rejection', request(BROKEN).replace('json', 'text'), 'CLOISTER_UNSUPPORTED_MEDIA_TYPE', 415],
    ['a body that breaks on an unknown path', request({ ...BROKEN, line: 'POST /nothing HTTP/1.1' }), 'CLOISTER_NOT_FOUND', 404],
    [
      'a body that ends early after a rejection',
      request({ fields: ['Content-Length: 99999'] }).replace('json', 'text'),
      'CLOISTER_UNSUPPORTED_MEDIA_TYPE',
      415,
    ],
    [
      'a body that ends early, of a request that is too large',
      request({ fields: ['Content-Length: 99999999'] }),
      'CLOISTER_BODY_TOO_LARGE',
      413,
    ],
  ])('%s', async (_, text, code, status) => {
    expect(await codesOf(text)).toEqual([[code], { [status]: 1 }]);
  });
});

describe('R4, T62: the TLS port', () => {
  test('bytes that are not TLS are answered with nothing or an alert, and the connection closes', async () => {
    const openings = Object.entries(openingsOf(await hellos()));
    const replies = await Promise.all(
      openings.map(async ([name, opening]) => [name, await hold(serving, { over: 'tcp', pieces: [opening], ending: 'wait' })] as const),
    );
    for (const [name, { received, isStuck }] of replies) {
      expect(isStuck, name).toBe(false);
      expect([undefined, 0x15, 0x16], name).toContain(received[0]);
      expect(received.includes('HTTP/'), name).toBe(false);
    }
  });

  test('TLS 1.0 and 1.1 are rejected because of their version', async () => {
    const socket = connectTls({ port: serving.port, host: '127.0.0.1', servername: 'localhost', ca: serving.ca, ...TLS_1_1 });
    const [error] = await once(socket, 'error').catch((thrown: unknown) => [thrown]);
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  });

  test('a caller that goes away at any moment of a handshake leaves nothing open', async () => {
    const before = serving.openFiles();
    const { modern } = await hellos();
    for (let length = 0; length < modern.length; length += 50) {
      const socket = connect(serving.port, '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      socket.write(modern.subarray(0, length));
      await new Promise((resolve) => setImmediate(resolve));
      if (length % 100 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    await expect.poll(() => serving.openFiles(), { timeout: 30_000 }).toBeLessThanOrEqual(before);
  });
});
