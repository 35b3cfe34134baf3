import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { dockerInDocker, hostNamespaces, type PodManifest, plainPod } from '../support/pod-manifests.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/** What depends on the webhook server alone, without policies beside it, and what does not. The tests kill the server, so they use an API server of their own. */

interface Stored {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly spec: { readonly hostUsers?: boolean };
  readonly message?: string;
}

const MERGE = { contentType: 'application/merge-patch+json' };
const namespaces = {
  enforced: { 'cloister.dev/enforce': 'userns' },
  warned: { 'cloister.dev/warn': 'userns' },
  audited: { 'cloister.dev/audit': 'userns' },
  free: {},
} as const;

let apiServer: ApiServer & { stop(): Promise<void> };
let cloister: Cloister;
let tenant: Client;
let owner: Client;

const podsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
const named = (pod: PodManifest, name: string, metadata: object = {}): PodManifest => ({ ...pod, metadata: { name, ...metadata } });
const create = (namespace: string, pod: PodManifest) => tenant.request<Stored>('POST', podsOf(namespace), pod);
const patch = (namespace: string, name: string, metadata: object) =>
  tenant.request<Stored>('PATCH', `${podsOf(namespace)}/${name}`, { metadata }, MERGE);

beforeAll(async () => {
  apiServer = await startApiServer();
  for (const [name, labels] of Object.entries({ ...namespaces, older: {} })) {
    await apiServer.createNamespace(name, labels);
    tenant = await apiServer.createTenant(name, 'tenant');
  }
  // A user who may write namespaces: only Cloister's policy restricts the labels.
  const namespaceWriter = { metadata: { name: 'writer' }, rules: [{ apiGroups: [''], resources: ['namespaces'], verbs: ['*'] }] };
  await apiServer.admin.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', namespaceWriter);
  owner = await apiServer.createTenant('enforced', 'owner', { clusterRole: 'writer' });

  const hold = { finalizers: ['example.com/hold'] };
  for (const name of ['up', 'down']) await create('older', named(hostNamespaces(), name, hold));
  cloister = await startCloister(apiServer, { config: 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nbackstop: false\n', apply: true });
  const label = { metadata: { labels: namespaces.enforced } };
  expect((await apiServer.admin.request('PATCH', '/api/v1/namespaces/older', label, MERGE)).status).toBe(200);
  await until(async () => {
    const { body } = await tenant.request<Stored>('POST', `${podsOf('older')}?dryRun=All`, plainPod());
    return body.spec.hostUsers === false;
  });
});

afterAll(async () => {
  await cloister?.stop();
  await apiServer?.stop();
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20); // the hook's own timeout ends it
}

describe('while the server is up', () => {
  test('pods without a label in namespaces without a label never reach the server', async () => {
    const before = await requests();
    expect((await create('free', named(plainPod(), 'plain'))).status).toBe(201);
    expect((await create('free', named(dockerInDocker(), 'docker-in-docker'))).status).toBe(201);
    expect((await patch('free', 'plain', { labels: { team: 'blue' } })).status).toBe(200);
    expect((await tenant.request('DELETE', `${podsOf('free')}/plain`)).status).toBe(200);
    expect(await requests()).toEqual(before);
    // The counter does count.
    expect((await create('free', named(plainPod(), 'opted-in', { labels: { 'cloister.dev/profile': 'userns' } }))).status).toBe(201);
    expect(await requests()).not.toEqual(before);
  });

  test('a non-compliant pod that is older than its namespace’s label can get a label of its author', async () => {
    const { status, body, warnings } = await patch('older', 'up', { labels: { team: 'blue' } });
    expect({ status, warnings, message: body.message }).toEqual({ status: 200, warnings: [], message: undefined });
    expect(body.metadata.labels).toEqual({ team: 'blue' });
  });

  test('T09: a finalizer of a non-compliant older pod can be removed', async () => {
    expect((await tenant.request('DELETE', `${podsOf('older')}/up`)).status).toBe(200);
    const { status } = await patch('older', 'up', { finalizers: null });
    expect(status).toBe(200);
    expect((await tenant.request('GET', `${podsOf('older')}/up`)).status).toBe(404);
  });

  test('a pod is created that still exists when the server is down', async () => {
    expect((await create('enforced', named(plainPod(), 'governed'))).body.spec.hostUsers).toBe(false);
  });
});

/** Every counter of reviews, as Prometheus would read it. */
async function requests(): Promise<readonly string[]> {
  const lines = (await cloister.metrics()).split('\n').filter((line) => line.startsWith('cloister_requests_total{'));
  expect(lines.length).toBeGreaterThan(0);
  return lines;
}

describe('while the server is down', () => {
  beforeAll(async () => {
    await cloister.kill();
  });

  test('T20, F8: no pod is created where the namespace’s or the pod’s label enforces a profile', async () => {
    const { status, body } = await create('enforced', named(plainPod(), 'late'));
    expect(status).toBe(500);
    expect(body.message).toContain('failed calling webhook "userns.namespace.enforce.cloister.dev"');
    const optedIn = await create('free', named(plainPod(), 'late', { labels: { 'cloister.dev/profile': 'userns' } }));
    expect(optedIn.status).toBe(500);
    expect(optedIn.body.message).toContain('failed calling webhook "userns.pod.enforce.cloister.dev"');
    for (const namespace of ['enforced', 'free']) expect((await tenant.request('GET', `${podsOf(namespace)}/late`)).status).toBe(404);
  });

  test.each(['warned', 'audited', 'free'])(
    'T20: pods are still created in the namespace %s, where no profile is enforced',
    async (namespace) => {
      const { status, body, warnings } = await create(namespace, named(dockerInDocker(), 'late-docker'));
      expect({ status, warnings }).toEqual({ status: 201, warnings: [] });
      expect(body.spec).toMatchObject({ containers: [{ securityContext: { privileged: true } }] });
    },
  );

  test.each(['warned', 'audited'])('T20: the API server’s audit log shows that the pod was not judged: %s', async (namespace) => {
    const { annotations = {} } = await apiServer.auditEvent(({ objectRef, verb }) => {
      return verb === 'create' && objectRef?.namespace === namespace && objectRef.name === 'late-docker';
    });
    expect(Object.keys(annotations)).toContainEqual(expect.stringMatching(/^failed-open\.validating\.webhook\.admission\.k8s\.io\//));
  });

  test('T71: system pods are created, whatever labels their namespaces have', async () => {
    const { admin } = apiServer;
    for (const namespace of ['kube-system', 'kube-node-lease']) {
      const label = { metadata: { labels: namespaces.enforced } };
      expect((await admin.request('PATCH', `/api/v1/namespaces/${namespace}`, label, MERGE)).status).toBe(200);
      await until(async () => (await admin.request('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`)).status === 200);
      expect((await admin.request('POST', podsOf(namespace), hostNamespaces('dns'))).status, namespace).toBe(201);
    }
  });

  test('a workload is created without advice about its template', async () => {
    const template = { metadata: { labels: { app: 'web' } }, spec: dockerInDocker().spec };
    const deployment = { metadata: { name: 'web' }, spec: { replicas: 0, selector: { matchLabels: { app: 'web' } }, template } };
    expect((await tenant.request('POST', '/apis/apps/v1/namespaces/enforced/deployments', deployment)).status).toBe(201);
  });

  test('T09, T31: a non-compliant pod that is older than its namespace’s label loses a finalizer, and ends', async () => {
    expect((await tenant.request('DELETE', `${podsOf('older')}/down`)).status).toBe(200);
    expect((await patch('older', 'down', { finalizers: null })).status).toBe(200);
    expect((await tenant.request('GET', `${podsOf('older')}/down`)).status).toBe(404);
  });

  test('the kubelet can update the status of a governed pod', async () => {
    const status = { status: { phase: 'Running' } };
    expect((await apiServer.admin.request('PATCH', `${podsOf('enforced')}/governed/status`, status, MERGE)).status).toBe(200);
  });

  test('T03: labels of namespaces stay protected', async () => {
    const label = { metadata: { labels: { 'cloister.dev/enforce': null } } };
    const { status, body } = await owner.request<Stored>('PATCH', '/api/v1/namespaces/enforced', label, MERGE);
    expect(status).toBe(403);
    expect(body.message).toContain('needs the verb "label" on profiles.cloister.dev');
    expect((await owner.request('PATCH', '/api/v1/namespaces/enforced', { metadata: { labels: { team: 'blue' } } }, MERGE)).status).toBe(
      200,
    );
  });

  test.each([
    ['its labels', { labels: { 'cloister.dev/grant': 'containers' } }, 'the profile of a pod cannot change after the pod is created'],
    [
      'what Cloister wrote',
      { annotations: { 'cloister.dev/profile-applied': null } },
      'the profile of a pod cannot change after the pod is created',
    ],
    ['orders to its runtime', { annotations: { 'run.oci.keep_original_groups': '1' } }, 'annotations that configure the container runtime'],
  ])('a governed pod stays protected against changes of %s', async (_, metadata, message) => {
    const { status, body } = await patch('enforced', 'governed', metadata);
    expect(status).toBe(403);
    expect(body.message).toContain(message);
  });

  test('a governed pod can be deleted', async () => {
    expect((await tenant.request('DELETE', `${podsOf('enforced')}/governed?gracePeriodSeconds=0`)).status).toBe(200);
    expect((await tenant.request('GET', `${podsOf('enforced')}/governed`)).status).toBe(404);
  });

  test('T71: a user who may delete the entries can remove the enforcement without Cloister', async () => {
    for (const kind of ['mutating', 'validating']) {
      const path = `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations`;
      expect((await apiServer.admin.request('DELETE', path)).status).toBe(200);
    }
    await until(async () => (await create('enforced', named(plainPod(), 'reopened'))).status === 201);
  });
});
