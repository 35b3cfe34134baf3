import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeDevCertificates } from '../../src/commands/certs.ts';
import { createAuthority, issueClientCertificate } from '../support/openssl.ts';
import { connectTo, exampleReview, send, until } from '../support/webhook-server.ts';

const agent = new Agent({ keepAlive: true });
afterAll(() => agent.destroy());

let folder: string;
let certs: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-serve-'));
  certs = join(folder, 'certs');
  await makeDevCertificates(certs, { hosts: [], force: false, now: new Date() });
});
afterAll(() => rm(folder, { recursive: true }));

const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

interface Line {
  readonly msg: string;
  readonly listen: string;
  readonly operationsListen: string;
  readonly metricsListen: string;
  readonly [field: string]: unknown;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['src/main.ts', 'serve', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  const lines: Line[] = [];
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line) as Line));
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }));
  return { child, lines, ended, reader };
}

async function start(args: readonly string[] = [], { tlsDir = certs, env = {} as NodeJS.ProcessEnv } = {}) {
  const { child, lines, ended, reader } = run(
    [
      '--listen',
      '127.0.0.1:0',
      '--operations-listen',
      '127.0.0.1:0',
      '--metrics-listen',
      '127.0.0.1:0',
      '--drain-delay',
      '300ms',
      '--log-level',
      'debug',
      ...args,
    ],
    { CLOISTER_TLS_DIR: tlsDir, ...env },
  );
  await Promise.race([until(() => lines.length > 0), ended.then(({ stderr }) => Promise.reject(new Error(stderr)))]);
  const { listen, operationsListen, metricsListen } = lines[0] as Line;
  const port = Number(listen.split(':')[1]);
  const ca = await readFile(join(tlsDir, 'ca.crt')).catch(() => undefined);
  return {
    child,
    lines,
    ended,
    reader,
    port,
    ca,
    review: () => send({ port, path: '/mutate/userns', body: exampleReview, servername: 'localhost', agent, ...(ca && { ca }) }),
    ops: (path: string) => fetch(`http://${operationsListen}${path}`),
    metrics: () => fetch(`http://${metricsListen}/metrics`),
  };
}

describe('serving', () => {
  test('the first line of the log states the addresses', async () => {
    const { lines } = await start();
    expect(lines[0]).toMatchObject({
      msg: 'serving',
      listen: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d+$/),
      operationsListen: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d+$/),
      metricsListen: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d+$/),
      profiles: ['userns'],
    });
  });

  test('reviews are answered on one port, probes on another, and metrics on a third', async () => {
    const { review, ops, metrics } = await start();
    const { status, body } = await review();
    expect([status, JSON.parse(body).response.patchType]).toEqual([200, 'JSONPatch']);
    expect((await ops('/readyz')).status).toBe(200);
    expect((await ops('/livez')).status).toBe(200);
    const text = await (await metrics()).text();
    expect(text).toContain('cloister_requests_total{phase="mutate",mode="enforce",profile="userns",outcome="patched"} 1');
    expect(text).toMatch(/^cloister_certificate_expiry_timestamp_seconds 1[\d.e+]+$/m);
  });

  test('a large review is judged by the configuration that was read at start', async () => {
    const config = join(folder, 'gvisor.yaml');
    await writeFile(config, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {gvisor: {}}\n');
    const { port, ca, metrics } = await start(['--config', config]);
    await writeFile(config, 'not a configuration');
    const review = JSON.parse(exampleReview);
    review.request.object.metadata.annotations = { padding: 'x'.repeat(300_000) };
    const body = JSON.stringify(review);
    const answer = await send({ port, path: '/mutate/gvisor', body, servername: 'localhost', agent, ...(ca && { ca }) });
    expect([answer.status, JSON.parse(answer.body).response.patchType]).toEqual([200, 'JSONPatch']);
    await until(async () => (await (await metrics()).text()).includes('profile="gvisor",outcome="patched"} 1'));
  });

  test('F5: without a certificate the process is alive and not ready, states the reason, and serves once it has one', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    const { ops, lines, port } = await start([], { tlsDir: empty });
    expect((await ops('/livez')).status).toBe(200);
    const notReady = await ops('/readyz');
    expect([notReady.status, await notReady.json()]).toMatchObject([503, { ready: false, reason: expect.stringContaining('tls.crt') }]);
    await until(() => lines.some(({ reason }) => String(reason).includes('tls.crt')));
    await makeDevCertificates(empty, { hosts: [], force: false, now: new Date() });
    await until(async () => (await ops('/readyz')).status === 200);
    const ca = await readFile(join(empty, 'ca.crt'));
    expect((await send({ port, path: '/mutate/userns', body: exampleReview, servername: 'localhost', ca, agent: false })).status).toBe(200);
  });
});

