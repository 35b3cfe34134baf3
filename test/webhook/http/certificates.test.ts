import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply-patch.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { issueCertificate } from '../../../src/tls/certificate.ts';
import { makeClientCheck } from '../../../src/tls/client-auth.ts';
import { type ServingPair, secureContextOf } from '../../../src/tls/files.ts';
import { makeRespond } from '../../../src/webhook/review/respond.ts';
import { createAuthority, expire, issueClientCertificate, type KeyPair } from '../../support/openssl.ts';
import { authority, connectTo, exampleReview, startServer, until } from '../../support/webhook-server.ts';

const config = await loadConfig(undefined);
if (!config.ok) throw new Error(config.error.join('\n'));
const respond = makeRespond(config.value, { apply, now: () => new Date() });
const MUTATE = '/mutate/userns';

const started: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((stop) => stop()));
});

async function issuePair(clientCa?: Buffer): Promise<ServingPair> {
  const now = new Date();
  const issued = await issueCertificate(authority, ['localhost', '127.0.0.1'], { now, days: 1 });
  const pair = { certificate: Buffer.from(issued.certificate), key: Buffer.from(issued.key), expires: now };
  return clientCa === undefined ? pair : { ...pair, clientCa };
}

describe('certificate rotation', () => {
  test('T65, F6: new connections use the new certificate; an open connection closes with its next answer', async () => {
    const { server, send } = await startServer(respond).then(keep);
    expect((await send(MUTATE, { body: exampleReview })).headers.connection).toBe('keep-alive');
    server.replaceCertificate(secureContextOf(await issuePair()));
    const last = await send(MUTATE, { body: exampleReview });
    expect([last.status, last.headers.connection]).toEqual([200, 'close']);
    const reconnected = await send(MUTATE, { body: exampleReview });
    expect([reconnected.status, reconnected.headers.connection]).toEqual([200, 'keep-alive']);
  });

  test('F6, L7: 100 rotations lose no review of 25 connections that send one after the other', async () => {
    const { server, send } = await startServer(respond).then(keep);
    let isOver = false;
    const statuses = new Map<number, number>();
    const senders = Array.from({ length: 25 }, async () => {
      while (!isOver) {
        const { status } = await send(MUTATE, { body: exampleReview });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    const pairs = await Promise.all(Array.from({ length: 10 }, () => issuePair()));
    for (let change = 0; change < 100; change += 1) {
      server.replaceCertificate(secureContextOf(pairs[change % pairs.length]));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    isOver = true;
    await Promise.all(senders);
    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(100);
  });
});

describe('T60: required client certificates', () => {
  let folder: string;
  let ours: KeyPair;
  let theirs: KeyPair;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cloister-clients-'));
    ours = await createAuthority(await mkdtemp(join(folder, 'ours-')));
    theirs = await createAuthority(await mkdtemp(join(folder, 'theirs-')));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function start(names: readonly string[], clientAuthority = ours) {
    const secure = secureContextOf(await issuePair(await readFile(clientAuthority.certFile)));
    return startServer(respond, {}, { secure, checkClient: makeClientCheck(names) }).then(keep);
  }

  let serial = 0;
  interface Shown {
    readonly commonName?: string;
    readonly dnsNames?: readonly string[];
    readonly by?: KeyPair;
  }
  async function show({ commonName = 'client', dnsNames = [], by = ours }: Shown = {}): Promise<ConnectionOptions> {
    serial += 1;
    const { certFile, keyFile } = await issueClientCertificate(folder, `client-${serial}`, by, { commonName, dnsNames });
    return { cert: await readFile(certFile), key: await readFile(keyFile) };
  }

  /** Sends a review over a new connection. */
  async function ask(
    port: number,
    options: ConnectionOptions,
  ): Promise<{ readonly status: number; readonly code?: string; readonly error?: string }> {
    const { socket, received } = await connectTo(port, options);
    const length = Buffer.byteLength(exampleReview);
    socket.write(
      `POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${exampleReview}`,
    );
    await until(() => received().includes('}'));
    socket.destroy();
    const { code, error } = JSON.parse(received().split('\r\n\r\n')[1] ?? '');
    return { status: Number(received().slice(9, 12)), code, error };
  }

  test.each([
    ['common name', { commonName: 'system:apiserver' }],
    ['DNS name', { dnsNames: ['other.example.com', 'apiserver.example.com'] }],
  ])('a client is answered because of its %s', async (_, shown) => {
    const { port } = await start(['system:apiserver', 'apiserver.example.com']);
    expect(await ask(port, await show(shown))).toMatchObject({ status: 200 });
  });

  test('without a list of names, a client with any name is answered', async () => {
    const { port } = await start([]);
    expect(await ask(port, await show())).toMatchObject({ status: 200 });
  });

  test.each([
    ['another common name', { commonName: 'someone' }],
    ['another case', { commonName: 'System:apiserver' }],
    ['a pattern that would cover the name', { dnsNames: ['*.example.com'] }],
    ['a part of the name', { commonName: 'apiserver' }],
    ['more than the name', { commonName: 'system:apiserver,CN=x' }],
  ])('a client with %s is rejected before its body is read, with the reason', async (_, shown) => {
    const { port, lines } = await start(['system:apiserver', 'apiserver.example.com']);
    expect(await ask(port, await show(shown))).toEqual({
      status: 403,
      code: 'CLOISTER_CLIENT_REJECTED',
      error: expect.stringContaining('none of the allowed names'),
    });
    expect(lines.join('')).not.toContain('patched');
  });

  test('a client without a certificate is rejected', async () => {
    const { port, metrics } = await start([]);
    expect(await ask(port, {})).toEqual({
      status: 403,
      code: 'CLOISTER_CLIENT_REJECTED',
      error: expect.stringContaining('presented none'),
    });
    expect(await metrics.expose()).toContain('cloister_refused_requests_total{status="403"} 1');
  });

  test('a certificate of another authority is rejected, also with an accepted name', async () => {
    const { port } = await start(['system:apiserver']);
    const shown = await show({ commonName: 'system:apiserver', by: theirs });
    expect(await ask(port, shown)).toEqual({
      status: 403,
      code: 'CLOISTER_CLIENT_REJECTED',
      error: expect.stringContaining('not trusted'),
    });
  });

  test('an expired certificate is rejected', async () => {
    const { port } = await start([]);
    const { certFile, keyFile } = await expire(folder, await issueClientCertificate(folder, 'client', ours, { commonName: 'a' }), ours);
    const shown = { cert: await readFile(certFile), key: await readFile(keyFile) };
    expect(await ask(port, shown)).toEqual({ status: 403, code: 'CLOISTER_CLIENT_REJECTED', error: expect.stringContaining('EXPIRED') });
  });

  test('a serving certificate is not accepted as a client certificate', async () => {
    const { port } = await start([]);
    const pair = await issuePair();
    expect((await ask(port, { cert: pair.certificate, key: pair.key })).status).toBe(403);
  });

  test('when the authority changes, certificates of the old one are rejected from their next connection on', async () => {
    const { port, server } = await start([]);
    const [old, young] = [await show(), await show({ by: theirs })];
    const before = await connectTo(port, old);
    const bothCas = Buffer.concat([await readFile(ours.certFile), await readFile(theirs.certFile)]);
    server.replaceCertificate(secureContextOf(await issuePair(bothCas)));
    expect([(await ask(port, old)).status, (await ask(port, young)).status]).toEqual([200, 200]);
    server.replaceCertificate(secureContextOf(await issuePair(await readFile(theirs.certFile))));
    expect([(await ask(port, old)).status, (await ask(port, young)).status]).toEqual([403, 200]);
    before.socket.write(`POST ${MUTATE} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
    expect(await before.closed).toMatch(/^HTTP\/1\.1 400 .*\r\nconnection: close\r\n/is);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'no session of %s is resumed: each connection shows its certificate again',
    async (version) => {
      const { port } = await start([]);
      const options = { ...(await show()), minVersion: version, maxVersion: version };
      const { socket } = await connectTo(port, options);
      const session = await new Promise<Buffer | undefined>((resolve) => {
        socket.once('session', resolve);
        setTimeout(() => resolve(socket.getSession()), 200);
      });
      const again = await connectTo(port, { ...options, ...(session && { session }) });
      expect(again.socket.isSessionReused()).toBe(false);
      for (const each of [socket, again.socket]) each.destroy();
    },
  );
});

function keep<S extends { stop(): Promise<void> }>(server: S): S {
  started.push(server.stop);
  return server;
}
