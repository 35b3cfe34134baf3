import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CloseReason } from '../../core/request-record.ts';
import { type ConnectionLimits, makeConnectionTable } from './connection-table.ts';
import type { HttpError } from './errors.ts';
import { type HandshakeLimits, makeHandshakes } from './handshakes.ts';

/** What the server knows of its connections: which certificate each began under, why one is blocked, and which one to close for a new one. */
export interface Connections {
  /** A new TCP connection. Nothing was read from it yet. Its handshake starts when it is its turn. */
  open(socket: Socket, startHandshake: () => void): void;
  /** A connection whose handshake is complete. */
  add(socket: TLSSocket): void;
  /** A review is in progress: the connection is not closed for another one. */
  startReview(request: IncomingMessage): void;
  /** @param isAnswered whether the review was answered: when there is no room, connections without an answered review are closed first */
  endReview(request: IncomingMessage, isAnswered: boolean): void;
  /** Why requests of this connection are rejected; undefined: they are not. */
  problemOf(request: IncomingMessage): HttpError | undefined;
  /** From now on no request of this connection is answered. */
  block(request: IncomingMessage, problem: HttpError): void;
  /** Whether the connection must close after the answer, so that the caller reconnects: to another replica, or under the current certificate. */
  isLast(request: IncomingMessage): boolean;
  /** Every connection that is open now closes with its next answer. */
  startGeneration(): void;
  /** Every connection, new ones included, closes with its next answer. */
  drain(): void;
  isDraining(): boolean;
}

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits & HandshakeLimits;
  readonly onClose: (reason: CloseReason) => void;
  /** Returns what is wrong with a client's certificate; absent: clients need none. */
  readonly checkClient?: ((socket: TLSSocket) => string | undefined) | undefined;
}

interface State {
  readonly generation: object;
  readonly problem: HttpError | undefined;
}

export function makeConnections({ limits, onClose, checkClient }: ConnectionsOptions): Connections {
  const table = makeConnectionTable(limits, onClose);
  const handshakes = makeHandshakes(limits, () => onClose('handshakes'));
  const states = new WeakMap<object, State>();
  let generation = {};
  let isDraining = false;
  return {
    open(socket, startHandshake) {
      table.add(socket, 'handshake');
      if (!socket.destroyed) handshakes.add(socket, startHandshake);
    },
    add(socket) {
      const tcp = table.secure(socket);
      if (tcp !== undefined) handshakes.end(tcp);
      const message = checkClient?.(socket);
      states.set(socket, { generation, problem: message === undefined ? undefined : { code: 'CLOISTER_CLIENT_REJECTED', message } });
    },
    startReview: ({ socket }) => table.move(socket, 'busy'),
    endReview: ({ socket }, isAnswered) => table.move(socket, isAnswered ? 'proven' : 'unproven'),
    problemOf: ({ socket }) => states.get(socket)?.problem,
    block({ socket }, problem) {
      states.set(socket, { generation, problem });
    },
    isLast: ({ socket }) => isDraining || states.get(socket)?.generation !== generation,
    startGeneration() {
      generation = {};
    },
    drain() {
      isDraining = true;
    },
    isDraining: () => isDraining,
  };
}
