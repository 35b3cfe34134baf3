import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { backstopNameOf } from '../../src/core/object-names.ts';
import type { ApiServer } from './api-server.ts';
import type { Client } from './client.ts';
import { Daemons } from './daemons.ts';
import { issueServerCertificate, type KeyPair } from './openssl.ts';

/** Where a running Cloister is found; plain data. */
export interface CloisterAddress {
  /** Reviews, by HTTPS. */
  readonly url: string;
  /** Probes and metrics, by HTTP. */
  readonly operationsUrl: string;
  readonly metricsUrl: string;
  readonly profiles: readonly string[];
}

/** `cloister serve` as a process of its own, and what its metrics and its log say. */
export interface Cloister extends CloisterAddress {
  metrics(): Promise<string>;
  /** What it wrote so far, line by line. */
  log(): Promise<readonly LogLine[]>;
  /** SIGTERM; then its files are removed. */
  stop(): Promise<void>;
  /** SIGKILL: it is gone without a word. */
  kill(): Promise<void>;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface CloisterOptions {
  /** The configuration file's text. */
  readonly config: string;
  /** Whether the webhook configuration that `cloister manifests` prints is applied to the API server. */
  readonly apply: boolean;
}

const MAIN = join(import.meta.dirname, '../../src/main.ts');

/** Starts Cloister on free ports of loopback, with a certificate that the API server's own authority issued. */
export async function startCloister(apiServer: ApiServer, { config, apply }: CloisterOptions): Promise<Cloister> {
  const daemons = await Daemons.create('webhook');
  try {
    const { folder } = daemons;
    const configFile = join(folder, 'config.yaml');
    await writeFile(configFile, config);
    await issueServerCertificate(folder, 'tls', apiServer.connection.authority, ['IP:127.0.0.1']);
    const cloister = await startServing(daemons, { configFile, tlsDir: folder });
    if (!apply) return cloister;
    const applied = await applyManifests(apiServer, { configFile, url: cloister.url, authority: apiServer.connection.authority });
    await inEffect(apiServer, cloister.profiles);
    for (const profile of cloister.profiles) {
      const policy = backstopNameOf(profile);
      if (applied.includes(`name: ${policy}\n`)) await policyInEffect(apiServer, profile, policy);
    }
    return cloister;
  } catch (error) {
    await daemons.stop();
    throw error;
  }
}

export interface ServingFiles {
  readonly configFile: string;
  readonly tlsDir: string;
}

/** Starts `cloister serve` on free ports of loopback. */
export async function startServing(daemons: Daemons, { configFile, tlsDir }: ServingFiles): Promise<Cloister> {
  const daemon = daemons.start('cloister', process.execPath, [
    MAIN,
    ...['serve', '--config', configFile, '--tls-dir', tlsDir, '--log-level', 'info', '--drain-delay', '0ms'],
    ...['--listen', '127.0.0.1:0', '--operations-listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'],
  ]);
  const log = (): Promise<readonly LogLine[]> => readLog(daemon.logFile);
  await daemons.ready(daemon, async () => (await log()).length > 0, { timeoutMs: 30_000 });
  const address = addressIn(await log());
  return {
    ...address,
    log,
    metrics: async () => (await fetch(`${address.metricsUrl}/metrics`)).text(),
    stop: () => daemons.stop(),
    async kill() {
      const { child } = daemon;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function readLog(file: string): Promise<readonly LogLine[]> {
  const content = await readFile(file, 'utf8');
  const whole = content.slice(0, content.lastIndexOf('\n') + 1); // the last line may still be on its way
  // Any other line is what Node or a command prints when it ends. Callers that wait for the log get it.
  return whole.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []));
}

function addressIn([first]: readonly LogLine[]): CloisterAddress {
  if (!Array.isArray(first?.profiles)) throw new Error(`the first log line does not say where Cloister serves: ${JSON.stringify(first)}`);
  const { listen, operationsListen, metricsListen, profiles } = first;
  return { url: `https://${listen}`, operationsUrl: `http://${operationsListen}`, metricsUrl: `http://${metricsListen}`, profiles };
}

interface Place {
  readonly configFile: string;
  readonly url: string;
  readonly authority: KeyPair;
}

/** @returns what was applied */
async function applyManifests({ kubectl }: ApiServer, { configFile, url, authority }: Place): Promise<string> {
  const args = [MAIN, 'manifests', '--config', configFile, '--url', url, '--ca-file', authority.certFile];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 });
  const { code, stderr } = await kubectl(['apply', '--server-side', '--filename=-'], { input: stdout });
  if (code !== 0) throw new Error(`what \`cloister manifests\` printed was not taken: ${stderr}`);
  return stdout;
}

const NAMESPACE = 'cloister-in-effect';
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const PATIENCE_MS = 20_000;

/** An API server sees its own webhook entries and policies a moment after they are stored: waits until each kind has been seen at work. */
async function inEffect({ admin, createNamespace }: ApiServer, [profile]: readonly string[]): Promise<void> {
  if (profile === undefined) return;
  await createNamespace(NAMESPACE, { 'cloister.dev/enforce': profile });
  await until('the mutating entries', async () => {
    const { body } = await admin.request<Partial<Stored>>('POST', `${PODS}?dryRun=All`, pod('probe'));
    return body.metadata?.annotations?.['cloister.dev/profile-applied'] !== undefined;
  });
  await until('the validating entries', async () => {
    const { status } = await admin.request('POST', `${PODS}?dryRun=All`, pod('probe', ESCAPE));
    return status === 403;
  });
  await admin.request('POST', PODS, pod('probe'));
  await until('the policies', () => isSettled(admin));
  await admin.request('DELETE', `/api/v1/namespaces/${NAMESPACE}`);
}

const ESCAPE = { volumes: [{ name: 'node', hostPath: { path: '/' } }] };

/** Waits until the policy of a profile refuses a pod, which it does before the webhook. */
async function policyInEffect({ admin, createNamespace }: ApiServer, profile: string, policy: string): Promise<void> {
  const namespace = `${NAMESPACE}-${profile}`;
  await createNamespace(namespace, { 'cloister.dev/enforce': profile });
  await until(`the policy ${policy}`, async () => {
    const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`;
    const { body } = await admin.request<{ readonly message?: string }>('POST', path, pod('probe', ESCAPE));
    return body.message?.includes(`ValidatingAdmissionPolicy '${policy}'`) === true;
  });
  await admin.request('DELETE', `/api/v1/namespaces/${namespace}`);
}

interface Stored {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

const pod = (name: string, spec: object = {}): object => ({
  metadata: { name },
  spec: { containers: [{ name: 'main', image: 'test' }], ...spec },
});

/** Whether the policy that keeps a pod's own labels is at work. */
async function isSettled(admin: Client): Promise<boolean> {
  const patch = { metadata: { labels: { 'cloister.dev/grant': 'none' } } };
  const contentType = 'application/merge-patch+json';
  const { body } = await admin.request<{ message?: string }>('PATCH', `${PODS}/probe?dryRun=All`, patch, { contentType });
  return body.message?.includes('ValidatingAdmissionPolicy') === true;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`${what} did not take effect within ${PATIENCE_MS} ms`);
    await sleep(50);
  }
}
