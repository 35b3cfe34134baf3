import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

/**
 * One HTTPS connection that sends one request after the other. Node's own client costs as much CPU time as the server; this one costs so little
 * that the measurement is of the server.
 */
export interface Connection {
  /**
   * Sends the request and waits for the whole answer. After an answer with `connection: close`, the next request opens a new connection, as
   * an API server does.
   */
  send(request: Uint8Array): Promise<Answer>;
  close(): void;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly retryAfterSeconds: number | undefined;
}

export interface Target {
  readonly port: number;
  readonly ca: string;
}

/** @throws when the server cannot be reached, or its certificate is not from the CA */
export async function open(target: Target): Promise<Connection> {
  let exchange = exchangeOver(await handshake(target));
  return {
    async send(request) {
      if (exchange.isOver()) exchange = exchangeOver(await handshake(target));
      return exchange.send(request);
    },
    close: () => exchange.close(),
  };
}

/** The bytes of a POST. */
export function post(path: string, body: Uint8Array): Uint8Array {
  const head = `POST ${path}?timeout=5s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** A full handshake each time: the API server's client resumes no sessions. */
async function handshake({ port, ca }: Target): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  return socket.setNoDelay(true).setEncoding('latin1');
}

function exchangeOver(socket: TLSSocket): Connection & { isOver(): boolean } {
  let waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void } | undefined;
  let received = '';
  let isOver = false;
  socket.on('data', (chunk: string) => {
    received += chunk;
    const end = received.indexOf('\r\n\r\n');
    if (end < 0 || received.length < end + 4 + lengthIn(received)) return;
    const head = received.slice(0, end);
    isOver = /\r\nconnection: *close/i.test(head);
    if (isOver) socket.destroy();
    const retryAfterSeconds = /\r\nretry-after: *(\d+)/i.exec(head)?.[1];
    waiting?.resolve({
      status: Number(head.slice(9, 12)),
      body: received.slice(end + 4),
      retryAfterSeconds: retryAfterSeconds === undefined ? undefined : Number(retryAfterSeconds),
    });
    received = '';
  });
  socket.on('error', (error) => waiting?.reject(error));
  socket.on('close', () => {
    isOver = true;
    waiting?.reject(new Error('the server closed the connection before it answered'));
  });
  return {
    isOver: () => isOver,
    send: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(request);
      }),
    close: () => socket.destroy(),
  };
}

/** An answer to a review always has a content-length. */
function lengthIn(received: string): number {
  const length = /\r\ncontent-length: *(\d+)/i.exec(received)?.[1];
  if (length === undefined) throw new Error(`an answer without content-length: ${received}`);
  return Number(length);
}
