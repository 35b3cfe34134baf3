import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Endpoint } from '../../cluster/serving.ts';
import type { Target } from '../../manifests/entries.ts';
import { CERTIFICATE_KEEPERS } from '../../manifests/rbac.ts';
import { flagWithVariable, MAX_PORT, parseAddress, parseNamespace, parsePort } from './flags.ts';

/** Flags of the commands for what the cluster holds. */

/** Its value is a ServiceTarget. */
export function serviceOption(note = ''): Option {
  const description = `Service at which the API server calls Cloister; the default port is 443${note}`;
  return flagWithVariable('--service <namespace/name[:port]>', description, 'SERVICE').argParser(parseService);
}

export function certificatesOption(description: string): Option {
  return new Option('--certificates <keeper>', description).choices(CERTIFICATE_KEEPERS).default('ensure');
}

export function operationsPortOption(): Option {
  return flagWithVariable('--operations-port <port>', 'port of probes and metrics of the serving pods', 'OPERATIONS_PORT')
    .argParser(parsePort)
    .default(9443);
}

/** @param start of the description */
export function cloisterNamespaceOption(start = ''): Option {
  const description = 'namespace of the chart; default: the namespace of the Service that the webhook configurations call';
  return new Option('--cloister-namespace <name>', start + description).argParser(parseNamespace);
}

/** Its value is a list of Endpoint. */
export function servingEndpointsOption(): Option {
  return new Option(
    '--serving-endpoints <endpoints>',
    'serving pods, as HOST:PORT/OPERATIONS-PORT with commas between them; without it, those of the EndpointSlices of the Service',
  ).argParser(parseEndpoints);
}

/** How to reach a cluster. */
export function addClusterFlags(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'kubeconfig; without one: KUBECONFIG, ~/.kube/config, or the service account of the pod')
    .option('--context <name>', 'context of the kubeconfig; without one: its current context');
}

export type ServiceTarget = Extract<Target, { readonly service: unknown }>;

export function parseService(text: string): ServiceTarget {
  const { namespace = '', name = '', port } = text.match(SERVICE)?.groups ?? {};
  if (name === '' || Number(port ?? 1) < 1 || Number(port ?? 1) > MAX_PORT) {
    throw new InvalidArgumentError('It must be NAMESPACE/NAME or NAMESPACE/NAME:PORT, like cloister/cloister:443.');
  }
  return { service: port === undefined ? { namespace, name } : { namespace, name, port: Number(port) } };
}

const SERVICE = /^(?<namespace>[a-z0-9][-a-z0-9]{0,62})\/(?<name>[a-z0-9][-a-z0-9]{0,62})(:(?<port>\d{1,5}))?$/;

function parseEndpoints(text: string): readonly Endpoint[] {
  return text.split(',').map((each) => {
    const slash = each.lastIndexOf('/');
    if (slash === -1) throw new InvalidArgumentError('Each must be HOST:PORT/OPERATIONS-PORT, like 127.0.0.1:8443/9443.');
    return { ...parseAddress(each.slice(0, slash)), operationsPort: parsePort(each.slice(slash + 1)), isReady: true };
  });
}
