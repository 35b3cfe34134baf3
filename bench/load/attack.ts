import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { post } from './connection.ts';

/**
 * One caller that attacks a server by its connections, from an address of its own, until its time is over. The program takes a job as its only
 * argument, in JSON.
 */
export interface AttackJob {
  readonly attack: Attack;
  readonly ports: { readonly reviews: number; readonly operations: number; readonly metrics: number };
  readonly path: string;
  /** The file of an ordinary review, and of one whose answer is large. */
  readonly files: { readonly ordinary: string; readonly largeAnswer: string };
  readonly seconds: number;
}

const ADDRESS = '127.0.0.2';

/** How many connections each attack keeps, and what one of them does until it is closed; then another takes its place. */
const ATTACKS = {
  'no attack': [0, ({ ports }) => dial(ports.reviews, () => {})],
  'bodies in chunks of one byte, 8 connections': [8, ({ ports }) => dialTls(ports.reviews, (socket) => sendChunks(socket))],
  'bodies in TLS records of one byte, 8 connections': [8, ({ ports }) => dialTls(ports.reviews, (socket) => sendRecords(socket))],
  '300 connections to the probes': [300, ({ ports }) => dial(ports.operations, (socket) => socket.write(get('/livez')))],
  '2,048 idle connections, a review each': [
    2_048,
    ({ ports, path, files }) => dialTls(ports.reviews, (socket) => socket.write(post(path, readFileSync(files.ordinary)))),
  ],
  '2,100 silent connections': [2_100, ({ ports }) => dial(ports.reviews, () => {})],
  '900 callers that do not read their answer': [
    900,
    ({ ports, path, files }) =>
      dialTls(ports.reviews, (socket) => {
        socket.pause();
        socket.write(post(path, readFileSync(files.largeAnswer)));
      }),
  ],
  '40 callers of the metrics': [40, ({ ports }) => dial(ports.metrics, (socket) => socket.write(get('/metrics')))],
} satisfies Readonly<Record<string, readonly [connections: number, open: (job: AttackJob) => Socket]>>;

export type Attack = keyof typeof ATTACKS;
export const ATTACK_NAMES = Object.keys(ATTACKS) as readonly Attack[];

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

function dial(port: number, onOpen: (socket: Socket) => void): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS }, () => onOpen(socket));
  return socket.on('error', () => {}).resume();
}

/** The attacker does not care which server it attacks. */
function dialTls(port: number, onOpen: (socket: Socket) => void): Socket {
  const tcp = dial(port, () => {});
  const socket = connectTls({ socket: tcp, rejectUnauthorized: false }, () => onOpen(socket));
  return socket.on('error', () => {}).resume();
}

const CHUNKED = 'POST /mutate/userns HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';

function sendChunks(socket: Socket): void {
  socket.write(CHUNKED + '1\r\n \r\n'.repeat(250_000));
}

async function sendRecords(socket: Socket): Promise<void> {
  socket.write('POST /mutate/userns HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 8000000\r\n\r\n');
  // A write that waits for the one before becomes a record of its own.
  while (!socket.destroyed) await new Promise((resolve) => socket.write(' ', resolve));
}

async function run(job: AttackJob): Promise<void> {
  const [connections, open] = ATTACKS[job.attack];
  const end = performance.now() + job.seconds * 1_000;
  // It keeps the program alive while the server has closed every connection.
  const over = sleep(job.seconds * 1_000);
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < end) {
        const socket = open(job);
        const closed = new Promise((resolve) => socket.once('close', resolve));
        await Promise.race([closed, over]);
        socket.destroy();
        // A caller that is refused comes again at once, but does not take the processor that it shares with the measurement.
        await sleep(5);
      }
    }),
  );
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? ''));