describe('certificates', () => {
  /** Writes a Secret volume as a kubelet does: the link in the path of all files is replaced atomically. */
  async function mountSecret(volume: string, version: string): Promise<void> {
    const source = await mkdtemp(join(folder, 'issued-'));
    await makeDevCertificates(source, { hosts: [], force: false, now: new Date() });
    const data = join(volume, `..${version}`);
    await mkdir(data, { recursive: true });
    for (const file of ['tls.crt', 'tls.key', 'ca.crt']) {
      await copyFile(join(source, file), join(data, file));
      await symlink(join('..data', file), join(volume, file)).catch(() => {});
    }
    await symlink(`..${version}`, join(volume, '..data_tmp'));
    await rename(join(volume, '..data_tmp'), join(volume, '..data'));
  }

  test('T65, F6: a replaced Secret volume is reloaded, and the open connection closes with its next answer', async () => {
    const volume = await mkdtemp(join(folder, 'volume-'));
    await mountSecret(volume, '1');
    const { review, metrics, lines, port } = await start([], { tlsDir: volume });
    expect((await review()).headers.connection).toBe('keep-alive');
    await mountSecret(volume, '2');
    const ca = await readFile(join(volume, 'ca.crt'));
    await until(() => lines.some(({ msg }) => msg === 'certificate reloaded'));
    const last = await review();
    expect([last.status, last.headers.connection]).toEqual([200, 'close']);
    expect((await send({ port, path: '/mutate/userns', body: exampleReview, servername: 'localhost', ca, agent: false })).status).toBe(200);
    expect(await (await metrics()).text()).toContain('cloister_certificate_reloads_total{outcome="replaced"} 1');
  });

  test('F5, T65: missing or invalid files change only a metric and the log: the process stays ready', async () => {
    const volume = await mkdtemp(join(folder, 'volume-'));
    await mountSecret(volume, '1');
    const { review, ops, metrics, lines } = await start([], { tlsDir: volume });
    await rm(join(volume, '..data'));
    await until(() => lines.some(({ level, reason }) => level === 'error' && String(reason).includes('there is no such file or folder')));
    expect([(await review()).status, (await ops('/readyz')).status]).toEqual([200, 200]);
    expect(await (await metrics()).text()).toContain('cloister_certificate_reloads_total{outcome="kept"} 1');
  });

  test('T60: with --client-ca only callers with an accepted certificate and name are answered; probes need no certificate', async () => {
    const clients = await mkdtemp(join(folder, 'clients-'));
    const authority = await createAuthority(clients);
    const names = ['--client-name', 'other,system:apiserver'];
    const { review, ops, port, ca } = await start(['--client-ca', authority.certFile, ...names]);
    const show = async (commonName: string) => {
      const { certFile, keyFile } = await issueClientCertificate(clients, commonName, authority, { commonName });
      return { cert: await readFile(certFile), key: await readFile(keyFile) };
    };
    const ask = { port, path: '/mutate/userns', body: exampleReview, servername: 'localhost', agent: false, ...(ca && { ca }) } as const;
    const statuses = [
      (await review()).status,
      (await send({ ...ask, ...(await show('someone')) })).status,
      (await send({ ...ask, ...(await show('system:apiserver')) })).status,
    ];
    expect(statuses).toEqual([403, 403, 200]);
    expect((await ops('/readyz')).status).toBe(200);
  });

  test('T60: while the file of --client-ca is missing, no caller is answered', async () => {
    const { review, ops } = await start(['--client-ca', join(folder, 'nowhere.crt')]);
    expect(await (await ops('/readyz')).json()).toMatchObject({ ready: false, reason: expect.stringContaining('nowhere.crt') });
    await expect(review()).rejects.toThrow();
  });
});

