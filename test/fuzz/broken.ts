import fc from 'fast-check';
import { type Edit, edited, editWith, few, rarely } from './cases.ts';
import type { Spoilt, Talk } from './talk.ts';

/** One generated connection. */
export interface Broken {
  readonly said: readonly (Message | Uint8Array)[];
  readonly over: 'tcp' | 'tls';
  readonly edits: readonly Edit[];
  /** Where the whole is cut into pieces that are sent one after the other: parts of it, from 0 to 1. */
  readonly cuts: readonly number[];
  readonly spoilt: Spoilt | undefined;
  readonly ending: Talk['ending'];
}

/** A request, or what passes for one. */
interface Message {
  readonly line: string;
  /** Beside the ones that every review has. */
  readonly fields: readonly string[];
  readonly isOddFirst: boolean;
  readonly framing: 'length' | 'chunked' | 'both' | 'none';
  readonly payload: 'review' | 'hidden' | 'end and hidden' | 'hidden chunk';
  /** How much longer the body is said to be than it is. */
  readonly excess: number;
  /** What stands for the size of a chunk; undefined: its size. */
  readonly size: string | undefined;
  readonly newline: string;
}

const LINE = 'POST /validate/enforce/userns HTTP/1.1';
export const PLAIN: Message = {
  line: LINE,
  fields: [],
  isOddFirst: false,
  framing: 'length',
  payload: 'review',
  excess: 0,
  size: undefined,
  newline: '\r\n',
};

const LINES = [
  ...['POST /mutate/userns HTTP/1.1', 'POST /validate/enforce/userns?timeout=1s HTTP/1.1', 'POST /nothing HTTP/1.1', 'GET / HTTP/1.1'],
  ...['1.0', '0.9', '2.0', '1.2', '1.10', '1', '11', '1.1 ', '1.1\0', '1.1\t', ''].map((version) => LINE.replace('1.1', version)),
  ...['post', 'POST ', ' POST', 'POST\t', 'PO ST', 'PUT', 'TRACE', 'M-SEARCH', 'X'].map((method) => LINE.replace('POST', method)),
  ...['https://a/mutate/userns', '//mutate/userns', '/mutate/userns#x', '/mutate/%75serns', '*', '', `/${'a'.repeat(9_000)}`, '/\xff'].map(
    (target) => `POST ${target} HTTP/1.1`,
  ),
  ...['POST /mutate/userns', 'GET /', 'CONNECT localhost:443 HTTP/1.1', 'PRI * HTTP/2.0', 'OPTIONS * HTTP/1.1', 'HTTP/1.1 200 OK'],
];

const LENGTHS = ['0', '5', '+5', '-1', '0x5', '5, 5', '5 5', '5;', '1e3', '', '18446744073709551616', '9007199254740993', '\t5', '05'];
const CODINGS = [
  ...['chunked', 'Chunked', 'chunked, chunked', 'chunked, identity', 'gzip, chunked', 'identity', 'x', '"chunked"', 'chunked;q=1'],
  ...['', ' chunked ', 'chunked,', ',chunked', '\x0bchunked', 'chunked\x0b', '\r\n chunked', 'xchunked', 'chunked\0'],
];
const FIELDS = [
  ...LENGTHS.map((length) => `Content-Length: ${length}`),
  ...CODINGS.map((coding) => `Transfer-Encoding: ${coding}`),
  ...[
    'Content-Length : 5',
    ' Content-Length: 5',
    'Content-Length\0: 5',
    'Content_Length: 5',
    'Content-Length:5',
    'X: a\nContent-Length: 0',
  ],
  ...['Transfer-Encoding : chunked', '\tTransfer-Encoding: chunked', 'Transfer_Encoding: chunked', 'Transfer-\xc4ncoding: chunked'],
  ...[
    'X: a\nTransfer-Encoding: chunked',
    'X: a\rTransfer-Encoding: chunked',
    'X: a\r\r\nTransfer-Encoding: chunked',
    'X: a\n\nGET / HTTP/1.1',
  ],
  ...['Connection: close', 'Connection: content-length', 'Connection: Transfer-Encoding', 'Keep-Alive: timeout=0', 'TE: trailers, chunked'],
  ...['Trailer: Content-Length', 'Expect: 100-continue', 'Expect: 200-ok', 'Upgrade: websocket\r\nConnection: Upgrade'],
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA',
  ...['Host: b', 'Host:', 'Host: a b', 'Content-Type: text/plain', 'Content-Encoding: gzip', 'X', ': x', 'X Y: z', 'X: \0', 'X: \x7f'],
  ...['X: \xff', 'X: a\r\n b', 'X-Forwarded-For: 127.0.0.1', 'Content-Length: 5\r\nContent-Length: 6', `X: ${'a'.repeat(9_000)}`],
  Array.from({ length: 70 }, (_, index) => `X-${index}: a`).join('\r\n'),
];

