import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { differences } from '../support/kubernetes.ts';
import { dockerInDocker, hostNamespaces, hostPath, type PodManifest, plainPod } from '../support/pod-manifests.ts';

/** Ways in which a pod could avoid the isolation of its namespace. The tests check the objects that the API server stores. */

interface Stored {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly spec: {
    readonly hostUsers?: boolean;
    readonly hostNetwork?: boolean;
    readonly hostPID?: boolean;
    readonly runtimeClassName?: string;
    readonly containers: readonly { readonly securityContext?: object }[];
  };
  readonly message?: string;
}

const MERGE = { contentType: 'application/merge-patch+json' };
const APPLIED = 'cloister.dev/profile-applied';
const NAMESPACE = 'scope';
const PODS = podsOf(NAMESPACE);

let apiServer: ApiServer;
let tenant: Client;
let serial = 0;

function podsOf(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}

function named(pod: PodManifest, metadata: object = {}): PodManifest {
  serial += 1;
  return { ...pod, metadata: { ...pod.metadata, ...metadata, name: `${pod.metadata.name}-${serial}` } };
}

const create = (pod: PodManifest, client = tenant, path = PODS): Promise<Answer<Stored>> => client.request<Stored>('POST', path, pod);

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20); // the test's own timeout ends it
}

async function storedAs({ metadata: { name } }: PodManifest): Promise<Stored> {
  const { status, body } = await tenant.request<Stored>('GET', `${PODS}/${name}`);
  expect(status).toBe(200);
  return body;
}

beforeAll(async () => {
  apiServer = await useApiServer();
  await apiServer.createNamespace(NAMESPACE, { 'cloister.dev/enforce': 'userns' });
  tenant = await apiServer.createTenant(NAMESPACE, 'author');
});

describe('T01: a pod gets its namespace’s profile', () => {
  test.each<[string, object]>([
    ['that has no label', {}],
    ['that has labels of its own', { labels: { app: 'web' } }],
    ['that writes the label in other letters', { labels: { 'cloister.dev/Profile': 'gvisor' } }],
    ['that writes its value in other letters', { labels: { 'example.com/profile': 'userns' } }],
    ['that names the namespace’s label on itself', { labels: { 'cloister.dev/enforce': 'gvisor' } }],
    ['whose name is generated', { generateName: 'kube-proxy-' }],
  ])('a pod %s gets its namespace’s profile', async (_, metadata) => {
    const repaired = named(hostNamespaces(), metadata);
    expect((await create(repaired)).status).toBe(201);
    const { spec, metadata: stored } = await storedAs(repaired);
    expect(spec).toMatchObject({ hostUsers: false });
    expect([spec.hostNetwork, spec.hostPID]).toEqual([undefined, undefined]);
    expect(stored.annotations).toMatchObject({ [APPLIED]: 'userns/sudo' });
    const { status, body } = await create(named(hostPath(), metadata));
    expect(status).toBe(403);
    expect(body.message).toContain('admission webhook "userns.namespace.enforce.cloister.dev" denied the request: ');
  });
});

describe('T08: explicit values do not bypass the webhook', () => {
  const walls: readonly (readonly [string, object, object])[] = [
    ['hostUsers absent', {}, { hostUsers: false }],
    ['hostUsers null', { hostUsers: null }, { hostUsers: false }],
    ['hostUsers wrong', { hostUsers: true }, { hostUsers: false }],
    ['hostUsers right', { hostUsers: false }, { hostUsers: false }],
    ['runtimeClassName null', { runtimeClassName: null }, { hostUsers: false }],
    ['runtimeClassName wrong', { runtimeClassName: 'foreign' }, { hostUsers: false }],
    ['schedulerName of its own', { schedulerName: 'mine' }, { hostUsers: false, schedulerName: 'mine' }],
    ['hostNetwork null', { hostNetwork: null }, { hostUsers: false }],
    ['hostNetwork false', { hostNetwork: false }, { hostUsers: false }],
    ['nodeName empty', { nodeName: '' }, { hostUsers: false }],
    ['nodeName null', { nodeName: null }, { hostUsers: false }],
    ['priorityClassName empty', { priorityClassName: '' }, { hostUsers: false }],
  ];
  test.each(walls)('a pod with %s is stored isolated', async (_, spec, wall) => {
    const pod = named(plainPod('explicit', spec));
    const { status, body } = await create(pod);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    const stored = await storedAs(pod);
    expect(stored.spec).toMatchObject(wall);
    expect([stored.spec.runtimeClassName, stored.spec.hostNetwork]).toEqual([undefined, undefined]);
  });

  test.each([
    ['nodeName', { nodeName: 'worker-1' }],
    ['priorityClassName', { priorityClassName: 'system-cluster-critical' }],
  ])('a pod with %s is refused', async (field, spec) => {
    const { status, body } = await create(named(plainPod('explicit', spec)));
    expect(status).toBe(403);
    expect(body.message).toContain(`spec.${field}`);
  });

  test.each(['runtimeClassName', 'hostUsers'])('the API server itself rejects an empty %s', async (field) => {
    const pod = named(plainPod('explicit', { [field]: '' }));
    expect((await create(pod)).status).toBeGreaterThanOrEqual(400);
    expect((await tenant.request('GET', `${PODS}/${pod.metadata.name}`)).status).toBe(404);
  });
});

