import type { ApiServer } from './api-server.ts';
import type { Method } from './client.ts';

/** Pods of every kind that `cloister scan` judges, in an API server without a webhook: they can all be stored. There are no kubelets. */

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles: {userns: {grant: sudo}, gvisor: {}, kata-qemu: {}}
governs: [{namespaces: [by-name-*], enforce: userns}]
`;

export const pod = (name: string, spec: object = {}, metadata: object = {}): object => ({
  metadata: { name, ...metadata },
  spec: {
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'workspace', image: 'registry.example.com/workspace:1', securityContext: { allowPrivilegeEscalation: true } }],
    ...spec,
  },
});
export const MARK = { annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } };
export const WALLED = { hostUsers: false };
const PRIVILEGED = {
  containers: [{ name: 'workspace', image: 'registry.example.com/workspace:1', securityContext: { privileged: true } }],
  volumes: [{ name: 'node', hostPath: { path: '/' } }],
};

export interface ScanCluster {
  create(path: string, body: object): Promise<void>;
  patch(path: string, body: object): Promise<void>;
  /** @param node on which the pod then runs; absent: none */
  createPod(namespace: string, body: object, node?: string): Promise<void>;
  /** Creates the nodes, classes, namespaces and pods. */
  fill(): Promise<void>;
}

export function scanClusterOf(apiServer: ApiServer): ScanCluster {
  const { admin } = apiServer;
  return { create, patch, createPod, fill };

  async function request(method: Method, path: string, body: object, contentType = 'application/json'): Promise<void> {
    const { status, body: answer } = await admin.request(method, path, body, { contentType });
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  }
  function create(path: string, body: object): Promise<void> {
    return request('POST', path, body);
  }

  function patch(path: string, body: object): Promise<void> {
    return request('PATCH', path, body, 'application/merge-patch+json');
  }

  async function createNode(name: string, status: object, labels: object = {}): Promise<void> {
    await create('/api/v1/nodes', { metadata: { name, labels } });
    await patch(`/api/v1/nodes/${name}/status`, { status });
  }

  async function createPod(namespace: string, body: object, node?: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    await create(path, body);
    if (node === undefined) return;
    const { name } = (body as { metadata: { name: string } }).metadata;
    await create(`${path}/${name}/binding`, { metadata: { name }, target: { kind: 'Node', name: node } });
    await patch(`${path}/${name}/status`, { status: { phase: 'Running' } });
  }

  async function fill(): Promise<void> {
    const runtimeHandlers = [
      { name: '', features: { userNamespaces: true } },
      { name: 'runc', features: { userNamespaces: true } },
      { name: 'kata-qemu', features: {} },
    ];
    const nodeInfo = { kubeletVersion: 'v1.35.2-eks-1a2b3c4', containerRuntimeVersion: 'containerd://2.1.4' };
    await createNode('worker-1', { runtimeHandlers, nodeInfo });
    await createNode('worker-old', { nodeInfo: { ...nodeInfo, kubeletVersion: 'v1.29.14' } });
    await apiServer.createRuntimeClass('kata-qemu', { handler: 'kata-qemu' });
    await apiServer.createRuntimeClass('gvisor', { handler: 'runc' });
    const namespaces: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      'cloister-system': {},
      'team-a': { 'cloister.dev/enforce': 'userns' },
      'team-b': { 'cloister.dev/enforce': 'gvisor' },
      'team-c': { 'cloister.dev/warn': 'kata-qemu', 'cloister.dev/enforce': 'userns' },
      'team-d': {},
      'team-e': { 'cloister.dev/audit': 'nonesuch' },
      'by-name-1': {},
    };
    for (const [name, labels] of Object.entries(namespaces)) await apiServer.createNamespace(name, labels);
    await create('/api/v1/namespaces/cloister-system/configmaps', {
      metadata: { name: 'cloister-config' },
      data: { 'config.yaml': CONFIG },
    });
    // As Helm creates it, before there are entries.
    await create('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
      metadata: { name: 'cloister', annotations: { 'meta.helm.sh/release-namespace': 'cloister-system' } },
    });
    await createPod('team-a', pod('clean', WALLED, MARK), 'worker-1');
    await createPod('team-a', pod('unmarked', WALLED), 'worker-1');
    await createPod('team-a', pod('ignored', WALLED, MARK), 'worker-old');
    await createPod('team-a', pod('escaped', PRIVILEGED), 'worker-1');
    await createPod('team-a', pod('named', { ...WALLED, nodeName: 'worker-1' }, MARK));
    await createPod('team-a', pod('waiting', WALLED, MARK));
    await createPod('team-a', pod('done', WALLED, MARK), 'worker-1');
    const { body: worker } = await apiServer.admin.request<{ metadata: { uid: string } }>('GET', '/api/v1/nodes/worker-1');
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: worker.metadata.uid }];
    const mirror = { annotations: { 'kubernetes.io/config.mirror': 'b1946ac9' }, ownerReferences };
    await createPod('team-a', pod('static-worker-1', { nodeName: 'worker-1', automountServiceAccountToken: false }, mirror));
    await patch('/api/v1/namespaces/team-a/pods/done/status', { status: { phase: 'Succeeded' } });
    const { body } = await apiServer.admin.request<{ metadata: { uid: string } }>('GET', '/api/v1/namespaces/team-a/pods/waiting');
    await create('/api/v1/namespaces/team-a/events', {
      metadata: { name: 'waiting.1' },
      involvedObject: { kind: 'Pod', name: 'waiting', namespace: 'team-a', uid: body.metadata.uid },
      type: 'Warning',
      reason: 'FailedCreatePodSandBox',
      message: 'failed to start noop process for unshare: fork/exec /proc/self/exe: no space left on device',
    });
    await create('/api/v1/namespaces/team-a/events', {
      metadata: { name: 'web.1' },
      involvedObject: { kind: 'ReplicaSet', name: 'web', namespace: 'team-a' },
      type: 'Warning',
      reason: 'FailedCreate',
      message: 'pods "web-1" is forbidden: violates PodSecurity "restricted:latest"',
    });
    await createPod('team-b', pod('plain', { runtimeClassName: 'gvisor' }), 'worker-1');
    await createPod('team-c', pod('two-modes', WALLED, MARK), 'worker-1');
    await createPod('team-d', pod('opted-in', WALLED, { ...MARK, labels: { 'cloister.dev/profile': 'userns' } }), 'worker-1');
    await createPod('team-d', pod('ungoverned', PRIVILEGED), 'worker-1');
    await createPod('team-e', pod('unknown-profile'), 'worker-1');
    await createPod('by-name-1', pod('by-name', WALLED, MARK), 'worker-1');
  }
}
