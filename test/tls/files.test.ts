import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createAuthority, issueCertificate } from '../../src/tls/certificate.ts';
import { loadPair, secureContextOf, type Watch, watchPair } from '../../src/tls/files.ts';
import type { Issued } from '../../src/tls/pem.ts';

const now = new Date();
const authority = await createAuthority('test', { now, days: 10 });
const issue = (days = 5, at = now) => issueCertificate(authority, ['localhost'], { now: at, days });
const [first, second] = await Promise.all([issue(), issue()]);
const expired = await issue(1, new Date(now.getTime() - 3 * 24 * 60 * 60 * 1_000));
const early = await issue(1, new Date(now.getTime() + 3 * 24 * 60 * 60 * 1_000));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put({ certificate, key }: Partial<Issued>): Promise<void> {
  if (certificate !== undefined) await writeFile(join(folder, 'tls.crt'), certificate);
  if (key !== undefined) await writeFile(join(folder, 'tls.key'), key);
}

/** File contents that cannot be served. */
const bad: Readonly<Record<string, readonly [Partial<Issued>, RegExp]>> = {
  'an empty certificate': [{ certificate: '', key: second.key }, /tls\.crt is empty/],
  'an empty key': [{ certificate: second.certificate, key: '' }, /tls\.key is empty/],
  'half a certificate': [{ certificate: second.certificate.slice(0, 300), key: second.key }, /not a chain of PEM certificates/],
  'a certificate that is not DER': [
    { certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', key: second.key },
    /not a chain of PEM certificates/,
  ],
  'half a key': [{ certificate: second.certificate, key: second.key.slice(0, 80) }, /must be a PEM private key/],
  'a key of another certificate': [{ certificate: second.certificate, key: authority.key }, /is not the key of tls\.crt/],
  'an expired certificate': [expired, /expired at \d{4}-/],
  'a certificate that is not valid yet': [early, /is not valid before/],
  'an authority, which names no host': [authority, /names no host/],
};

describe('loadPair', () => {
  test('a good pair is loaded', async () => {
    await put(first);
    const loaded = await loadPair({ folder }, now);
    expect(loaded).toMatchObject({ ok: true, value: { certificate: Buffer.from(first.certificate), key: Buffer.from(first.key) } });
  });

  test('a chain is loaded if all of its certificates can be parsed', async () => {
    await put({ certificate: first.certificate + authority.certificate, key: first.key });
    expect((await loadPair({ folder }, now)).ok).toBe(true);
    await put({ certificate: `${first.certificate}${authority.certificate.slice(0, 200)}\n-----END CERTIFICATE-----\n`, key: first.key });
    expect((await loadPair({ folder }, now)).ok).toBe(false);
  });

  test('a missing file is named', async () => {
    expect(await loadPair({ folder }, now)).toEqual({
      ok: false,
      error: `${join(folder, 'tls.crt')} cannot be read: there is no such file or folder; check the name`,
    });
  });

  test.each(Object.entries(bad))('T65: %s is rejected, with the reason', async (_, [pair, reason]) => {
    await put(pair);
    const loaded = await loadPair({ folder }, now);
    expect(loaded).toEqual({ ok: false, error: expect.stringMatching(reason) });
    expect(JSON.stringify(loaded)).not.toContain('PRIVATE');
  });
});

describe('a server that watches its files', () => {
  let server: Server;
  let watch: Watch;
  let problems: string[];
  let clock: Date;

  beforeEach(async () => {
    await put(first);
    clock = now;
    problems = [];
    const loaded = await loadPair({ folder }, now);
    server = createServer(secureContextOf(loaded.ok ? loaded.value : undefined), (_, response) => response.end());
    watch = watchPair({ folder }, loaded, {
      now: () => clock,
      onPair: (pair) => server.setSecureContext(secureContextOf(pair)),
      onProblem: (reason) => problems.push(reason),
      everyMs: 1_000_000,
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    watch.stop();
    server.closeAllConnections();
    server.close();
  });

  function shake(options: object = {}): Promise<TLSSocket> {
    const { port } = server.address() as AddressInfo;
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.certificate, ...options }, () =>
        resolve(socket),
      );
      socket.on('error', reject);
    });
  }

  async function served(): Promise<string> {
    const socket = await shake();
    const certificate = socket.getPeerX509Certificate()?.toString() ?? '';
    socket.destroy();
    return certificate;
  }

  test('F6: the server presents a new certificate to new connections, and keeps open ones', async () => {
    const open = await shake();
    expect(await served()).toBe(first.certificate);
    await put(second);
    await watch.check();
    expect(await served()).toBe(second.certificate);
    expect(open.destroyed).toBe(false);
    open.destroy();
  });

  test('T65, F6: the server follows the link that a kubelet renames to update a Secret volume', async () => {
    const mounted = join(folder, 'mounted');
    for (const [name, { certificate, key }] of [['..1', first] as const, ['..2', second] as const]) {
      await mkdir(join(mounted, name), { recursive: true });
      await writeFile(join(mounted, name, 'tls.crt'), certificate);
      await writeFile(join(mounted, name, 'tls.key'), key);
    }
    await symlink('..1', join(mounted, '..data'));
    for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(mounted, file));
    const pairs: Buffer[] = [];
    const links = watchPair({ folder: mounted }, await loadPair({ folder: mounted }, now), {
      now: () => now,
      onPair: ({ certificate }) => pairs.push(certificate),
      onProblem: (reason) => problems.push(reason),
    });
    await symlink('..2', join(mounted, '..data_tmp'));
    await rename(join(mounted, '..data_tmp'), join(mounted, '..data'));
    await expect.poll(() => pairs, { timeout: 10_000 }).toEqual([Buffer.from(second.certificate)]);
    expect(problems).toEqual([]);
    links.stop();
  });

  test.each(Object.entries(bad))(
    'T65: the server keeps its pair when it finds %s, reports that once, and loads the next good pair',
    async (_, [pair, reason]) => {
      await put(pair);
      await watch.check();
      await watch.check();
      expect(await served()).toBe(first.certificate);
      expect(problems).toEqual([expect.stringMatching(reason)]);
      expect(watch.problem()).toMatch(reason);
      await put(second);
      await watch.check();
      expect(await served()).toBe(second.certificate);
      expect(watch.problem()).toBe(undefined);
    },
  );

  test('T66: the server loads a certificate once it becomes valid', async () => {
    await put(early);
    await watch.check();
    expect(watch.current()?.certificate.toString()).toBe(first.certificate);
    clock = new Date(now.getTime() + 3 * 24 * 60 * 60 * 1_000);
    await watch.check();
    expect(watch.current()?.certificate.toString()).toBe(early.certificate);
  });

  test('the server starts to serve when the first pair arrives', async () => {
    const waiting = createServer(secureContextOf(undefined), (_, response) => response.end());
    await new Promise<void>((resolve) => waiting.listen(0, '127.0.0.1', resolve));
    const late = watchPair(
      { folder },
      { ok: false, error: 'missing' },
      {
        now: () => now,
        onPair: (pair) => waiting.setSecureContext(secureContextOf(pair)),
        onProblem: () => {},
      },
    );
    await expect(shake({ port: (waiting.address() as AddressInfo).port })).rejects.toThrow();
    await late.check();
    (await shake({ port: (waiting.address() as AddressInfo).port })).destroy();
    late.stop();
    waiting.close();
  });

  test('T62, T65: the server speaks no TLS older than 1.2, with or without a certificate', () => {
    expect(secureContextOf(undefined).minVersion).toBe('TLSv1.2');
    expect(secureContextOf(watch.current()).minVersion).toBe('TLSv1.2');
  });

  describe.each(['at start', 'after a new certificate'])('%s', (when) => {
    beforeEach(async () => {
      if (when === 'at start') return;
      await put(second);
      await watch.check();
    });

    test.each([
      ['TLS 1.3', { minVersion: 'TLSv1.3' }],
      ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
      ['TLS 1.2 with ChaCha20', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' }],
    ])('the server speaks %s', async (_, options) => {
      (await shake(options)).destroy();
    });

    test.each([
      ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
      ['a cipher without authenticated encryption', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }],
      ['a cipher in CBC mode', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA' }],
    ])('the server does not speak %s', async (_, options) => {
      await expect(shake(options)).rejects.toThrow();
    });

    test('the server chooses the cipher', async () => {
      const socket = await shake({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256' });
      expect(socket.getCipher().name).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
      socket.destroy();
    });
  });
});
