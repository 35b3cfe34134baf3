import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Target } from '../../manifests/entries.ts';
import { CERTIFICATE_KEEPERS } from '../../manifests/rbac.ts';
import { flagWithVariable, MAX_PORT } from './flags.ts';

/** Flags of the commands for what the cluster holds. */

/** Its value is a ServiceTarget. */
export function serviceOption(note = ''): Option {
  const description = `Service at which the API server calls Cloister; the default port is 443${note}`;
  return flagWithVariable('--service <namespace/name[:port]>', description, 'SERVICE').argParser(parseService);
}

export function certificatesOption(description: string): Option {
  return new Option('--certificates <keeper>', description).choices(CERTIFICATE_KEEPERS).default('ensure');
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
