import { MUTATING_CONFIGURATION, VALIDATING_CONFIGURATION } from '../core/object-names.ts';
import { err, ok, type Result } from '../core/result.ts';
import type { Cluster } from './client.ts';
import { type LiveObject, type Reference, titleOf } from './object.ts';

/** The name of the chart's ConfigMap, and the key of the configuration in it. */
export const CONFIG_MAP = 'cloister-config';
const KEY = 'config.yaml';

/** Helm writes it on each object of a release. */
const RELEASE_NAMESPACE = 'meta.helm.sh/release-namespace';

/** These objects have no namespace, so a user with rights in single namespaces cannot create or change them. */
const WEBHOOK_CONFIGURATIONS: readonly Reference[] = [
  { kind: 'MutatingWebhookConfiguration', name: MUTATING_CONFIGURATION },
  { kind: 'ValidatingWebhookConfiguration', name: VALIDATING_CONFIGURATION },
].map(({ kind, name }) => ({ apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name } }));

export interface InstalledConfiguration {
  readonly text: string;
  /** `ConfigMap cloister-system/cloister-config`. */
  readonly title: string;
  readonly namespace: string;
}

/**
 * Reads the configuration of the installed chart.
 * @param namespace undefined: the namespace that the webhook configurations name. This function never searches all namespaces for the ConfigMap,
 *   because any user who may create a ConfigMap could offer another configuration
 * @returns its text and where it is, or why there is none; throws a ClusterError
 */
export async function findConfiguration(cluster: Cluster, namespace: string | undefined): Promise<Result<InstalledConfiguration, string>> {
  const place = namespace === undefined ? await findNamespace(cluster) : ok(namespace);
  if (!place.ok) return place;
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: CONFIG_MAP, namespace: place.value } };
  const title = titleOf(reference);
  const found = await cluster.read(reference);
  if (found === undefined) {
    return err(`the cluster has no ${title}: name the namespace of the chart with --cloister-namespace, or a file with --config`);
  }
  const { [KEY]: text } = (found.data ?? {}) as Readonly<Record<string, string | undefined>>;
  return text === undefined ? err(`${title} has no key ${KEY}: name a file with --config`) : ok({ text, title, namespace: place.value });
}

/** The namespace of the Service that the API server calls or, while there are no entries, the namespace of the release. */
async function findNamespace(cluster: Cluster): Promise<Result<string, string>> {
  const titles = WEBHOOK_CONFIGURATIONS.map(titleOf);
  const found: LiveObject[] = [];
  for (const each of WEBHOOK_CONFIGURATIONS) {
    const live = await cluster.read(each);
    if (live !== undefined) found.push(live);
  }
  if (found.length === 0) {
    return err(`the cluster has no ${titles.join(' and no ')}: install the chart, or name a file with --config`);
  }
  const named = found
    .map((each) => ({ title: titleOf(each), namespaces: namespacesIn(each) }))
    .filter((each) => each.namespaces.length > 0);
  const [namespace, ...others] = new Set(named.flatMap(({ namespaces }) => namespaces));
  if (namespace === undefined) {
    const [verb, subject] = [found.length === 1 ? 'does' : 'do', found.map(titleOf).join(' and ')];
    return err(
      `${subject} ${verb} not say in which namespace Cloister is installed: name it with --cloister-namespace, or a file with --config`,
    );
  }
  if (others.length === 0) return ok(namespace);
  const list = named.map(({ title, namespaces }) => `${title}: ${namespaces.join(', ')}`).join('; ');
  return err(`the webhook configurations call Cloister in several namespaces (${list}): name one with --cloister-namespace`);
}

function namespacesIn({ webhooks, metadata: { annotations = {} } }: LiveObject): readonly string[] {
  const entries = (webhooks ?? []) as readonly { readonly clientConfig: { readonly service?: { readonly namespace: string } } }[];
  const called = entries.flatMap(({ clientConfig: { service } }) => service?.namespace ?? []);
  const { [RELEASE_NAMESPACE]: release } = annotations;
  return [...new Set(called.length === 0 && release !== undefined ? [release] : called)];
}
