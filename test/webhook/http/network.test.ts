import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { makeConnectionTable } from '../../../src/webhook/http/connection-table.ts';
import { makeHandshakes } from '../../../src/webhook/http/handshakes.ts';
import { networkOf } from '../../../src/webhook/http/network.ts';

/** A machine with a /64 of IPv6 addresses is one caller. No test machine has such a network, so the sockets only state their addresses. */

/** The first message of a client, as far as its end is looked for: a record of a handshake, with a message of 0 bytes. */
const HELLO = Buffer.of(22, 3, 1, 0, 4, 1, 0, 0, 0);

class StatedSocket extends Socket {
  override readonly remoteAddress: string;
  override readonly remotePort: number;

  constructor(address: string, port: number) {
    super();
    this.remoteAddress = address;
    this.remotePort = port;
  }

  override _read(): void {}
}

let port = 0;
const socketFrom = (address: string): Socket => new StatedSocket(address, ++port);
const attacker = (index: number): string => `2001:db8::${(index + 1).toString(16)}`;
const API_SERVER = '2001:db8:0:1::1';

const LIMITS = { maxHandshakes: 4, handshakeTimeoutMs: 600_000, contendedHandshakeMs: 600_000, unevenHandshakeMs: 20 };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('T24: all addresses of a /64 have half of the handshakes together', async () => {
  const started: string[] = [];
  const handshakes = makeHandshakes(LIMITS, () => {});
  for (const address of [...Array.from({ length: 20 }, (_, index) => attacker(index)), API_SERVER]) {
    const socket = socketFrom(address);
    handshakes.add(socket, () => started.push(address));
    socket.push(HELLO);
  }
  await pause(100);
  expect(started).toEqual([attacker(0), API_SERVER, attacker(1)]);
});

test('T24: an address whose neighbour in the /64 has all its places gets the next', async () => {
  const started: string[] = [];
  const handshakes = makeHandshakes(LIMITS, () => {});
  for (const address of [...Array<string>(20).fill(attacker(0)), attacker(1)]) {
    const socket = socketFrom(address);
    handshakes.add(socket, () => started.push(address));
    socket.push(HELLO);
    // So that the handshake starts, if there is a place for it.
    await pause(5);
  }
  await pause(200);
  expect(started).toEqual([attacker(0), attacker(0), attacker(1)]);
});

test('T24: in each turn of the event loop one handshake starts, so that reviews are read in between', async () => {
  let turn = 0;
  const nextTurn = (): unknown => ++turn < 100 && setImmediate(nextTurn);
  nextTurn();
  const startedIn: number[] = [];
  const handshakes = makeHandshakes({ ...LIMITS, maxHandshakes: 16 }, () => {});
  for (let index = 0; index < 6; index += 1) {
    const socket = socketFrom(attacker(index));
    handshakes.add(socket, () => startedIn.push(turn));
    socket.push(HELLO);
  }
  await pause(100);
  expect(startedIn.length).toBe(6);
  expect(new Set(startedIn).size).toBe(6);
});

test('T24: when connections are closed for others, all addresses of a /64 count together', () => {
  const table = makeConnectionTable({ maxConnections: 12, maxIdleOfNetwork: 12 }, () => {});
  const own = Array.from({ length: 3 }, () => socketFrom(API_SERVER));
  const others = Array.from({ length: 9 }, (_, index) => socketFrom(attacker(index)));
  for (const socket of [...own, ...others]) {
    table.add(socket, 'handshake');
    table.move(socket, 'proven');
  }
  // Each of the other addresses has one connection, and fewer than the API server.
  for (let added = 0; added < 3; added += 1) table.add(socketFrom(API_SERVER), 'proven');
  expect([own, others].map((sockets) => sockets.filter(({ destroyed }) => destroyed).length)).toEqual([0, 3]);
});

test('T24: all addresses of a /64 keep their idle connections together, and lose the oldest of their largest address', () => {
  const reasons: string[] = [];
  const table = makeConnectionTable({ maxConnections: 100, maxIdleOfNetwork: 4 }, (reason) => reasons.push(reason));
  const sockets = [API_SERVER, ...[0, 1, 1, 2, 3, 4].map(attacker)].map(socketFrom);
  for (const socket of sockets) {
    table.add(socket, 'handshake');
    table.move(socket, 'busy');
  }
  expect(reasons).toEqual([]);
  for (const socket of sockets) table.move(socket, 'proven');
  // First that of the address with two; then, with one of each address, not the newest.
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false, true, false, false, true, false]);
  expect(reasons).toEqual(['idle', 'idle']);
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
  ['2001:db8:1::', '2001:db8:1:0::/64'],
  ['2001:db8::3:4:5:6', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('the network of %s is %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
