import type { Socket } from 'node:net';
import { networkOf } from './network.ts';

export interface HandshakeLimits {
  /** The number of TLS handshakes that may be in progress at a time. One network may have half of them. */
  readonly maxHandshakes: number;
  /** How long a connection may wait for the client's first message or for its turn, and then for the rest of the handshake. */
  readonly handshakeTimeoutMs: number;
  /** How long a handshake may take while another connection waits for its place. */
  readonly contendedHandshakeMs: number;
  /**
   * The same, if another address waits without any handshake in progress, and the network or address of this handshake has at least two handshakes
   * more than that one.
   */
  readonly unevenHandshakeMs: number;
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

/** The addresses that one caller may have: see `networkOf`. */
interface Network {
  readonly name: string;
  /** By remote address. The address whose turn was last is at the end. */
  readonly peers: Map<string, Peer>;
  /** The number of connections that wait, and of handshakes in progress, of all its addresses together. */
  waiting: number;
  active: number;
}

/** The connections of one remote address, in the order in which they came here. */
interface Peer {
  readonly network: Network;
  readonly address: string;
  /** With the function that starts the handshake. */
  readonly waiting: Map<Socket, () => void>;
  /** With the time at which the handshake began. */
  readonly active: Map<Socket, number>;
}

/** While connections wait, slow handshakes are searched for this many times within `unevenHandshakeMs`. */
const LOOKS = 4;

/** RFC 8446, section 5.1. */
const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = RECORD_HEADER_BYTES + 2 ** 14;
/** A type and a length of three bytes: RFC 8446, section 4. */
const MESSAGE_HEADER_BYTES = 4;
const HANDSHAKE_RECORD = 22;
/** A first message arrives in one or two pieces. Each piece costs an object. */
const MAX_PIECES = 64;

/**
 * Starts few TLS handshakes at a time. The next handshake is one of the network with the fewest handshakes in progress and, in that network, of the
 * remote address with the fewest. A handshake takes about a millisecond of the only thread: without turns, a caller that opens a thousand connections
 * at once would hold up the reviews of all others for a second and more. For the same reason one handshake starts in each turn of the event loop, so
 * that reviews are read between two of them.
 *
 * A connection waits for its turn from the moment when its first message is complete, so that silent connections take no place.
 * @param onDrop is called for each connection that is closed because its handshake takes long while another one waits
 */
export function makeHandshakes(limits: HandshakeLimits, onDrop: () => void): Handshakes {
  const maxOfNetwork = Math.ceil(limits.maxHandshakes / 2);
  // The network whose turn was last is at the end.
  const networks = new Map<string, Network>();
  const total = { waiting: 0, active: 0 };
  /** Whether a handshake has started in this turn of the event loop. */
  let hasStarted = false;
  let timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  return { add, end };

  function add(socket: Socket, start: () => void): void {
    const address = socket.remoteAddress ?? '';
    const timeout = setTimeout(() => {
      if (peerOf(address)?.waiting.has(socket) === true) onDrop();
      socket.destroy();
    }, limits.handshakeTimeoutMs).unref();
    socket.on('error', () => {});
    socket.once('close', () => {
      clearTimeout(timeout);
      leave(socket, address);
    });
    readFirstMessage(socket, (putBack) => {
      const peer = peerAt(address);
      count(peer.network, 'waiting', 1);
      peer.waiting.set(socket, () => {
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

  function peerOf(address: string): Peer | undefined {
    return networks.get(networkOf(address))?.peers.get(address);
  }

  function peerAt(address: string): Peer {
    const name = networkOf(address);
    const network = networks.get(name) ?? { name, peers: new Map<string, Peer>(), waiting: 0, active: 0 };
    networks.set(name, network);
    const peer = network.peers.get(address) ?? { network, address, waiting: new Map(), active: new Map() };
    network.peers.set(address, peer);
    return peer;
  }

  function leave(socket: Socket, address: string): void {
    const peer = peerOf(address);
    if (peer === undefined) return;
    const { network } = peer;
    if (peer.waiting.delete(socket)) count(network, 'waiting', -1);
    if (peer.active.delete(socket)) count(network, 'active', -1);
    if (peer.waiting.size === 0 && peer.active.size === 0) network.peers.delete(address);
    if (network.peers.size === 0) networks.delete(network.name);
    startNext();
  }

  function count(network: Network, what: 'waiting' | 'active', change: 1 | -1): void {
    network[what] += change;
    total[what] += change;
  }

  function startNext(): void {
    const peer = hasStarted ? undefined : nextInTurn();
    if (peer !== undefined) {
      hasStarted = true;
      setImmediate(() => {
        hasStarted = false;
        startNext();
      });
      startFirst(peer);
    }
    if (timer !== undefined || total.waiting === 0) return;
    // setImmediate: first read what arrived while the thread was busy, because it may complete a handshake.
    timer = setTimeout(() => setImmediate(dropSlow), limits.unevenHandshakeMs / LOOKS).unref();
  }

  /** @returns the address whose connection is the next to start; undefined: none waits, or there is no place for one */
  function nextInTurn(): Peer | undefined {
    if (total.waiting === 0 || total.active >= limits.maxHandshakes) return undefined;
    let network: Network | undefined;
    for (const each of networks.values()) {
      if (each.waiting > 0 && each.active < maxOfNetwork && each.active < (network?.active ?? Infinity)) network = each;
    }
    let peer: Peer | undefined;
    for (const each of network?.peers.values() ?? []) {
      if (each.waiting.size > 0 && each.active.size < (peer?.active.size ?? Infinity)) peer = each;
    }
    return peer;
  }

  function startFirst(peer: Peer): void {
    const { network, address } = peer;
    networks.delete(network.name);
    networks.set(network.name, network);
    network.peers.delete(address);
    network.peers.set(address, peer);
    for (const [socket, start] of peer.waiting) {
      peer.waiting.delete(socket);
      count(network, 'waiting', -1);
      peer.active.set(socket, performance.now());
      count(network, 'active', 1);
      start();
      return;
    }
  }

  function dropSlow(): void {
    timer = undefined;
    const slow = findSlow();
    if (slow !== undefined) {
      const [socket, { network, active }] = slow;
      onDrop();
      // Free the place now, instead of when the socket has closed.
      active.delete(socket);
      count(network, 'active', -1);
      socket.destroy();
      // One in each turn of the event loop, as the handshakes that take the places.
      timer = setImmediate(dropSlow);
    }
    startNext();
  }

  /** @returns a handshake that takes too long while another connection waits for its place */
  function findSlow(): readonly [Socket, Peer] | undefined {
    if (total.waiting === 0) return undefined;
    const isFull = total.active >= limits.maxHandshakes;
    const starving = new Set([...networks.values()].filter(hasStarving));
    const fewest = Math.min(...[...starving].map(({ active }) => active));
    const now = performance.now();
    for (const network of networks.values()) {
      // While there are free places, handshakes of a network delay only connections of the same network, and only when it may have no more.
      if (!isFull && (network.waiting === 0 || network.active < maxOfNetwork)) continue;
      for (const peer of network.active === 0 ? [] : network.peers.values()) {
        const hasMore = (isFull && network.active >= fewest + 2) || (starving.has(network) && peer.active.size >= 2);
        const latestStart = now - (hasMore ? limits.unevenHandshakeMs : limits.contendedHandshakeMs);
        for (const [socket, startedAt] of peer.active) if (startedAt <= latestStart) return [socket, peer];
      }
    }
    return undefined;
  }
}

/** Whether an address of the network waits and has no handshake in progress. */
function hasStarving({ waiting, peers }: Network): boolean {
  if (waiting === 0) return false;
  for (const peer of peers.values()) if (peer.waiting.size > 0 && peer.active.size === 0) return true;
  return false;
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