const SIZES = [
  ...['', '0', 'g', '-1', '+5', '0x5', '5', ' 5', '5 ', '5\t', '5;', '5;a=b', '5;a="\r\n"', '5;a\n', '5;a\r', '5\0', '00000005', '5_0'],
  ...[
    '7fffffff',
    'ffffffff',
    '100000000',
    'ffffffffffffffff',
    '10000000000000005',
    '5\n',
    '5\r',
    'f'.repeat(100),
    `5;${'a'.repeat(9_000)}`,
  ],
];

const message: fc.Arbitrary<Message> = fc.oneof(
  { arbitrary: fc.constant(PLAIN), weight: 3 },
  {
    arbitrary: fc.record({
      line: fc.oneof({ arbitrary: fc.constant(LINE), weight: 4 }, fc.constantFrom(...LINES)),
      fields: few(fc.constantFrom(...FIELDS), 1, 3),
      isOddFirst: fc.boolean(),
      framing: fc.constantFrom('length', 'length', 'chunked', 'chunked', 'both', 'none'),
      payload: fc.constantFrom('review', 'hidden', 'end and hidden', 'hidden chunk'),
      excess: fc.oneof({ arbitrary: fc.constant(0), weight: 4 }, fc.constantFrom(-1, 1, 2, -300, 300, 9_000_000)),
      size: rarely(fc.constantFrom(...SIZES), 3),
      newline: fc.oneof({ arbitrary: fc.constant('\r\n'), weight: 12 }, fc.constantFrom('\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\r\n\r\n')),
    }),
    weight: 5,
  },
);

const TOKENS = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '0\r\n\r\n',
  '0',
  ' ',
  '\t',
  ':',
  '\0',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
]
  .concat(`${LINE}\r\n`, 'HTTP/1.1', '/', '\xff')
  .map((each) => Buffer.from(each, 'latin1'));

const ending = fc.oneof({ arbitrary: fc.constant<Talk['ending']>('end'), weight: 6 }, fc.constantFrom<Talk['ending']>('reset', 'leave'));
const cuts = few(fc.double({ min: 0, max: 1, noNaN: true }), 2, 4);
const spoilt: fc.Arbitrary<Spoilt> = fc.record({ at: fc.nat(3_000), how: fc.constantFrom('flip', 'insert', 'end', 'reset') });

/** What a client of TLS says first; the greatest and the oldest there are. */
export interface Hellos {
  readonly modern: Buffer;
  readonly old: Buffer;
}

const record = (type: number, version: number, length: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.of(type, version >> 8, version & 0xff, length >> 8, length & 0xff), content]);

/** What is no TLS, or none that is served. */
export function openingsOf({ modern, old }: Hellos): Readonly<Record<string, Buffer>> {
  const junk = Buffer.alloc(300, 0x5a);
  return {
    nothing: Buffer.alloc(0),
    'HTTP in the clear': Buffer.from(`${LINE}\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`),
    'the preface of HTTP/2': Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1'),
    'a ClientHello of TLS 1.1': old,
    'the hello of SSL 2': Buffer.concat([Buffer.from('802e0103010015000000', 'hex'), Buffer.alloc(38, 16)]),
    'a hello of SSL 3': record(0x16, 0x0300, modern.length - 5, modern.subarray(5)),
    'a record longer than records are': record(0x16, 0x0301, 0xffff, junk),
    'a record without content': record(0x16, 0x0301, 0, Buffer.alloc(0)),
    'many records without content': Buffer.concat(Array.from({ length: 200 }, () => record(0x16, 0x0301, 0, Buffer.alloc(0)))),
    'data before a handshake': record(0x17, 0x0303, junk.length, junk),
    'an alert': record(0x15, 0x0301, 2, Buffer.of(2, 40)),
    'a heartbeat': record(0x18, 0x0302, 3, Buffer.of(1, 0x40, 0)),
    'a change of ciphers': record(0x14, 0x0303, 1, Buffer.of(1)),
    'a hello twice': Buffer.concat([modern, modern]),
    'a hello, a byte a record': Buffer.concat([...modern.subarray(5)].map((byte) => record(0x16, 0x0301, 1, Buffer.of(byte)))),
    'a hello that is longer than it is': record(0x16, 0x0301, modern.length, Buffer.concat([modern.subarray(5), junk])),
    'a handshake of 16 MiB': record(0x16, 0x0301, 4, Buffer.from('01ffffff', 'hex')),
    junk,
  };
}

