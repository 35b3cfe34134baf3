import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { issueServerCertificate } from '../support/openssl.ts';
import { hostPath, plainPod } from '../support/pod-manifests.ts';

/** Others change pods too: webhooks that run after ours, and controllers that make pods from templates. */

interface Pod {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly containers: readonly { readonly name: string; readonly securityContext?: object }[];
  };
  readonly message?: string;
}

type Operations = readonly object[];

/** What the other webhook does, by its path. */
const meddlers: Readonly<Record<string, (pod: Pod) => Operations>> = {
  sidecar: ({ spec }) =>
    spec.containers.some(({ name }) => name === 'agent')
      ? []
      : [{ op: 'add', path: '/spec/containers/-', value: { name: 'agent', image: 'agent', securityContext: { privileged: true } } }],
  stripper: ({ spec }) =>
    ['hostUsers', 'runtimeClassName', 'overhead', 'nodeSelector']
      .filter((field) => field in spec)
      .map((field) => ({ op: 'remove', path: `/spec/${field}` })),
  mounter: ({ spec }) =>
    JSON.stringify(spec.volumes).includes('"node"')
      ? []
      : [{ op: 'add', path: '/spec/volumes/-', value: { name: 'node', hostPath: { path: '/' } } }],
};

let apiServer: ApiServer;
let server: Server;
let url: string;
let caBundle: string;
let tenant: Client;

