import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { HttpError } from './errors.ts';

/** What the server knows of its connections: which certificate each began under, and why one is blocked. */
export interface Connections {
  /** To be called after the handshake. */
  add(socket: TLSSocket): void;
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

interface State {
  readonly generation: object;
  readonly problem: HttpError | undefined;
}

/** @param checkClient returns what is wrong with a client's certificate; absent: clients need none */
export function makeConnections(checkClient?: (socket: TLSSocket) => string | undefined): Connections {
  const states = new WeakMap<object, State>();
  let generation = {};
  let isDraining = false;
  return {
    add(socket) {
      const message = checkClient?.(socket);
      states.set(socket, { generation, problem: message === undefined ? undefined : { code: 'CLOISTER_CLIENT_REJECTED', message } });
    },
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
