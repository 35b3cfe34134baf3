import { Agent } from 'node:https';
import { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import fc from 'fast-check';
import { printable } from '../../src/core/printable.ts';
import { type Line, type Serving, startServing } from '../support/serving.ts';
import { insist } from '../support/webhook-server.ts';
import { type Broken, brokenConnections, bytesOfConnection, type Hellos, isPlain, piecesOf, reviewNamed } from './broken.ts';
import { requestsIn } from './framing.ts';
import { type Heard, hold, repliesIn, type Talk } from './talk.ts';

export interface Fuzzing {
  readonly runs: number;
  readonly seed: number;
  /** Of one connection among those of the seed, to try nothing else. */
  readonly path?: number | undefined;
  /** Of the serving process, to spoil it: then what takes long is left out. */
  readonly env?: NodeJS.ProcessEnv;
  readonly onProgress?: (tried: number) => void;
}

export interface Outcome {
  /** How many answers had which status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that came to no answer. */
  readonly unanswered: number;
  /** Reviews of those beside, who did nothing wrong. */
  readonly beside: number;
  /** Files and sockets that the process had open. */
  readonly files: { readonly before: number; readonly after: number };
  /** What is wrong, in sentences. */
  readonly faults: readonly string[];
}

const BLOCK = 500;
const AT_ONCE = 64;
const MOST_FAULTS = 10;
/** All limits of the server are shorter, on a machine that does other things, too. */
const PATIENCE_MS = 60_000;

/** Leads connections with the serving process that are broken in all ways, and some beside them that are not: R4. */
export async function fuzzConnections({ runs, seed, path, env, onProgress }: Fuzzing): Promise<Outcome> {
  const faults: string[] = [];
  const fault = (what: string): void => void (faults.length < MOST_FAULTS && faults.push(`R4: ${what}`));
  const judged = new Set<string>();
  const asked = new Set<string>();
  const statuses: Record<string, number> = {};
  let unanswered = 0;
  let tried = 0;
  const serving = await startServing({ args: ['--log-level', 'debug'], env: env ?? {}, onLine });
  const cases = brokenConnections(await hellos());
  const fresh = serving.openFiles();
  await moveIn(serving, fault)();
  const before = await settle(serving, fresh, PATIENCE_MS);

  const leave = moveIn(serving, fault);
  const isWhole = path === undefined && env === undefined;
  const silences = isWhole ? SILENCES.flatMap((each) => Array.from({ length: 4 }, () => hold(serving, each).then(hearSilence))) : [];
  for (let first = path ?? 0; first < (path === undefined ? runs : path + 1) && faults.length < MOST_FAULTS; first += BLOCK) {
    const block = seed + Math.floor(first / BLOCK);
    const most = path === undefined ? Math.min(BLOCK, runs - first) : path + 1;
    const sample = fc.sample(cases, { seed: block, numRuns: most });
    await forEach(path === undefined ? [...sample.keys()] : [path], (index) => tryOne(sample[index] as Broken, block, index));
  }
  await Promise.all(silences);
  const beside = await leave();
  const isAlive = serving.child.exitCode === null;
  const after = isAlive ? await settle(serving, before, isWhole ? PATIENCE_MS : 1_000) : 0;
  if (after > before) fault(`${after} open files, and ${before} before`);
  const metrics = isAlive ? (await serving.ask('/metrics')).body : '';
  for (const metric of ['requests_in_flight', 'body_bytes', 'failed_requests_total']) {
    if (isAlive && !metrics.includes(`\ncloister_${metric} 0\n`)) fault(`cloister_${metric} is not 0`);
  }
  const code = await serving.stop();
  if (code !== 0 || serving.stderr() !== '') fault(`the process ended with ${code}: ${serving.stderr()}`);
  for (const uid of judged)
    if (!asked.has(uid) && !uid.startsWith(NEIGHBOUR))
      fault(`a review was judged that no client sent: ${uid} (seed, path, and which of its reviews)`);
  return { statuses, unanswered, beside, files: { before, after }, faults };

  async function tryOne(broken: Broken, block: number, index: number): Promise<void> {
    const bytes = bytesOfConnection(broken, `${block}-${index}`);
    const uids = requestsIn(bytes).map(({ body }) => uidIn(body));
    for (const uid of uids) if (uid !== undefined) asked.add(printable(uid, 256));
    const answers = isPlain(broken) ? uids.length : 0;
    const heard = await hold(serving, { ...broken, pieces: piecesOf(bytes, broken), answers });
    const found = [...(broken.over === 'tls' ? faultsOfReplies(heard, uids, answers) : faultsOfTls(heard))];
    if (heard.isStuck) found.push('the server keeps a connection that is over');
    const again = `./dev fuzz connections --seed ${block} --path ${index}`;
    for (const each of found) fault(`${each}\n${again}\n${JSON.stringify({ ...broken, said: bytes.toString('latin1') })}`);
    tried += 1;
    onProgress?.(tried);
  }

  function faultsOfReplies({ received, error }: Heard, uids: readonly (string | undefined)[], expected: number): string[] {
    const replies = repliesIn(received);
    for (const { status } of replies) statuses[status] = (statuses[status] ?? 0) + 1;
    if (replies.length === 0) unanswered += 1;
    const found = replies.filter((reply) => !isUnderstood(reply)).map((reply) => `an odd answer: ${JSON.stringify(reply)}`);
    const answered = replies.filter(({ status }) => status === 200).map(({ body }) => uidIn(Buffer.from(body), 'response'));
    const smuggled = answered.filter((uid) => uid === undefined || !uids.includes(uid));
    if (smuggled.length > 0) found.push(`answered, though no client sent it: ${smuggled}`);
    if (expected > 0 && answered.join() !== uids.join()) found.push(`${uids} were sent, and ${answered} answered (${error})`);
    return found;
  }

  function faultsOfTls({ received }: Heard): string[] {
    if (received.length === 0) unanswered += 1;
    const isRecord = received.length === 0 || [0x14, 0x15, 0x16, 0x17].includes(received[0] ?? 0);
    return isRecord ? [] : [`something else than TLS: ${received.toString('latin1', 0, 100)}`];
  }

  function hearSilence({ received, isStuck }: Heard): void {
    if (isStuck) fault('the server keeps a connection that says nothing');
    for (const { status } of repliesIn(received)) {
      if (status !== 408 && status !== 200) fault(`status ${status} for a silence`);
    }
  }

  function onLine({ level, uid, ...line }: Line): void {
    if (typeof uid === 'string') judged.add(uid);
    if (level === 'error' || level === 'fatal') fault(`the log has the error ${JSON.stringify(line)}`);
  }
}

const REFUSALS = [400, 404, 405, 408, 413, 415, 431];

function isUnderstood({ status, body }: { readonly status: number; readonly body: string }): boolean {
  if (status === 200) return uidIn(Buffer.from(body), 'response') !== undefined;
  // Node's own have no body.
  return REFUSALS.includes(status) && (body === '' || typeof parsed(body)?.error === 'string');
}

function uidIn(body: Buffer, member: 'request' | 'response' = 'request'): string | undefined {
  const uid = (parsed(body.toString())?.[member] as { readonly uid?: unknown } | undefined)?.uid;
  return typeof uid === 'string' ? uid : undefined;
}

function parsed(text: string): { readonly [member: string]: unknown } | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const NEIGHBOUR = 'neighbour-';
const NEIGHBOURS = 4;

/** Callers who do nothing wrong, and insist on being answered as ever. @returns ends them, and says how often they asked */
function moveIn({ port, ca }: Serving, fault: (what: string) => void): () => Promise<number> {
  const agent = new Agent({ keepAlive: true, ca, servername: 'localhost' });
  const usual = new Map<string, string>();
  let isOver = false;
  let count = 0;
  const ask = async (path: string): Promise<void> => {
    count += 1;
    const uid = `${NEIGHBOUR}${count}`;
    try {
      const { status, body } = await insist({ port, path, agent, body: reviewNamed(uid) });
      const answer = `${status} ${body.replace(`"${uid}"`, '"uid"')}`;
      if (!usual.has(path)) usual.set(path, answer);
      if (status !== 200 || !body.includes(`"${uid}"`) || answer !== usual.get(path))
        fault(`a neighbour at ${path} gets the answer ${answer}`);
    } catch (error) {
      fault(`a neighbour at ${path} is not answered: ${(error as Error).message}`);
    }
  };
  const lives = Array.from({ length: NEIGHBOURS }, async (_, number) => {
    do {
      await ask(['/mutate/userns', '/validate/enforce/userns', '/validate/audit/userns', '/unknown/enforce'][number] ?? '');
      await pause(10);
    } while (!isOver);
  });
  return async () => {
    isOver = true;
    await Promise.all(lives);
    agent.destroy();
    return count;
  };
}

const HEAD = 'POST /mutate/userns HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
const said = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text, 'latin1'));
const slowly = (text: string): Buffer[] => said(...text);

