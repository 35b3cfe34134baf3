import type { Socket } from 'node:net';
import type { CloseReason } from '../../core/request-record.ts';
import { networkOf } from './network.ts';

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** The number of connections of one network that are in the same idle stage. Each holds memory, and its caller may open another at any time. */
  readonly maxIdleOfNetwork: number;
}

/**
 * How far a connection has come. `handshake`: its handshake has not started, or is in progress. `proven`: its last request was a review that was
 * answered. `busy`: a request is in progress.
 */
export type ConnectionStage = 'handshake' | 'unproven' | 'proven' | 'busy';

/** A connection in one of these waits for its caller. */
const IDLE_STAGES: readonly ConnectionStage[] = ['unproven', 'proven'];

export interface ConnectionTable {
  /** A connection begins. If there are too many now, another one is closed. */
  add(socket: Socket, stage: ConnectionStage): void;
  /**
   * The handshake of the connection is complete: from now on this TLS socket stands for it.
   * @returns the socket for which `add` was called, unless it is closed
   */
  secure(socket: Socket): Socket | undefined;
  move(socket: Socket, stage: ConnectionStage): void;
}

/** The connections of one remote address. Each set is in the order in which its connections came into it. */
interface Peer {
  readonly address: string;
  readonly network: Network;
  readonly stages: { readonly [S in ConnectionStage]: Set<Connection> };
  connections: number;
}

/** The addresses that one caller may have: see `networkOf`. */
interface Network {
  connections: number;
  readonly stages: Record<ConnectionStage, number>;
}

interface Connection {
  readonly socket: Socket;
  readonly endpoint: string;
  readonly peer: Peer;
  /** `undefined` once it is closed. */
  stage: ConnectionStage | undefined;
}

/**
 * Keeps room for new connections. When there is no room, it closes a connection that sent no review: of the network that has the most of these and,
 * in that network, of the remote address that has the most. If every connection has sent a review, it closes one of a network or address that has
 * more connections than the network or address of the new connection: an idle one if there is one, otherwise a busy one. API servers have few
 * connections that sent no review, so a caller that opens too many connections closes only its own. Within a stage, the oldest connection is closed
 * first. A network that keeps many connections idle loses the oldest of them before there is no room.
 * @param onClose is called for each connection that is closed
 */
