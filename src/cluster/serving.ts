import type { X509Certificate } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import { type Address, printAddress } from '../address.ts';
import { printConnectionError } from '../io-errors.ts';
import type { Cluster } from './client.ts';

/** The address of a serving pod; `port` is that of the webhook. */
export interface Endpoint extends Address {
  /** Port of the probes. */
  readonly operationsPort: number;
  /** Whether the Service sends calls of the API server to this pod now. */
  readonly isReady: boolean;
}

/** The observed state of a serving pod. */
export interface ServingPod {
  /** `host:port`. */
  readonly address: string;
  readonly isReady: boolean;
  /** The certificate that the pod presents. Absent: it could not be read. */
  readonly leaf?: X509Certificate;
  readonly version?: string;
  /** Digest of the configuration that the pod runs. */
  readonly configuration?: string;
  /** Why a field above is absent. */
  readonly problem?: string;
}

interface Slice {
  readonly addressType?: string;
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
  readonly endpoints?: readonly { readonly addresses: readonly string[]; readonly conditions?: { readonly ready?: boolean } }[] | null;
}

/** The pods behind a Service, including those that are not ready. */
export async function servingEndpoints(
  cluster: Cluster,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  operationsPort: number,
): Promise<readonly Endpoint[]> {
  const slices = await cluster.list('discovery.k8s.io/v1', 'EndpointSlice', { namespace, selector: `kubernetes.io/service-name=${name}` });
  return endpointsOf(slices as readonly Slice[], operationsPort);
}

/** The webhook port is the port named `https`, or the only port. */
export function endpointsOf(slices: readonly Slice[], operationsPort: number): readonly Endpoint[] {
  return slices.flatMap(({ addressType, ports, endpoints }) => {
    const [first, ...others] = ports ?? [];
    const port = (ports?.find(({ name }) => name === 'https') ?? (others.length === 0 ? first : undefined))?.port;
    if (port === undefined || addressType === 'FQDN') return [];
    return (endpoints ?? []).flatMap(({ addresses, conditions }) =>
      // The API documents an absent `ready` as true.
      addresses.map((host) => ({ host, port, operationsPort, isReady: conditions?.ready ?? true })),
    );
  });
}

const TIMEOUT_MS = 5_000;

/** Reads from a serving pod which certificate it presents, and which version and configuration it runs. */
export async function observePod(endpoint: Endpoint, servername: string): Promise<ServingPod> {
  const address = printAddress(endpoint);
  const [leaf, build] = await Promise.allSettled([readLeaf(endpoint, servername), readBuild(endpoint)]);
  const problems = [leaf, build].flatMap((each) => (each.status === 'rejected' ? [printConnectionError(each.reason, TIMEOUT_MS)] : []));
  return {
    address,
    isReady: endpoint.isReady,
    ...(leaf.status === 'fulfilled' && leaf.value !== undefined && { leaf: leaf.value }),
    ...(build.status === 'fulfilled' && build.value),
    ...(problems.length > 0 && { problem: `${address} does not answer: ${problems.join(', ')}` }),
  };
}

function readLeaf({ host, port }: Endpoint, servername: string): Promise<X509Certificate | undefined> {
  return new Promise((resolve, reject) => {
    // The certificate is read, not trusted: this connection sends no request.
    const socket = connectTls({ host, port, servername, rejectUnauthorized: false, timeout: TIMEOUT_MS }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.end();
    });
    socket.once('timeout', () => socket.destroy(new Error(`no TLS handshake within ${TIMEOUT_MS / 1_000} s`)));
    socket.once('error', reject);
  });
}

/** Read from /readyz. The answer states both, also if the pod is not ready. */
async function readBuild({ host, operationsPort }: Endpoint): Promise<Pick<ServingPod, 'version' | 'configuration'>> {
  const response = await fetch(`http://${printAddress({ host, port: operationsPort })}/readyz`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const { version, configuration } = JSON.parse(await response.text()) as { readonly [key: string]: unknown };
  return { ...(typeof version === 'string' && { version }), ...(typeof configuration === 'string' && { configuration }) };
}
