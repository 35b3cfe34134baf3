import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent } from 'node:https';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDevCertificates } from '../../../src/commands/certs.ts';
import { connectTo, exampleReview, insist, until } from '../../support/webhook-server.ts';

let certs: string;
beforeAll(async () => {
  certs = await mkdtemp(join(tmpdir(), 'cloister-rolling-'));
  await makeDevCertificates(certs, { hosts: [], force: false, now: new Date() });
});
const running = new Set<ChildProcess>();
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(certs, { recursive: true });
});

interface Replica {
  readonly child: ChildProcess;
  readonly port: number;
  readonly operations: string;
  readonly ended: Promise<number | null>;
}

async function startReplica(drainDelay: string): Promise<Replica> {
  const local = ['--listen', '127.0.0.1:0', '--operations-listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'];
  const args = ['src/main.ts', 'serve', '--tls-dir', certs, '--drain-delay', drainDelay, ...local];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const ended = once(child, 'exit').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  const lines = createInterface(child.stdout as NonNullable<ChildProcess['stdout']>);
  const [first] = (await once(lines, 'line')) as [string];
  // Reads the other lines, so that the process can write them.
  lines.on('line', () => {});
  const { listen, operationsListen } = JSON.parse(first);
  return { child, port: Number(listen.split(':')[1]), operations: `http://${operationsListen}`, ended };
}

/** Does what a Service does: a connection goes to one replica, for as long as it lasts. */
async function balance(target: () => number): Promise<Server> {
  const balancer = createServer({ allowHalfOpen: true }, (incoming) => {
    const outgoing = connect({ port: target(), host: '127.0.0.1', allowHalfOpen: true });
    incoming.pipe(outgoing).pipe(incoming);
    incoming.on('error', () => outgoing.destroy());
    outgoing.on('error', () => incoming.destroy());
  });
  balancer.listen(0, '127.0.0.1');
  await once(balancer, 'listening');
  return balancer;
}

/** Long enough for a handshake on a busy machine, which is no subject here. */
const DRAIN_DELAY = '3s';

/** A busy machine gets fewer reviews a second: a queue of handshakes that outlasts the drain delay is no subject here either. */
const MAX_PENDING = 25;

test('F7, L7: 20 rolling restarts at up to 200 reviews a second lose none', { timeout: 600_000 }, async () => {
  let current = await startReplica(DRAIN_DELAY);
  const balancer = await balance(() => current.port);
  const { port } = balancer.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 25, ca: await readFile(join(certs, 'ca.crt')), servername: 'localhost' });

  const outcomes = new Map<string, number>();
  const pending = new Set<Promise<void>>();
  const clock = setInterval(() => {
    if (pending.size >= MAX_PENDING) return;
    const call = insist({ port, path: '/mutate/userns', body: exampleReview, agent })
      .then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      )
      .then((outcome) => {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        pending.delete(call);
      });
    pending.add(call);
  }, 5);

  for (let restart = 0; restart < 20; restart += 1) {
    const old = current;
    const next = await startReplica(DRAIN_DELAY);
    old.child.kill('SIGTERM');
    // Endpoints are updated with a delay.
    await pause(100);
    current = next;
    expect(await old.ended).toBe(0);
  }
  clearInterval(clock);
  await Promise.all(pending);
  agent.destroy();
  balancer.close();
  current.child.kill('SIGTERM');
  expect(await current.ended).toBe(0);
  expect([...outcomes.keys()]).toEqual(['200']);
  expect(outcomes.get('200')).toBeGreaterThan(1_000);
});

describe('F7: a process that receives a signal to stop', () => {
  test('L8: the process is not ready at once, and exits although callers hang in a handshake, in headers, in a body or in reading an answer', async () => {
    const { child, port, operations, ended } = await startReplica('200ms');
    const ca = await readFile(join(certs, 'ca.crt'));
    const mute = connect(port, '127.0.0.1').on('error', () => {});
    const hanging = await Promise.all(
      ['', 'POST /mutate/userns HT', bodyOf(10), `${bodyOf(exampleReview.length)}${exampleReview}`.repeat(200)].map(async (text) => {
        const { socket } = await connectTo(port, { ca });
        socket.on('error', () => {}).pause();
        socket.write(text);
        return socket;
      }),
    );
    child.kill('SIGTERM');
    await until(async () => (await fetch(`${operations}/readyz`)).status === 503);
    child.kill('SIGTERM');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    for (const socket of [mute, ...hanging]) socket.destroy();
  });
});

const bodyOf = (length: number): string =>
  `POST /mutate/userns HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