export function makeConnectionTable(limits: ConnectionLimits, onClose: (reason: CloseReason) => void): ConnectionTable {
  const peers = new Map<string, Peer>();
  const networks = new Map<string, Network>();
  let connections = 0;
  const byEndpoint = new Map<string, Connection>();
  const bySocket = new WeakMap<Socket, Connection>();
  return {
    add(socket, stage) {
      if (connections >= limits.maxConnections && !close(findVictim(socket.remoteAddress ?? ''), 'full')) {
        onClose('full');
        socket.destroy();
        return;
      }
      const connection: Connection = { socket, endpoint: endpointOf(socket), peer: peerAt(socket.remoteAddress ?? ''), stage: undefined };
      byEndpoint.set(connection.endpoint, connection);
      bySocket.set(socket, connection);
      connection.peer.connections += 1;
      connection.peer.network.connections += 1;
      connections += 1;
      enter(connection, stage);
      socket.once('close', () => forget(connection));
    },
    secure(socket) {
      const connection = byEndpoint.get(endpointOf(socket));
      if (connection === undefined) return undefined;
      bySocket.set(socket, connection);
      move(connection, 'unproven');
      return connection.socket;
    },
    move(socket, stage) {
      const connection = bySocket.get(socket);
      if (connection !== undefined) move(connection, stage);
    },
  };

  function peerAt(address: string): Peer {
    const known = peers.get(address);
    if (known !== undefined) return known;
    const stages = {
      handshake: new Set<Connection>(),
      unproven: new Set<Connection>(),
      proven: new Set<Connection>(),
      busy: new Set<Connection>(),
    };
    const network = networks.get(networkOf(address)) ?? { connections: 0, stages: { handshake: 0, unproven: 0, proven: 0, busy: 0 } };
    networks.set(networkOf(address), network);
    const peer = { address, network, stages, connections: 0 };
    peers.set(address, peer);
    return peer;
  }

  function move(connection: Connection, stage: ConnectionStage): void {
    if (connection.stage === undefined) return;
    leave(connection);
    enter(connection, stage);
  }

  function enter(connection: Connection, stage: ConnectionStage): void {
    const { peer } = connection;
    connection.stage = stage;
    peer.stages[stage].add(connection);
    peer.network.stages[stage] += 1;
    if (!IDLE_STAGES.includes(stage) || peer.network.stages[stage] <= limits.maxIdleOfNetwork) return;
    const hasOlder = ({ network, stages }: Peer): boolean => network === peer.network && oldestOf(stages[stage]) !== connection;
    close(findOldest([stage], hasOlder), 'idle');
  }

  function leave(connection: Connection): void {
    const { peer, stage } = connection;
    if (stage === undefined) return;
    peer.stages[stage].delete(connection);
    peer.network.stages[stage] -= 1;
  }

  function forget(connection: Connection): void {
    if (connection.stage === undefined) return;
    leave(connection);
    connection.stage = undefined;
    // A caller may reuse the port of a connection before the old connection is closed on this side.
    if (byEndpoint.get(connection.endpoint) === connection) byEndpoint.delete(connection.endpoint);
    const { peer } = connection;
    peer.connections -= 1;
    peer.network.connections -= 1;
    connections -= 1;
    if (peer.connections === 0) peers.delete(peer.address);
    if (peer.network.connections === 0) networks.delete(networkOf(peer.address));
  }

  /** @returns whether there was one to close */
  function close(connection: Connection | undefined, reason: CloseReason): boolean {
    if (connection === undefined) return false;
    onClose(reason);
    forget(connection);
    connection.socket.destroy();
    return true;
  }

  /**
   * Searches in this order: a connection of any address that sent no review; an idle and then a busy connection of a network or an address that has
   * more connections than the newcomer's; an idle connection of the newcomer's own address.
   */
  function findVictim(newcomer: string): Connection | undefined {
    const own = peers.get(newcomer);
    const network = networks.get(networkOf(newcomer));
    const hasMore = (peer: Peer): boolean =>
      peer.network === network ? peer.connections > (own?.connections ?? 0) : peer.network.connections > (network?.connections ?? 0);
    return (
      findOldest(['handshake', 'unproven'], () => true) ??
      findOldest(['proven'], hasMore) ??
      findOldest(['busy'], hasMore) ??
      findOldest(['proven'], (peer) => peer === own)
    );
  }

  /**
   * The oldest connection in these stages, of the eligible network and in it the address that has the most of them. If several have equally many: of
   * the address that connected last.
   */
  function findOldest(stages: readonly ConnectionStage[], isEligible: (peer: Peer) => boolean): Connection | undefined {
    const countOf = ({ stages: sets }: Peer): number => stages.reduce((sum, stage) => sum + sets[stage].size, 0);
    const eligible = [...peers.values()].filter((peer) => countOf(peer) > 0 && isEligible(peer));
    const byNetwork = new Map<Network, number>();
    for (const peer of eligible) byNetwork.set(peer.network, (byNetwork.get(peer.network) ?? 0) + countOf(peer));
    let largest: Peer | undefined;
    for (const peer of eligible) {
      const isFewer = largest !== undefined && (sizeOf(peer) - sizeOf(largest) || countOf(peer) - countOf(largest)) < 0;
      if (!isFewer) largest = peer;
    }
    for (const stage of stages) {
      const oldest = largest === undefined ? undefined : oldestOf(largest.stages[stage]);
      if (oldest !== undefined) return oldest;
    }
    return undefined;

    function sizeOf({ network }: Peer): number {
      return byNetwork.get(network) ?? 0;
    }
  }
}

function oldestOf(connections: Set<Connection>): Connection | undefined {
  for (const connection of connections) return connection;
  return undefined;
}

/** A key of the connection: equal for its TCP socket and the TLS socket on top of it, and different for every other open connection. */
function endpointOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
