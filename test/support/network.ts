import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Daemons } from './daemons.ts';

/**
 * A network of its own, in which pods have addresses that nothing else has: made of namespaces, with no way out. Programs that are started
 * with `enter` before them are in it; the test itself is not, and reaches the API server in it by a socket.
 */
export interface Network {
  readonly enter: readonly string[];
  /** The same for root, who stays what they are on this machine. */
  readonly join: readonly string[];
  readonly socket: string;
}

/** Of pods, and of Services. A range on the loopback device is this machine's as a whole. */
const RANGES = ['10.244.0.1/16', '10.0.0.1/24'];

/** @throws where this machine gives no such namespaces */
export async function startNetwork(daemons: Daemons): Promise<Network> {
  const addresses = RANGES.map((range) => `ip address add ${range} dev lo`);
  const script = ['ip link set lo up', ...addresses, 'echo up', 'exec sleep infinity'].join(' && ');
  const holder = daemons.start('network', 'unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', script]);
  await daemons.ready(holder, async () => (await readFile(holder.logFile, 'utf8')) === 'up\n', { timeoutMs: 10_000 });
  return {
    enter: ['nsenter', `--target=${holder.child.pid}`, '--user', '--net', '--preserve-credentials', '--'],
    join: ['nsenter', `--target=${holder.child.pid}`, '--net', '--'],
    socket: join(daemons.folder, 'api-server.sock'),
  };
}

/** A program with its arguments, in a network or not. */
export function within(
  network: Pick<Network, 'enter'> | undefined,
  program: string,
  args: readonly string[],
): readonly [string, readonly string[]] {
  const [first, ...others] = [...(network?.enter ?? []), program, ...args];
  return [first ?? program, others];
}

/** Carries connections from the socket to a port of the network's loopback. */
export function startRelay(daemons: Daemons, network: Network, port: number): void {
  const script = `const net = require('node:net');
net.createServer((from) => {
  const to = net.connect(${port}, '127.0.0.1');
  from.pipe(to).pipe(from);
  for (const each of [from, to]) each.on('error', () => { from.destroy(); to.destroy(); });
}).listen(${JSON.stringify(network.socket)});`;
  const [program, args] = within(network, process.execPath, ['-e', script]);
  daemons.start('network-relay', program, args);
}