beforeAll(async () => {
  apiServer = await useApiServer();
  const { authority, folder } = apiServer.connection;
  const pair = await issueServerCertificate(folder, 'meddler', authority, ['IP:127.0.0.1']);
  caBundle = (await readFile(authority.certFile)).toString('base64');
  server = createServer({ cert: await readFile(pair.certFile), key: await readFile(pair.keyFile) }, async (request, response) => {
    const { request: review } = JSON.parse(await text(request)) as { readonly request: { readonly uid: string; readonly object: Pod } };
    const operations = meddlers[(request.url ?? '').split(/[/?]/)[1] ?? '']?.(review.object) ?? [];
    const patch =
      operations.length === 0 ? {} : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') };
    const answer = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: review.uid, allowed: true, ...patch } };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A webhook that the API server calls after ours, because its configuration's name comes later. */
async function meddle(namespace: string, meddler: string, reinvocationPolicy: 'Never' | 'IfNeeded'): Promise<void> {
  const configuration = {
    metadata: { name: `zzz-${namespace}` },
    webhooks: [
      {
        name: `${meddler}.example.com`,
        clientConfig: { url: `${url}/${meddler}`, caBundle },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        reinvocationPolicy,
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  };
  const { status } = await apiServer.admin.request(
    'POST',
    '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
    configuration,
  );
  expect(status).toBe(201);
}

describe.each([
  ['userns-sudo', { hostUsers: false }],
  ['kata-qemu-sudo', { runtimeClassName: 'kata-qemu', overhead: { cpu: '250m', memory: '320Mi' } }],
])('under %s, a webhook that runs after Cloister’s', (profile, wall) => {
  /** The namespace is there before its label, so that the meddler is seen at work alone. */
  async function meddledNamespace(
    meddler: string,
    reinvocationPolicy: 'Never' | 'IfNeeded',
    isAtWork: (pod: Pod) => boolean,
  ): Promise<string> {
    const namespace = `meddled-${profile}-${meddler}-${reinvocationPolicy.toLowerCase()}`;
    await apiServer.createNamespace(namespace);
    tenant = await apiServer.createTenant(namespace, 'author');
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    await meddle(namespace, meddler, reinvocationPolicy);
    const probe = plainPod('probe', { hostUsers: true });
    await until(async () => isAtWork((await tenant.request<Pod>('POST', `${pods}?dryRun=All`, probe)).body));
    const label = { metadata: { labels: { 'cloister.dev/enforce': profile } } };
    const contentType = 'application/merge-patch+json';
    await apiServer.admin.request('PATCH', `/api/v1/namespaces/${namespace}`, label, { contentType });
    await until(async () => {
      const { body } = await tenant.request<Pod>('POST', `${pods}?dryRun=All`, plainPod('probe'));
      return body.metadata?.annotations?.['cloister.dev/profile-applied'] !== undefined || body.message !== undefined;
    });
    return pods;
  }

  const hasAgent = ({ spec }: Pod): boolean => spec.containers.length === 2;
  const isStripped = ({ spec }: Pod): boolean => !('hostUsers' in spec);
  const isMounted = ({ spec }: Pod): boolean => JSON.stringify(spec.volumes).includes('"node"');

  test.each(['Never', 'IfNeeded'] as const)(
    'T02, T33: if a later webhook adds a privileged sidecar, the sidecar is repaired (reinvocationPolicy of the webhook: %s)',
    async (policy) => {
      const pods = await meddledNamespace('sidecar', policy, hasAgent);
      const { status } = await tenant.request('POST', pods, plainPod());
      expect(status).toBe(201);
      const { body } = await tenant.request<Pod>('GET', `${pods}/plain`);
      expect(body.spec).toMatchObject(wall);
      expect(body.spec.containers.map(({ name }) => name)).toEqual(['workspace', 'agent']);
      expect(body.spec.containers[1]?.securityContext).toMatchObject({ privileged: false });
    },
  );

  test('T02, T33: if a later webhook removes the isolation once, it is restored or the pod is refused', async () => {
    const pods = await meddledNamespace('stripper', 'Never', isStripped);
    const { status, body } = await tenant.request<Pod>('POST', pods, plainPod());
    const stored = await tenant.request<Pod>('GET', `${pods}/plain`);
    if (profile.startsWith('userns')) {
      expect(status).toBe(201);
      expect(stored.body.spec).toMatchObject(wall);
    } else {
      // The class is put up again, but the API server has passed the point at which it writes overhead, and does not take a pod without.
      expect(status).toBe(403);
      expect(body.message).toContain("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      expect(stored.status).toBe(404);
    }
  });

  test('T02, T29: if a later webhook always removes the isolation, the pod is refused', async () => {
    const pods = await meddledNamespace('stripper', 'IfNeeded', isStripped);
    const { status, body } = await tenant.request<Pod>('POST', pods, plainPod());
    expect(status).toBe(403);
    expect(body.message).toContain(`admission webhook "${profile}.namespace.enforce.cloister.dev" denied the request: `);
    expect(body.message).toMatch(
      profile.startsWith('userns')
        ? /hostUsers was set, and it is missing now: .* or another webhook removed it;/
        : /runtimeClassName was set, and it is missing now: another webhook removed it/,
    );
    expect((await tenant.request('GET', `${pods}/plain`)).status).toBe(404);
  });

  test('T02, T29: if a later webhook adds a hostPath, the pod is refused', async () => {
    const pods = await meddledNamespace('mounter', 'Never', isMounted);
    const { status, body } = await tenant.request<Pod>('POST', pods, plainPod());
    expect(status).toBe(403);
    expect(body.message).toMatch(/volume-types: spec\.volumes\[\d\]\.hostPath/);
    expect((await tenant.request('GET', `${pods}/plain`)).status).toBe(404);
  });
});

interface Deployment {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[] };
}

test('T07: a Deployment with a hostPath gets a warning, creates no pod, and its events name the reason', async () => {
  await apiServer.createNamespace('meddled-deployment', { 'cloister.dev/enforce': 'userns' });
  tenant = await apiServer.createTenant('meddled-deployment', 'author');
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: hostPath().spec } },
  };
  const { code, stdout, stderr } = await tenant.kubectl(['apply', '--namespace=meddled-deployment', '--filename=-'], {
    input: JSON.stringify(deployment),
  });
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'deployment.apps/web created\n' });
  expect(stderr).toMatch(
    /^Warning: cloister userns: volume-types: volume "node" is the node's \/var\/run\/docker\.sock; run an engine in the pod.*\n$/,
  );

  const path = '/apis/apps/v1/namespaces/meddled-deployment/deployments/web';
  const failure = async () =>
    (await tenant.request<Deployment>('GET', path)).body.status.conditions?.find(
      ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
    );
  await until(async () => (await failure()) !== undefined);
  expect((await failure())?.message).toContain('admission webhook "userns.namespace.enforce.cloister.dev" denied the request: ');
  expect((await failure())?.message).toContain(
    '- volume-types: spec.volumes[0].hostPath: volume "node" is the node\'s /var/run/docker.sock',
  );
  const { stdout: events } = await tenant.kubectl([
    'get',
    'events',
    '--namespace=meddled-deployment',
    '--field-selector=reason=FailedCreate',
    '--output=name',
  ]);
  expect(events).toMatch(/^event\//);
  const { body } = await tenant.request<{ items: readonly Pod[] }>('GET', '/api/v1/namespaces/meddled-deployment/pods');
  expect(body.items).toEqual([]);
});

test('T07: a Deployment that can be repaired gets no warning, and its pods are isolated', async () => {
  await apiServer.createNamespace('meddled-workload', { 'cloister.dev/enforce': 'userns' });
  tenant = await apiServer.createTenant('meddled-workload', 'author');
  const template = { metadata: { labels: { app: 'web' } }, spec: plainPod('web', { hostNetwork: true }).spec };
  const deployment = { metadata: { name: 'web' }, spec: { selector: { matchLabels: { app: 'web' } }, template } };
  const { status, warnings } = await tenant.request('POST', '/apis/apps/v1/namespaces/meddled-workload/deployments', deployment);
  expect({ status, warnings }).toEqual({ status: 201, warnings: [] });
  const pods = async () => (await tenant.request<{ items: readonly Pod[] }>('GET', '/api/v1/namespaces/meddled-workload/pods')).body.items;
  await until(async () => (await pods()).length > 0);
  expect((await pods())[0]?.spec).toMatchObject({
    hostUsers: false,
    containers: [{ securityContext: { allowPrivilegeEscalation: true } }],
  });
  expect((await pods())[0]?.spec.hostNetwork).toBeUndefined();
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20); // the test's own timeout ends it
}
