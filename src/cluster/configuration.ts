import { err, ok, type Result } from '../core/result.ts';
import type { Cluster } from './client.ts';
import { titleOf } from './object.ts';

/** The name of the chart's ConfigMap, and the key of the configuration in it. */
const NAME = 'cloister-config';
const KEY = 'config.yaml';
const SELECTOR = 'app.kubernetes.io/name=cloister';

/**
 * Reads the configuration of the installed chart.
 * @param namespace undefined: it is searched in all namespaces
 * @returns its text and where it is, or why there is none; throws a ClusterError
 */
export async function findConfiguration(
  cluster: Cluster,
  namespace: string | undefined,
): Promise<Result<{ readonly text: string; readonly title: string }, string>> {
  const place = namespace === undefined ? 'the cluster' : `namespace ${namespace}`;
  const listed = await cluster.list('v1', 'ConfigMap', { ...(namespace === undefined ? {} : { namespace }), selector: SELECTOR });
  const found = listed.filter(({ metadata }) => metadata.name === NAME);
  const [only, ...others] = found;
  if (only === undefined) {
    return err(`${place} has no ConfigMap ${NAME} with the label ${SELECTOR}: install the chart, or name a file with --config`);
  }
  // Items of a list lack their kind.
  const title = titleOf({ ...only, kind: 'ConfigMap' });
  if (others.length > 0) {
    const names = found.map((each) => each.metadata.namespace).join(', ');
    return err(`Cloister is installed in several namespaces (${names}): name one with --cloister-namespace`);
  }
  const { [KEY]: text } = (only.data ?? {}) as Readonly<Record<string, string | undefined>>;
  return text === undefined ? err(`${title} has no key ${KEY}: name a file with --config`) : ok({ text, title });
}
