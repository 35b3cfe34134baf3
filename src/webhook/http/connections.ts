import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CloseReason } from '../../core/request-record.ts';
import { type ConnectionLimits, makeConnectionTable } from './connection-table.ts';
import type { HttpError } from './errors.ts';

/** What the server knows of its connections: which certificate each began under, why one is blocked, and which one to close for a new one. */
export interface Connections {
  /** To be called before the handshake. */
  open(socket: Socket): void;
  /** To be called after the handshake. */
  add(socket: TLSSocket): void;
  /** A review is under way: the connection is not closed for another one. */
  startReview(request: IncomingMessage): void;
  /** @param isAnswered whether the connection has earned to be kept: connections without an answered review are closed first */
  endReview(request: IncomingMessage, isAnswered: boolean): void;
  /** Why no request of this connection is answered; undefined: they are. */
  problemOf(request: IncomingMessage): HttpError | undefined;
  /** From now on no request of this connection is answered. */
  block(request: IncomingMessage, problem: HttpError): void;
  /** Whether the connection must close after the answer, so that the caller reconnects: to another replica, or under the current certificate. */
  isLast(request: IncomingMessage): boolean;
  /** Every connection so far closes with its next answer. */
  startGeneration(): void;
  /** Every connection, new ones included, closes with its next answer. */
  drain(): void;
  isDraining(): boolean;
}

export interface ConnectionsOptions {
  readonly limits: ConnectionLimits;
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
  const states = new WeakMap<object, State>();
  let generation = {};
  let isDraining = false;
  return {
    open: (socket) => table.add(socket, 'handshake'),
    add(socket) {
      table.secure(socket);
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