describe('stopping', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'F7: on %s the process is not ready at once, keeps serving for a while, and exits with 0',
    async (signal) => {
      const { child, ended, review, ops, lines } = await start(['--drain-delay', '5s']);
      expect((await review()).headers.connection).toBe('keep-alive');
      child.kill(signal);
      await until(async () => (await ops('/readyz')).status === 503);
      const { status, headers } = await review();
      expect([status, headers.connection]).toEqual([200, 'close']);
      child.kill(signal);
      expect(await ended).toEqual({ code: 0, stderr: '' });
      expect(lines.filter(({ msg }) => msg === 'draining')).toHaveLength(1);
    },
  );

  test('F7: a review in progress is answered before the process exits', async () => {
    const { child, ended, port, ca, lines } = await start(['--drain-delay', '0s']);
    const { socket, closed } = await connectTo(port, ca === undefined ? {} : { ca });
    const [head, tail] = [exampleReview.slice(0, 100), exampleReview.slice(100)];
    socket.write(
      `POST /mutate/userns HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(exampleReview)}\r\n\r\n${head}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGTERM');
    await until(() => lines.some(({ msg }) => msg === 'draining'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.write(tail);
    expect(await closed).toMatch(/^HTTP\/1\.1 200 OK\r\n.*connection: close\r\n.*JSONPatch/is);
    expect((await ended).code).toBe(0);
    expect(lines.slice(-2).map(({ msg }) => msg)).toEqual(['patched', 'stopped']);
  });
});

test('F12: a log that is not read delays neither reviews nor the exit', async () => {
  const { child, reader, review } = await start(['--drain-delay', '0s']);
  reader.pause();
  for (let sent = 0; sent < 1_000; sent += 1) expect((await review()).status).toBe(200);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

describe('problems at start are printed without a stack trace', () => {
  async function refused(args: readonly string[], { env = {} as NodeJS.ProcessEnv, status = 1 } = {}): Promise<string> {
    const { ended, lines } = run(
      ['--listen', '127.0.0.1:0', '--operations-listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0', ...args],
      env,
    );
    const { code, stderr } = await ended;
    expect({ code, lines }).toEqual({ code: status, lines: [] });
    expect(stderr).not.toMatch(/^ +at /m);
    for (const line of stderr.trim().split('\n')) expect(line).toMatch(/^error: /);
    return stderr;
  }

  test('F13: every problem of the configuration is printed, and the process exits with 1', async () => {
    const file = join(folder, 'bad.yaml');
    await writeFile(
      file,
      'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles:\n  userns:\n    grant: everything\n    colour: blue\n',
    );
    const stderr = await refused(['--tls-dir', certs], { env: { CLOISTER_CONFIG: file } });
    expect(stderr).toContain('grant');
    expect(stderr).toContain('colour');
  });

  test('F13: problems of the configuration and of the flags are printed at once', async () => {
    const file = join(folder, 'bad-too.yaml');
    await writeFile(file, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\ncolour: blue\n');
    const stderr = await refused(['--config', file, '--tls-dir', join(folder, 'nowhere'), '--client-name', 'a']);
    for (const named of ['colour', '--tls-dir', '--client-ca']) expect(stderr).toContain(named);
  });

  test('a missing folder of certificates is reported with the command that makes one', async () => {
    expect(await refused(['--tls-dir', join(folder, 'nowhere')])).toContain('cloister certs dev');
  });

  test('every address is reported on which another process listens', async () => {
    const { lines } = await start();
    const { listen, operationsListen, metricsListen } = lines[0] as Line;
    const stderr = await refused([
      '--tls-dir',
      certs,
      '--listen',
      listen,
      '--operations-listen',
      operationsListen,
      '--metrics-listen',
      metricsListen,
    ]);
    expect(stderr).toContain(`cannot listen on ${listen}: another process listens there; choose another address with --listen`);
    expect(stderr).toContain('--operations-listen');
    expect(stderr).toContain('--metrics-listen');
  });

  test.each([
    ['--listen', '8443'],
    ['--operations-listen', '::1:9443'],
    ['--drain-delay', '5'],
    ['--client-name', 'a,,b'],
  ])('a value that cannot be parsed ends the process with 2: %s %s', async (flag, value) => {
    expect(await refused(['--tls-dir', certs, flag, value], { status: 2 })).toContain(flag);
  });
});

test('T25, F17: a bug outside of any review is logged without its message, and ends the process with 1', async () => {
  const bug = join(folder, 'bug.mjs');
  await writeFile(bug, "process.on('SIGUSR2', () => Promise.reject(new Error('canary')));");
  const { child, lines, ended } = await start([], { env: { NODE_OPTIONS: `--import=${bug}` } });
  child.kill('SIGUSR2');
  expect((await ended).code).toBe(1);
  expect(lines.at(-1)).toMatchObject({ level: 'fatal', msg: 'uncaught exception: stopping', err: { type: 'Error' } });
  expect(JSON.stringify(lines)).not.toContain('canary');
});

test('F1, T72: no module of the server can reach a cluster or make certificates', async () => {
  const reached = new Set<string>();
  for (const file of ['commands/serve', 'webhook-worker']) await follow(new URL(`../../src/${file}.ts`, import.meta.url), reached);
  expect([...reached].some((module) => module.endsWith('/src/webhook/review/answer.ts'))).toBe(true);
  expect([...reached].filter((module) => /@kubernetes|node-forge|\/src\/cluster\//.test(module))).toEqual([]);
});

/** Collects all modules that a file imports, and those that they import. */
async function follow(file: URL, reached: Set<string>): Promise<void> {
  reached.add(file.href);
  const text = await readFile(file, 'utf8');
  for (const [, specifier = ''] of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    if (!specifier.startsWith('.')) reached.add(specifier);
    else if (!reached.has(new URL(specifier, file).href)) await follow(new URL(specifier, file), reached);
  }
}
