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
  /** Closes the connections that wait. */
  stop(): void;
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
const HANDSHAKE_RECORD = 22;

/**
 * Starts few TLS handshakes at a time, those of the remote addresses in turn. A handshake takes about a millisecond of the only thread: without
 * turns, a caller that opens a thousand connections at once would hold up the reviews of all others for a second and more.
 *
 * A connection waits for its turn from the moment when its first TLS record is complete, so that silent connections take no place.
 * @param onDrop is called for each connection that is closed because its handshake takes long while another one waits
 */
export function makeHandshakes(limits: HandshakeLimits, onDrop: () => void): Handshakes {
  const maxOfPeer = Math.ceil(limits.maxHandshakes / 2);
  const silent = new Set<Socket>();
  // The address whose turn was last is at the end.
  const peers = new Map<string, Peer>();
  let active = 0;
  let timer: NodeJS.Timeout | undefined;
  return { add, end, stop };

  function add(socket: Socket, start: () => void): void {
    const address = socket.remoteAddress ?? '';
    silent.add(socket);
    socket.on('error', () => {});
    socket.setTimeout(limits.handshakeTimeoutMs, () => socket.destroy());
    socket.once('close', () => leave(socket, address));
    awaitFirstRecord(socket, () => {
      silent.delete(socket);
      peerAt(address).waiting.set(socket, start);
      startNext();
    });
  }

  function end(socket: Socket): void {
    leave(socket, socket.remoteAddress ?? '');
  }

  function stop(): void {
    for (const socket of silent) socket.destroy();
    for (const { waiting } of peers.values()) for (const socket of waiting.keys()) socket.destroy();
  }

  function peerAt(address: string): Peer {
    const peer = peers.get(address) ?? { waiting: new Map(), active: new Map() };
    peers.set(address, peer);
    return peer;
  }

  function leave(socket: Socket, address: string): void {
    silent.delete(socket);
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
      socket.removeAllListeners('readable').removeAllListeners('timeout').setTimeout(0);
      start();
    }
    if (timer === undefined && isAnyWaiting()) timer = setTimeout(dropSlow, limits.contendedHandshakeMs).unref();
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

  /** Where only one address has connections that wait, only its own handshakes are in their way. */
  function dropSlow(): void {
    timer = undefined;
    const latestStart = performance.now() - limits.contendedHandshakeMs;
    const isFull = active >= limits.maxHandshakes;
    for (const peer of peers.values()) {
      if (!isFull && peer.waiting.size === 0) continue;
      for (const [socket, startedAt] of peer.active) {
        if (startedAt > latestStart) continue;
        onDrop();
        socket.destroy();
      }
    }
    startNext();
  }
}

/**
 * Calls back once the first TLS record is complete, and leaves it in the socket. Until the handshake starts, a client that sends more than one
 * record is disconnected: it has nothing to say before the server's answer.
 */
function awaitFirstRecord(socket: Socket, onComplete: () => void): void {
  let recordBytes: number | undefined;
  let isComplete = false;
  socket.on('readable', () => {
    if (socket.readableLength > MAX_RECORD_BYTES) {
      socket.destroy();
      return;
    }
    recordBytes ??= peekRecordBytes(socket);
    if (isComplete || recordBytes === undefined || socket.readableLength < recordBytes) return;
    isComplete = true;
    onComplete();
  });
}

/** How long the first record is; 0 if it begins no handshake, which is left to the TLS library to reject; undefined until its header is there. */
function peekRecordBytes(socket: Socket): number | undefined {
  if (socket.readableLength < RECORD_HEADER_BYTES) return undefined;
  const header: Buffer = socket.read(RECORD_HEADER_BYTES);
  socket.unshift(header);
  return header[0] === HANDSHAKE_RECORD ? Math.min(RECORD_HEADER_BYTES + header.readUInt16BE(3), MAX_RECORD_BYTES) : 0;
}
