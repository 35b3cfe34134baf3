/** One request, as everybody would cut it out of the bytes. */
export interface Framed {
  readonly method: string;
  readonly target: string;
  readonly body: Buffer;
}

// Spaces may be many, says the RFC, and empty lines may come before: nothing can hide there.
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([!-~]+) HTTP\/1\.([01])$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t -~\x80-\xff]*)$/;
const CHUNK_SIZE = /^(0*[0-9A-Fa-f]{1,8})(;[\t -~\x80-\xff]*)?$/;

/**
 * The requests that stand in a stream, up to where two readers might differ: what RFC 9112 leaves to the reader, and what it forbids, is where
 * this one stops. What is answered beyond is smuggled. It shares no code with any server.
 *
 * Source: https://www.rfc-editor.org/rfc/rfc9112
 */
export function requestsIn(stream: Buffer): Framed[] {
  const found: Framed[] = [];
  let rest = stream;
  for (;;) {
    const next = firstIn(rest);
    if (next === undefined) return found;
    found.push(next.request);
    rest = next.rest;
  }
}

function firstIn(stream: Buffer): { readonly request: Framed; readonly rest: Buffer } | undefined {
  const start = stream.findIndex((byte) => byte !== 0x0d && byte !== 0x0a);
  const cursor = makeCursor(stream.subarray(Math.max(0, start)));
  const [, method = '', target = '', minor] = REQUEST_LINE.exec(cursor.line() ?? '') ?? [];
  if (minor === undefined) return undefined;
  const fields = fieldsAt(cursor);
  if (fields === undefined) return undefined;
  const named = (name: string): string[] => fields.filter(([each]) => each === name).map(([, value]) => value);
  const body = bodyAt(cursor, named('content-length'), named('transfer-encoding'), minor === '1');
  return body === undefined ? undefined : { request: { method, target, body }, rest: cursor.rest() };
}

type Cursor = ReturnType<typeof makeCursor>;

function makeCursor(stream: Buffer) {
  let at = 0;
  return {
    /** Up to CRLF; undefined: there is none, or a CR or LF stands alone. */
    line(): string | undefined {
      const end = stream.indexOf('\r\n', at);
      if (end === -1) return undefined;
      const text = stream.toString('latin1', at, end);
      at = end + 2;
      return /[\r\n]/.test(text) ? undefined : text;
    },
    bytes(count: number): Buffer | undefined {
      if (at + count > stream.length) return undefined;
      at += count;
      return stream.subarray(at - count, at);
    },
    rest: (): Buffer => stream.subarray(at),
  };
}

/** With names in small letters. */
function fieldsAt(cursor: Cursor): [name: string, value: string][] | undefined {
  const fields: [string, string][] = [];
  for (;;) {
    const line = cursor.line();
    if (line === '') return fields;
    const [, name, value = ''] = FIELD.exec(line ?? '') ?? [];
    if (name === undefined) return undefined;
    fields.push([name.toLowerCase(), value.replace(/[\t ]+$/, '')]);
  }
}

function bodyAt(cursor: Cursor, lengths: readonly string[], codings: readonly string[], isChunkable: boolean): Buffer | undefined {
  const [length, ...otherLengths] = lengths;
  const [coding, ...otherCodings] = codings;
  if (otherLengths.length > 0 || otherCodings.length > 0) return undefined;
  if (coding !== undefined) return length === undefined && isChunkable && /^chunked$/i.test(coding) ? chunksAt(cursor) : undefined;
  if (length === undefined) return Buffer.alloc(0);
  return /^\d{1,15}$/.test(length) ? cursor.bytes(Number(length)) : undefined;
}

function chunksAt(cursor: Cursor): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (;;) {
    const [, size] = CHUNK_SIZE.exec(cursor.line() ?? '') ?? [];
    if (size === undefined) return undefined;
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) return fieldsAt(cursor) === undefined ? undefined : Buffer.concat(chunks);
    const chunk = cursor.bytes(bytes);
    if (chunk === undefined || cursor.line() !== '') return undefined;
    chunks.push(chunk);
  }
}
