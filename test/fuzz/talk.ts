import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

/** One connection, as it is led. */
export interface Talk {
  /** `tcp`: what is said are the bytes on the wire; `tls`: what is said goes through TLS, if the handshake gets that far. */
  readonly over: 'tcp' | 'tls';
  /** What is written one after the other. */
  readonly pieces: readonly Buffer[];
  /** Milliseconds between them. */
  readonly pause?: number | undefined;
  /** What happens to the bytes that TLS makes of it. */
  readonly spoilt?: Spoilt | undefined;
  /**
   * What comes last. `end`: no more is said, and the answers are read; `reset`: the connection is cut; `leave`: the connection is closed, and
   * nothing more is read; `wait`: the other side is to close it.
   */
  readonly ending: 'end' | 'reset' | 'leave' | 'wait';
  /** So many answers are waited for before the end. */
  readonly answers?: number | undefined;
  readonly tls?: ConnectionOptions | undefined;
}

export interface Spoilt {
  /** After so many bytes. */
  readonly at: number;
  readonly how: 'flip' | 'insert' | 'end' | 'reset';
}

export interface Heard {
  readonly received: Buffer;
  /** How the connection broke, in the words of Node; undefined: it did not. */
  readonly error: string | undefined;
  /** Whether a wait for the other side timed out. */
  readonly isStuck: boolean;
}

export interface Address {
  readonly port: number;
  readonly ca: Buffer;
}

/** Longer than the server gives any connection that does not keep to HTTP; busy machines are slow. */
const PATIENCE_MS = 60_000;
const CLOSING_MS = 100;

/** Leads one connection to its end. */
export function hold({ port, ca }: Address, { over, pieces, pause = 0, spoilt, ending, answers = 0, tls }: Talk): Promise<Heard> {
  const { promise, resolve } = Promise.withResolvers<Heard>();
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const wire = spoilt === undefined ? socket : spoil(socket, spoilt);
  const channel = over === 'tcp' ? socket : connectTls({ servername: 'localhost', ca, ...tls, socket: wire });
  const chunks: Buffer[] = [];
  let error: string | undefined;
  let isStuck = false;
  let isSaid = false;
  const impatience = setTimeout(() => {
    isStuck = true;
    finish();
  }, PATIENCE_MS);
  socket.on('error', () => channel.destroy());
  // TLS does not always hear of the end of what is below it.
  socket.once('close', () => setTimeout(finish, CLOSING_MS));
  channel.once('close', finish);
  channel.on('error', (each: NodeJS.ErrnoException) => {
    error = each.code ?? each.message;
  });
  channel.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    endIfAnswered();
  });
  channel.once(over === 'tcp' ? 'connect' : 'secureConnect', async () => {
    for (const piece of pieces) {
      if (!channel.writable) break;
      channel.write(piece);
      await sleep(pause);
    }
    isSaid = true;
    if (ending === 'reset') socket.resetAndDestroy();
    // A reset waits for what is still to be written, which may be for ever.
    if (ending === 'reset' || ending === 'leave') setTimeout(finish, CLOSING_MS);
    endIfAnswered();
  });
  return promise;

  function endIfAnswered(): void {
    if (!isSaid || ending !== 'end' || !channel.writable) return;
    if (answers === 0 || repliesIn(Buffer.concat(chunks)).length >= answers) channel.end();
  }

  function finish(): void {
    clearTimeout(impatience);
    channel.destroy();
    socket.destroy();
    resolve({ received: Buffer.concat(chunks), error, isStuck });
  }
}

/** What TLS writes goes through this to the socket, and not all of it as it was. */
function spoil(socket: Socket, { at, how }: Spoilt): Duplex {
  let sent = 0;
  const wire = new Duplex({
    read: () => void socket.resume(),
    write(chunk: Buffer, _, done) {
      const here = at - sent;
      sent += chunk.length;
      if (here < 0 || here >= chunk.length) {
        socket.write(chunk, () => done());
        return;
      }
      const [before, after] = [chunk.subarray(0, here), chunk.subarray(here)];
      switch (how) {
        case 'flip':
          socket.write(Buffer.concat([before, Buffer.of((after[0] ?? 0) ^ 0xff), after.subarray(1)]), () => done());
          return;
        case 'insert':
          socket.write(Buffer.concat([before, Buffer.of(0), after]), () => done());
          return;
        case 'end':
          socket.end(before, () => done());
          return;
        case 'reset':
          socket.write(before, () => {
            socket.resetAndDestroy();
            done();
          });
          return;
        default:
          how satisfies never;
      }
    },
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk) => wire.push(chunk));
  socket.on('end', () => wire.push(null));
  socket.on('close', () => wire.destroy());
  return wire;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** The whole answers in what was received, those apart that only say that more may be sent. */
export function repliesIn(received: Buffer): Reply[] {
  const replies: Reply[] = [];
  let at = 0;
  for (;;) {
    const end = received.indexOf('\r\n\r\n', at);
    if (end === -1) return replies;
    const head = received.toString('latin1', at, end);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? Number.NaN);
    // What comes in chunks, of its own accord, is Node's, and says nothing.
    const isEmptyChunk = /\r\ntransfer-encoding: *chunked/i.test(head);
    const length = isEmptyChunk ? 5 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    at = end + 4 + length;
    if (at > received.length) return replies;
    if (status !== 100) replies.push({ status, body: isEmptyChunk ? '' : received.toString('utf8', at - length, at) });
  }
}
