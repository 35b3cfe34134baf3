import type { X509Certificate } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import type { Cluster } from './client.ts';

/** Where a serving pod is reached. */
export interface Endpoint {
  readonly host: string;
  /** Of the webhook. */
  readonly port: number;
  /** Of probes and metrics. */
  readonly operationsPort: number;
  /** Whether the API server's calls go there now. */
  readonly isReady: boolean;
}

/** What a serving pod says of itself. */
export interface Server {
  /** `host:port`. */
  readonly address: string;
  readonly isReady: boolean;
  /** The certificate that it presents. Absent: it could not be learnt. */
  readonly leaf?: X509Certificate;
  readonly version?: string;
  /** The digest of its configuration. */
  readonly configuration?: string;
  /** Why something above is absent. */
  readonly problem?: string;
}

interface Slice {
  readonly addressType?: string;
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
  readonly endpoints?: readonly { readonly addresses: readonly string[]; readonly conditions?: { readonly ready?: boolean } }[] | null;
}

/** The pods behind a Service, those that are not ready too. */
export async function servingEndpoints(
  cluster: Cluster,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  operationsPort: number,
): Promise<readonly Endpoint[]> {
  const slices = await cluster.list('discovery.k8s.io/v1', 'EndpointSlice', { namespace, selector: `kubernetes.io/service-name=${name}` });
  return endpointsOf(slices as readonly Slice[], operationsPort);
}

/** The port called `https` is the webhook's, or the only one. */
export function endpointsOf(slices: readonly Slice[], operationsPort: number): readonly Endpoint[] {
  return slices.flatMap(({ addressType, ports, endpoints }) => {
    const [first, ...others] = ports ?? [];
    const port = (ports?.find(({ name }) => name === 'https') ?? (others.length === 0 ? first : undefined))?.port;
    if (port === undefined || addressType === 'FQDN') return [];
    return (endpoints ?? []).flatMap(({ addresses, conditions }) =>
      // Whoever leaves `ready` out means yes.
      addresses.map((host) => ({ host, port, operationsPort, isReady: conditions?.ready ?? true })),
    );
  });
}

const PATIENCE_MS = 5_000;

/** Asks a serving pod which certificate it presents, and which version and configuration it runs. */
export async function askServer(endpoint: Endpoint, servername: string): Promise<Server> {
  const address = print(endpoint.host, endpoint.port);
  const [leaf, told] = await Promise.allSettled([presentedLeaf(endpoint, servername), toldConfiguration(endpoint)]);
  const problems = [leaf, told].flatMap((each) => (each.status === 'rejected' ? [reasonOf(each.reason)] : []));
  return {
    address,
    isReady: endpoint.isReady,
    ...(leaf.status === 'fulfilled' && leaf.value !== undefined && { leaf: leaf.value }),
    ...(told.status === 'fulfilled' && told.value),
    ...(problems.length > 0 && { problem: `${address} does not answer: ${problems.join(', ')}` }),
  };
}

function presentedLeaf({ host, port }: Endpoint, servername: string): Promise<X509Certificate | undefined> {
  return new Promise((resolve, reject) => {
    // Who answers is to be found out, not to be trusted: no request is sent.
    const socket = connectTls({ host, port, servername, rejectUnauthorized: false, timeout: PATIENCE_MS }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.end();
    });
    socket.once('timeout', () => socket.destroy(new Error(`no TLS handshake within ${PATIENCE_MS / 1_000} s`)));
    socket.once('error', reject);
  });
}

async function toldConfiguration({ host, operationsPort }: Endpoint): Promise<Pick<Server, 'version' | 'configuration'>> {
  const response = await fetch(`http://${print(host, operationsPort)}/metrics`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const metrics = await response.text();
  const version = /^cloister_build_info\{version="([^"]*)"\} 1$/m.exec(metrics)?.[1];
  const configuration = /^cloister_configuration_info\{sha256="([^"]*)"\} 1$/m.exec(metrics)?.[1];
  return { ...(version !== undefined && { version }), ...(configuration !== undefined && { configuration }) };
}

function print(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function reasonOf(error: unknown): string {
  const { code, message, cause } = error as NodeJS.ErrnoException & { readonly cause?: NodeJS.ErrnoException };
  return code ?? cause?.code ?? message;
}