/** Every kind of connection that may come, most of them broken in some way. */
export function brokenConnections(hellos: Hellos): fc.Arbitrary<Broken> {
  const inTls = { said: fc.array(message, { minLength: 1, maxLength: 3 }), over: fc.constant<'tls'>('tls'), cuts, ending };
  const openings = Object.values(openingsOf(hellos));
  return fc.oneof(
    { arbitrary: fc.record({ ...inTls, edits: few(editWith(TOKENS), 4, 3), spoilt: fc.constant(undefined) }), weight: 6 },
    { arbitrary: fc.record({ ...inTls, edits: fc.constant([]), spoilt }), weight: 2 },
    {
      arbitrary: fc.record({
        said: fc.oneof(
          fc.constant([hellos.modern]),
          fc.constantFrom(...openings).map((each) => [each]),
        ),
        over: fc.constant<'tcp'>('tcp'),
        edits: few(editWith([...TOKENS, hellos.old]), 1, 3),
        cuts,
        spoilt: fc.constant(undefined),
        ending,
      }),
      weight: 3,
    },
  );
}

/** Whether there is nothing about it that anybody could take amiss: all its reviews are to be answered. */
export function isPlain({ said, edits, spoilt: spoiling, ending: last, over }: Broken): boolean {
  return over === 'tls' && said.every((each) => each === PLAIN) && edits.length === 0 && spoiling === undefined && last === 'end';
}

/** @param name the uids of its reviews begin with it */
export function bytesOfConnection({ said, edits }: Broken, name: string): Buffer {
  let reviews = 0;
  const uid = (): string => {
    reviews += 1;
    return `${name}-${reviews}`;
  };
  const parts = said.map((each) => (each instanceof Uint8Array ? Buffer.from(each) : Buffer.from(requestOf(each, uid), 'latin1')));
  return edited(Buffer.concat(parts), edits);
}

export function piecesOf(bytes: Buffer, { cuts: where }: Pick<Broken, 'cuts'>): Buffer[] {
  const places = [0, ...where.map((each) => Math.floor(each * bytes.length)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

/** A review of a new pod with the given uid. */
export const reviewNamed = (uid: string): string =>
  JSON.stringify({
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      object: { metadata: { name: 'w' }, spec: { containers: [{ name: 'dev', image: 'a' }] } },
    },
  });

function requestOf({ line, fields, isOddFirst, framing, payload, excess, size, newline }: Message, uid: () => string): string {
  const content = payloadOf(payload, uid);
  const length = `Content-Length: ${Math.max(0, content.length + excess)}`;
  const chunked = 'Transfer-Encoding: chunked';
  const framed = { length: [length], chunked: [chunked], both: [length, chunked], none: [] }[framing];
  const usual = ['Host: localhost', 'Content-Type: application/json', ...framed];
  const head = [line, ...(isOddFirst ? [...fields, ...usual] : [...usual, ...fields]), '', ''].join(newline);
  const isChunked = framing === 'chunked' || framing === 'both';
  if (!isChunked) return head + content;
  return `${head}${size ?? Math.max(0, content.length + excess).toString(16)}${newline}${content}${newline}0${newline}${newline}`;
}

function payloadOf(payload: Message['payload'], uid: () => string): string {
  const review = reviewNamed(uid());
  if (payload === 'review') return review;
  const body = reviewNamed(uid());
  const hidden = `${LINE}\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  switch (payload) {
    case 'hidden':
      return hidden;
    case 'end and hidden':
      return `0\r\n\r\n${hidden}`;
    case 'hidden chunk':
      return `${review.length.toString(16)}\r\n${review}\r\n0\r\n\r\n${hidden}`;
    default:
      return payload satisfies never;
  }
}