describe('T14: static pods', () => {
  const node = 'worker-14';
  let kubelet: Client;
  let uid: string;

  const mirror = (name: string): object => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      annotations: { 'kubernetes.io/config.mirror': 'a1b2c3', 'kubernetes.io/config.source': 'file' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node, uid, controller: true }],
    },
    spec: { nodeName: node, hostNetwork: true, automountServiceAccountToken: false, containers: [{ name: 'proxy', image: 'proxy' }] },
  });

  beforeAll(async () => {
    const { body } = await apiServer.admin.request<{ metadata: { uid: string } }>('POST', '/api/v1/nodes', { metadata: { name: node } });
    uid = body.metadata.uid;
    kubelet = await apiServer.client(`system:node:${node}`, ['system:nodes']);
    await apiServer.admin.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'scope-kubelet' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: kubelet.user }],
    });
    await until(async () => (await kubelet.request('POST', `${podsOf('default')}?dryRun=All`, mirror('probe'))).status === 201);
  });

  test('the mirror pod of a kubelet is stored unchanged', async () => {
    const { status, body, warnings } = await kubelet.request<Stored>('POST', PODS, mirror(`static-${node}`));
    expect({ status, warnings, message: body.message }).toEqual({ status: 201, warnings: [], message: undefined });
    expect(body.spec).toMatchObject({ hostNetwork: true });
    expect(body.spec.hostUsers).toBeUndefined();
    expect(body.metadata.annotations).not.toHaveProperty([APPLIED]);
  });

  test('a mirror pod that a tenant creates is refused', async () => {
    const { status, body } = await tenant.request<Stored>('POST', PODS, mirror('forged'));
    expect(status).toBe(403);
    expect(body.message).toContain('mirror-pod: ');
    expect((await tenant.request('GET', `${PODS}/forged`)).status).toBe(404);
  });
});

describe('T18: a namespace cannot exclude itself by a forged name label', () => {
  test('a forged name label at creation does not exclude the namespace', async () => {
    const labels = { 'kubernetes.io/metadata.name': 'kube-system', 'cloister.dev/enforce': 'userns' };
    const { status } = await apiServer.admin.request('POST', '/api/v1/namespaces', { metadata: { name: 'scope-posing', labels } });
    expect(status).toBe(201);
    const { body } = await apiServer.admin.request<Stored>('GET', '/api/v1/namespaces/scope-posing');
    expect(body.metadata.labels).toMatchObject({ 'kubernetes.io/metadata.name': 'scope-posing' });
  });

  test.each(['kube-system', null, ''])('the name label changed to %j does not exclude the namespace', async (name) => {
    const change = { metadata: { labels: { 'kubernetes.io/metadata.name': name } } };
    await apiServer.admin.request('PATCH', `/api/v1/namespaces/${NAMESPACE}`, change, MERGE);
    const { body } = await apiServer.admin.request<Stored>('GET', `/api/v1/namespaces/${NAMESPACE}`);
    expect(body.metadata.labels).toMatchObject({ 'kubernetes.io/metadata.name': NAMESPACE });
    expect((await create(named(hostPath()))).status).toBe(403);
  });
});

