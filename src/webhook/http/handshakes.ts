import type { Socket } from 'node:net';

export interface HandshakeLimits {
  /** TLS handshakes that may be under way. One remote address may have half of them. */
  readonly maxHandshakes: number;
  /** How long a connection may wait for the client's first message or for its turn, and then for the rest of the handshake. */
  readonly handshakeTimeoutMs: number;
  /** How long a handshake may take while another connection waits for its place. */
  readonly contendedHandshakeMs: number;
}

export interface Handshakes {
  /**
   * Takes a new TCP connection. Nothing was read from it yet.
   * @param start starts the handshake; it is called at most once, when it is the connection's turn. Bytes that were read are in the socket again
   */
  add(socket: Socket, start: () => void): void;
  /** The handshake of this TCP connection is complete. */
  end(socket: Socket): void;
}

/** The connections of one remote address, in the order in which they came here. */
interface Peer {
  /** With the function that starts the handshake. */
  readonly waiting: Map<Socket, () => void>;
  /** With the time at which the handshake began. */
  readonly active: Map<Socket, number>;
}

/** RFC 8446, section 5.1. */
const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = RECORD_HEADER_BYTES + 2 ** 14;
/** A type and a length of three bytes: RFC 8446, section 4. */
const MESSAGE_HEADER_BYTES = 4;
const HANDSHAKE_RECORD = 22;
/** A first message arrives in one or two pieces. Each piece costs an object. */
const MAX_PIECES = 64;

/**
 * Starts few TLS handshakes at a time, those of the remote addresses in turn. A handshake takes about a millisecond of the only thread: without
 * turns, a caller that opens a thousand connections at once would hold up the reviews of all others for a second and more.
 *
 * A connection waits for its turn from the moment when its first message is complete, so that silent connections take no place.
 * @param onDrop is called for each connection that is closed because its handshake takes long while another one waits
 */
export function makeHandshakes(limits: HandshakeLimits, onDrop: () => void): Handshakes {
  const maxOfPeer = Math.ceil(limits.maxHandshakes / 2);
  // The address whose turn was last is at the end.
  const peers = new Map<string, Peer>();
  let active = 0;
  let timer: NodeJS.Timeout | undefined;
  return { add, end };

  function add(socket: Socket, start: () => void): void {
    const address = socket.remoteAddress ?? '';
    const timeout = setTimeout(() => {
      if (peers.get(address)?.waiting.has(socket) === true) onDrop();
      socket.destroy();
    }, limits.handshakeTimeoutMs).unref();
    socket.on('error', () => {});
    socket.once('close', () => {
      clearTimeout(timeout);
      leave(socket, address);
    });
    readFirstMessage(socket, (putBack) => {
      peerAt(address).waiting.set(socket, () => {
        clearTimeout(timeout);
        putBack();
        start();
      });
      startNext();
    });
  }

  function end(socket: Socket): void {
    leave(socket, socket.remoteAddress ?? '');
  }

  function peerAt(address: string): Peer {
    const peer = peers.get(address) ?? { waiting: new Map(), active: new Map() };
    peers.set(address, peer);
    return peer;
  }

  function leave(socket: Socket, address: string): void {
    const peer = peers.get(address);
    if (peer === undefined) return;
    peer.waiting.delete(socket);
    if (peer.active.delete(socket)) active -= 1;
    if (peer.waiting.size === 0 && peer.active.size === 0) peers.delete(address);
    startNext();
  }

  function startNext(): void {
    while (active < limits.maxHandshakes) {
      const next = nextInTurn();
      if (next === undefined) break;
      const [address, peer, socket, start] = next;
      peers.delete(address);
      peers.set(address, peer);
      peer.waiting.delete(socket);
      peer.active.set(socket, performance.now());
      active += 1;
      start();
    }
    if (timer === undefined && isAnyWaiting()) timer = setTimeout(dropSlow, untilFirstIsSlowMs()).unref();
  }

  function untilFirstIsSlowMs(): number {
    const starts = peersInTheWay().flatMap((peer) => [...peer.active.values()]);
    return Math.max(1, Math.min(...starts) + limits.contendedHandshakeMs - performance.now());
  }

  function nextInTurn(): readonly [address: string, peer: Peer, socket: Socket, start: () => void] | undefined {
    for (const [address, peer] of peers) {
      if (peer.active.size >= maxOfPeer) continue;
      for (const [socket, start] of peer.waiting) return [address, peer, socket, start];
    }
    return undefined;
  }

  function isAnyWaiting(): boolean {
    for (const { waiting } of peers.values()) if (waiting.size > 0) return true;
    return false;
  }

  /** While not all places are taken, an address is only in its own way. */
  function peersInTheWay(): Peer[] {
    return [...peers.values()].filter(({ waiting }) => active >= limits.maxHandshakes || waiting.size > 0);
  }

  function dropSlow(): void {
    timer = undefined;
    const latestStart = performance.now() - limits.contendedHandshakeMs;
    for (const peer of peersInTheWay()) {
      for (const [socket, startedAt] of peer.active) {
        if (startedAt > latestStart) continue;
        onDrop();
        // Its place is free at once, and not only when it has closed.
        peer.active.delete(socket);
        active -= 1;
        socket.destroy();
      }
    }
    startNext();
  }
}

/**
 * Calls back once the first message of TLS is complete, with a function that puts everything that was read back into the socket. A client has nothing
 * more to say before the server's answer: if it sends more than a record, or sends it in tiny pieces, it is disconnected.
 */
function readFirstMessage(socket: Socket, onComplete: (putBack: () => void) => void): void {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let isComplete = false;
  socket.on('readable', read);

  function read(): void {
    for (let piece: Buffer | null = socket.read(); piece !== null; piece = socket.read()) {
      pieces.push(piece);
      bytes += piece.length;
    }
    if (bytes > MAX_RECORD_BYTES || pieces.length > MAX_PIECES) {
      socket.destroy();
      return;
    }
    if (isComplete || bytes < RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES || bytes < messageBytesOf(Buffer.concat(pieces))) return;
    isComplete = true;
    onComplete(putBack);
  }

  function putBack(): void {
    socket.off('readable', read);
    socket.unshift(Buffer.concat(pieces));
  }
}

/** How long the first message is, with the header of its record; 0 if it is no handshake, which is left to the TLS library to reject. */
function messageBytesOf(start: Buffer): number {
  if (start[0] !== HANDSHAKE_RECORD) return 0;
  return Math.min(RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES + start.readUIntBE(RECORD_HEADER_BYTES + 1, 3), MAX_RECORD_BYTES);
}