/** The server has to see by itself that nothing will come of these. */
const SILENCES: readonly Talk[] = [
  { over: 'tcp', pieces: [], ending: 'wait' },
  { over: 'tcp', pieces: said('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), ending: 'wait' },
  { over: 'tcp', pieces: slowly('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(200, 'a')), pause: 200, ending: 'wait' },
  { over: 'tls', pieces: [], ending: 'wait' },
  { over: 'tls', pieces: said('POST '), ending: 'wait' },
  { over: 'tls', pieces: said(HEAD), ending: 'wait' },
  { over: 'tls', pieces: slowly(`${HEAD}X: `.padEnd(200, 'a')), pause: 200, ending: 'wait' },
  { over: 'tls', pieces: said(`${HEAD}Content-Length: 100\r\n\r\n{`), ending: 'wait' },
  { over: 'tls', pieces: slowly(`${HEAD}Content-Length: 1000\r\n\r\n`.padEnd(300, ' ')), pause: 200, ending: 'wait' },
  { over: 'tls', pieces: said(`${HEAD}Transfer-Encoding: chunked\r\n\r\nff\r\n{`), ending: 'wait' },
  { over: 'tls', pieces: slowly(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(200)}`), pause: 50, ending: 'wait' },
];

async function forEach(indices: readonly number[], action: (index: number) => Promise<void>): Promise<void> {
  const left = indices.values();
  const work = async (): Promise<void> => {
    for (const index of left) await action(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Waits until no more are open than before. */
async function settle(serving: Serving, before: number, ms: number): Promise<number> {
  const end = performance.now() + ms;
  while (serving.openFiles() > before && performance.now() < end) await pause(100);
  return serving.openFiles();
}

/** What a client of TLS says first, here and now. */
export async function hellos(): Promise<Hellos> {
  return { modern: await helloOf({}), old: await helloOf(TLS_1_1) };
}

/** What hardly anybody offers any more; OpenSSL wants to be asked twice. */
export const TLS_1_1: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };

function helloOf(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        resolve(chunk);
        done();
      },
    });
    connect({ ...options, servername: 'localhost', socket: wire }).on('error', () => {});
  });
}