describe('T23: keys with a meaning in JavaScript', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'a'];
  const mapOf = (name: string): object => JSON.parse(`{"${name}":"x"}`);

  test.each(names)('a label and an annotation %s do not affect the decision', async (name) => {
    const volumes = [{ name: 'data', csi: { driver: 'secrets-store.csi.k8s.io', volumeAttributes: mapOf(name) } }];
    const metadata = name === '__proto__' ? {} : { labels: mapOf(name), annotations: mapOf(name) };
    const pod = named(plainPod('keys', { volumes, ...(name !== '__proto__' && { nodeSelector: mapOf(name) }) }), metadata);
    const { status, body } = await create(pod);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    expect((await storedAs(pod)).spec).toMatchObject({ hostUsers: false, volumes: [{ csi: { volumeAttributes: mapOf(name) } }, {}] });
    const refused = named(plainPod('keys', { volumes: [...volumes, { name: 'node', hostPath: { path: '/' } }] }), metadata);
    expect((await create(refused)).status).toBe(403);
  });
});

describe('T26: updates of pods without metadata are judged', () => {
  test.each<[string, object]>([
    ['labels and annotations', {}],
    ['annotations', { labels: { a: 'b' } }],
    ['labels', { annotations: { a: 'b' } }],
  ])('an update of a pod without %s is judged', async (_, metadata) => {
    const pod = named(plainPod('lacking'), metadata);
    expect((await create(pod)).status).toBe(201);
    const path = `${PODS}/${pod.metadata.name}`;
    const { spec } = (await tenant.request<{ spec: { tolerations: readonly object[] } }>('GET', path)).body;
    const change = {
      metadata: { labels: null, annotations: { a: null } },
      spec: { tolerations: [...spec.tolerations, { operator: 'Exists' }] },
    };
    const { status, body } = await tenant.request<Stored>('PATCH', path, change, MERGE);
    expect(status).toBe(403);
    expect(body.message).toContain('a toleration without a key tolerates every taint');
  });
});

// Earlier versions have it in beta, which is off.
if (differences.hasMutatingPolicies) {
  test('T29: a pod that a MutatingAdmissionPolicy makes non-compliant is stored isolated, with and without reinvocation', async () => {
    const policies = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies';
    const path = podsOf('scope-policy');
    await apiServer.createNamespace('scope-policy');
    const mutation = { patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{spec: Object.spec{hostPID: true}}' } };
    const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] };
    const only = { matchLabels: { 'kubernetes.io/metadata.name': 'scope-policy' } };
    const made = await apiServer.admin.request('POST', policies, {
      metadata: { name: 'zzz-scope' },
      spec: { matchConstraints: { resourceRules: [rule], namespaceSelector: only }, mutations: [mutation], reinvocationPolicy: 'IfNeeded' },
    });
    expect(made.status).toBe(201);
    const bound = await apiServer.admin.request('POST', policies.replace('policies', 'policybindings'), {
      metadata: { name: 'zzz-scope' },
      spec: { policyName: 'zzz-scope' },
    });
    expect(bound.status).toBe(201);
    const probe = async (): Promise<Stored> => (await create(plainPod('probe'), apiServer.admin, `${path}?dryRun=All`)).body;
    await until(async () => (await probe()).spec?.hostPID === true);
    const label = { metadata: { labels: { 'cloister.dev/enforce': 'userns' } } };
    expect((await apiServer.admin.request('PATCH', '/api/v1/namespaces/scope-policy', label, MERGE)).status).toBe(200);
    await until(async () => (await probe()).spec?.hostPID !== true);
    const { status } = await create(plainPod('made-bad'), apiServer.admin, path);
    const { body: stored } = await apiServer.admin.request<Stored>('GET', `${path}/made-bad`);
    expect(status).toBe(201);
    expect([stored.spec.hostPID, stored.spec.hostUsers]).toEqual([undefined, false]);
  });
}

