import { type ApiConnection, type ApiResponse, ClusterError, FORBIDDEN, PASSED_ON, rejectionOf } from '../cluster/client.ts';
import { isObject } from '../core/shape.ts';
import type { Fact, KubeletFact } from '../doctor/facts.ts';
import { missingRight } from './missing-right.ts';
import { samplesOf } from './prometheus.ts';

/** Requests at the same time. */
const WIDTH = 4;
const USERNS_ERRORS = 'kubelet_started_user_namespaced_pods_errors_total';
const CGROUP_VERSION = 'kubelet_cgroup_version';
/** Source: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/#kubelet-config-k8s-io-v1beta1-UserNamespaces */
const DEFAULT_IDS_PER_POD = 65_536;

/** Reads configuration and metrics of the kubelets, through the API server. Throws a ClusterError where RBAC forbids it. */
export async function readKubelets(api: ApiConnection, nodes: readonly string[]): Promise<readonly KubeletFact[]> {
  const found: KubeletFact[] = [];
  for (let start = 0; start < nodes.length; start += WIDTH) {
    const batch = nodes.slice(start, start + WIDTH).map(async (node): Promise<KubeletFact> => {
      const [configuration, metrics] = await Promise.all([
        read(api, node, 'configz', configurationIn),
        read(api, node, 'metrics', metricsIn),
      ]);
      return { node, configuration, metrics };
    });
    found.push(...(await Promise.all(batch)));
  }
  return found;
}

/** A kubelet that does not answer says nothing about the others. */
async function read<T>(api: ApiConnection, node: string, path: string, parse: (text: string) => T): Promise<Fact<T>> {
  const what = `read /${path} of the kubelet of ${node}`;
  try {
    const response = await api.send('GET', `/api/v1/nodes/${node}/proxy/${path}`, { accept: PASSED_ON });
    if (response.status < 300) return { value: parse(response.body as string) };
    const rejection = rejectionOf(api, response, what);
    // A kubelet refuses with a text, the API server with an object.
    if (response.status === FORBIDDEN && isStatus(response))
      throw missingRight(rejection, { group: '', resource: 'nodes/proxy', verbs: ['get'] });
    return { missing: rejection.message };
  } catch (error) {
    if (error instanceof SyntaxError) return { missing: `cannot ${what}: the answer is no JSON` };
    if (error instanceof ClusterError && error.status === undefined) return { missing: error.message };
    throw error;
  }
}

const isStatus = ({ body }: ApiResponse): boolean => isObject(body) && body.kind === 'Status';

interface Configz {
  readonly kubeletconfig?: { readonly userNamespaces?: { readonly idsPerPod?: number } };
}

function configurationIn(text: string): { readonly idsPerPod: number } {
  const { kubeletconfig } = JSON.parse(text) as Configz;
  return { idsPerPod: kubeletconfig?.userNamespaces?.idsPerPod ?? DEFAULT_IDS_PER_POD };
}

function metricsIn(text: string) {
  const samples = samplesOf(text, [USERNS_ERRORS, CGROUP_VERSION]);
  const metricOf = (name: string): number | undefined => samples.get(name)?.[0]?.value;
  return { userNamespaceErrors: metricOf(USERNS_ERRORS), cgroupVersion: metricOf(CGROUP_VERSION) };
}
