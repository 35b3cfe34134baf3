import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { Agent, type RequestOptions, request as send } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Network, within } from './network.ts';
import { issueClientCertificate, type KeyPair } from './openssl.ts';

/** One identity's way to the API server: raw requests as any program sends them, and kubectl as a person types it. */
export interface Client {
  readonly user: string;
  /** Path of a kubeconfig file for programs that take one. */
  readonly kubeconfig: string;
  request<Body = unknown>(method: Method, path: string, body?: unknown, options?: RequestSettings): Promise<Answer<Body>>;
  /** The code is -1 where the time limit ended it. */
  kubectl(args: readonly string[], options?: { readonly input?: string; readonly timeoutMs?: number }): Promise<Finished>;
  /** For a caller that reads the output while it runs. */
  startKubectl(args: readonly string[], options?: { readonly timeoutMs?: number }): ChildProcessWithoutNullStreams;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface RequestSettings {
  /** For a PATCH: `application/json-patch+json`, `application/merge-patch+json`, `application/apply-patch+yaml`... */
  readonly contentType?: string;
}

export interface Answer<Body = unknown> {
  readonly status: number;
  /** Parsed if it is JSON, else the text. */
  readonly body: Body;
  /** The texts of the Warning headers, which kubectl prints as `Warning: ...`. */
  readonly warnings: readonly string[];
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running control plane as another process needs to know it; plain data. */
export interface Connection {
  readonly url: string;
  /** Holds the files of this control plane; removed when it stops. */
  readonly folder: string;
  /** Holds kubectl. */
  readonly binaries: string;
  readonly authority: KeyPair;
  readonly auditFile: string;
  /** Absent: this machine's. */
  readonly network?: Network;
}

/** A user as the API server sees one: the name and the groups that its certificate states. */
export async function certificateClient(connection: Connection, user: string, groups: readonly string[] = []): Promise<Client> {
  const home = await mkdtemp(join(connection.folder, 'client-'));
  const pair = await issueClientCertificate(home, 'client', connection.authority, { commonName: user, organizations: groups });
  const [cert, key] = await Promise.all([readFile(pair.certFile), readFile(pair.keyFile)]);
  const credential = { 'client-certificate': pair.certFile, 'client-key': pair.keyFile };
  return createClient(connection, { user, home, credential, tls: { cert, key } });
}

export async function tokenClient(connection: Connection, user: string, token: string): Promise<Client> {
  const home = await mkdtemp(join(connection.folder, 'client-'));
  return createClient(connection, { user, home, credential: { token }, headers: { authorization: `Bearer ${token}` } });
}

interface Identity {
  readonly user: string;
  /** A folder of its own, which also keeps kubectl's caches out of the real home. */
  readonly home: string;
  /** As a kubeconfig says it. */
  readonly credential: Readonly<Record<string, string>>;
  /** As a connection says it. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly headers?: Readonly<Record<string, string>>;
}

async function createClient(
  { url, authority, binaries, network }: Connection,
  { user, home, credential, tls, headers }: Identity,
): Promise<Client> {
  const agent = new Agent({
    keepAlive: true,
    ca: await readFile(authority.certFile),
    ...tls,
    ...(network && { socketPath: network.socket }),
  });
  const kubeconfig = join(home, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(kubeconfigContent(url, authority.certFile, credential)), { mode: 0o600 });
  const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: kubeconfig };
  const startKubectl: Client['startKubectl'] = (args, { timeoutMs } = {}) =>
    spawn(...within(network, join(binaries, 'kubectl'), args), { env, timeout: timeoutMs ?? 0 });
  return {
    user,
    kubeconfig,
    request<Body>(method: Method, path: string, body?: unknown, { contentType = 'application/json' }: RequestSettings = {}) {
      const content = body === undefined ? {} : { 'content-type': contentType };
      return exchange<Body>(url + path, { method, agent, headers: { accept: 'application/json', ...headers, ...content } }, body);
    },
    kubectl: (args, { input = '', ...options } = {}) => finish(startKubectl(args, options), input),
    startKubectl,
  };
}

function kubeconfigContent(server: string, caFile: string, credential: Identity['credential']): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': caFile } }],
    users: [{ name: 'test', user: credential }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
}

async function exchange<Body>(url: string, options: RequestOptions, body: unknown): Promise<Answer<Body>> {
  const sent = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  // Node leaves it out of a DELETE, whose body would then be taken for the next request.
  const length = sent === undefined ? {} : { 'content-length': Buffer.byteLength(sent) };
  const request = send(url, { ...options, headers: { ...(options.headers as object), ...length } });
  request.end(sent);
  const [response] = await once(request, 'response');
  const content = await text(response);
  const isJson = String(response.headers['content-type']).includes('json');
  return {
    status: response.statusCode,
    body: isJson ? JSON.parse(content) : content,
    warnings: (response.headersDistinct.warning ?? []).map(warningText),
  };
}

/** RFC 7234, 5.5: `299 - "the text, with \" and \\ escaped"`. */
function warningText(header: string): string {
  const quoted = header.match(/^\d{3} \S+ "((?:[^"\\]|\\.)*)"/)?.[1];
  return quoted === undefined ? header : quoted.replace(/\\(.)/g, '$1');
}

async function finish(child: ChildProcessWithoutNullStreams, input: string): Promise<Finished> {
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code ?? -1, stdout, stderr };
}