test('T31: a Job whose pod is older than its namespace’s label completes, and its pod loses its finalizer', async () => {
  const namespace = 'scope-job';
  await apiServer.createNamespace(namespace);
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const spec = { ...dockerInDocker().spec, restartPolicy: 'Never' };
  expect((await apiServer.admin.request('POST', jobs, { metadata: { name: 'old' }, spec: { template: { spec } } })).status).toBe(201);
  interface Pods {
    readonly items: readonly (Stored & { readonly metadata: { readonly name: string } })[];
  }
  const items = async () => (await apiServer.admin.request<Pods>('GET', podsOf(namespace))).body.items;
  await until(async () => (await items()).length === 1);
  const [pod] = await items();
  expect(pod?.metadata.finalizers).toEqual(['batch.kubernetes.io/job-tracking']);

  const label = { metadata: { labels: { 'cloister.dev/enforce': 'userns' } } };
  await apiServer.admin.request('PATCH', `/api/v1/namespaces/${namespace}`, label, MERGE);
  await until(async () => (await create(hostPath('probe'), apiServer.admin, `${podsOf(namespace)}?dryRun=All`)).status === 403);
  const ended = { status: { phase: 'Succeeded' } };
  expect((await apiServer.admin.request('PATCH', `${podsOf(namespace)}/${pod?.metadata.name}/status`, ended, MERGE)).status).toBe(200);
  interface Job {
    readonly status: { readonly succeeded?: number; readonly completionTime?: string };
  }
  await until(async () => (await apiServer.admin.request<Job>('GET', `${jobs}/old`)).body.status.completionTime !== undefined);
  expect((await items())[0]?.metadata.finalizers).toBeUndefined();
});

test('T46: an annotation is removed whose key must be escaped in a patch, and other annotations stay', async () => {
  const annotations = { 'devices.nri.io/container.workspace': 'x', 'example.com/a_b.c-d': 'y', note: '~0/~1/%2f' };
  const pod = named(plainPod('escaped'), { annotations });
  expect((await create(pod)).status).toBe(201);
  const { [APPLIED]: _, ...kept } = (await storedAs(pod)).metadata.annotations ?? {};
  expect(kept).toEqual({ 'example.com/a_b.c-d': 'y', note: '~0/~1/%2f' });
});

test('T70: a dry run gets the usual answer and has no side effects', async () => {
  for (let turn = 0; turn < 20; turn += 1) {
    const pod = named(hostNamespaces());
    const { status, body } = await create(pod, tenant, `${PODS}?dryRun=All`);
    expect(status).toBe(201);
    expect(body.spec.hostUsers).toBe(false);
    expect((await tenant.request('GET', `${PODS}/${pod.metadata.name}`)).status).toBe(404);
    expect((await create(named(hostPath()), tenant, `${PODS}?dryRun=All`)).status).toBe(403);
  }
});

describe('namespaces that are new', () => {
  const COUNT = 1_000;

  test(`T05, F4: a pod created directly after its namespace is isolated, ${COUNT} times of ${COUNT}`, async () => {
    let unsafe = 0;
    let made = 0;
    const turns = Array.from({ length: COUNT }, (_, index) => `scope-new-${index}`);
    const workers = Array.from({ length: 4 }, async () => {
      for (let namespace = turns.shift(); namespace !== undefined; namespace = turns.shift()) {
        const labels = { 'cloister.dev/enforce': 'userns' };
        await apiServer.admin.request('POST', '/api/v1/namespaces', { metadata: { name: namespace, labels } });
        // Without one no pod is admitted; the controller may have been faster.
        await apiServer.admin.request('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
        const { body } = await createPatiently(namespace);
        made += 1;
        if (body.spec.hostUsers !== false || body.spec.hostNetwork || body.spec.hostPID) unsafe += 1;
      }
    });
    await Promise.all(workers);
    expect({ unsafe, made }).toEqual({ unsafe: 0, made: COUNT });
  }, 300_000);

  /** Again when the API server is late: on a busy machine it has not seen the service account yet, or gives up a webhook call and refuses the pod. */
  async function createPatiently(namespace: string): ReturnType<typeof create> {
    for (;;) {
      const answer = await create(hostNamespaces('first'), apiServer.admin, podsOf(namespace));
      if (answer.status === 201) return answer;
      if (answer.status < 500 && !answer.body.message?.includes('service account')) throw new Error(answer.body.message);
    }
  }

  test('F4: a label that is added later takes effect within moments', async () => {
    await apiServer.createNamespace('scope-later');
    const path = `${podsOf('scope-later')}?dryRun=All`;
    expect((await create(hostPath(), apiServer.admin, path)).status).toBe(201);
    const label = { metadata: { labels: { 'cloister.dev/enforce': 'userns' } } };
    await apiServer.admin.request('PATCH', '/api/v1/namespaces/scope-later', label, MERGE);
    await until(async () => (await create(hostPath(), apiServer.admin, path)).status === 403);
  });
});
