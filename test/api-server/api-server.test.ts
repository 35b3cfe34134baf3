import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { apiServerProgram, pinnedKubernetes } from '../../tools/programs/kubernetes.ts';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { tested } from '../support/kubernetes.ts';

/** The fixture itself: what other cluster tests take for granted is so. */

interface Pod {
  readonly metadata: { readonly name?: string; readonly generateName?: string };
  readonly spec: { readonly serviceAccountName: string; readonly volumes: readonly { readonly name: string }[] };
}

const NAMESPACE = 'fixture';
const pods = `/api/v1/namespaces/${NAMESPACE}/pods`;
const pod = (name: string, spec: object = {}): object => ({
  metadata: { name },
  spec: { containers: [{ name: 'main', image: 'test' }], ...spec },
});

let apiServer: ApiServer;
let tenant: Client;

beforeAll(async () => {
  apiServer = await useApiServer();
  await apiServer.createNamespace(NAMESPACE, { 'pod-security.kubernetes.io/warn': 'baseline' });
  tenant = await apiServer.createTenant(NAMESPACE, 'tenant');
});

test('kubectl has the pinned version, and the API server that of its program, or the version that it emulates', async () => {
  const program = await promisify(execFile)(await apiServerProgram(tested.version), ['--version']);
  expect(program.stdout).toBe(`Kubernetes v${tested.version}\n`);
  const { stdout } = await apiServer.kubectl(['version', '--output=json']);
  expect(JSON.parse(stdout)).toMatchObject({
    clientVersion: { gitVersion: `v${pinnedKubernetes()}` },
    serverVersion: { gitVersion: `v${tested.version}`, emulationMajor: '1', emulationMinor: String(tested.minor) },
  });
});

describe('a pod of a tenant', () => {
  test('a pod of a tenant is stored with its service account token', async () => {
    expect((await tenant.request('POST', pods, pod('stored'))).status).toBe(201);
    const { body } = await apiServer.admin.request<Pod>('GET', `${pods}/stored`);
    expect(body.spec.serviceAccountName).toBe('default');
    expect(body.spec.volumes).toEqual([expect.objectContaining({ name: expect.stringMatching(/^kube-api-access-/) })]);
  });

  test('the audit log contains the creation of a pod with both bodies', async () => {
    await tenant.request('POST', pods, pod('audited'));
    const event = await apiServer.auditEvent(({ objectRef, verb }) => verb === 'create' && objectRef?.name === 'audited');
    expect(event).toMatchObject({
      level: 'RequestResponse',
      user: { username: 'tenant' },
      responseStatus: { code: 201 },
      requestObject: { spec: { containers: [{ image: 'test' }] } },
      responseObject: { spec: { serviceAccountName: 'default' } },
    });
  });

  test('controllers create the pod of a Deployment', async () => {
    const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'test' }] } };
    const deployment = { metadata: { name: 'web' }, spec: { selector: { matchLabels: { app: 'web' } }, template } };
    await tenant.request('POST', `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`, deployment);
    const { user } = await apiServer.auditEvent(({ objectRef, verb, requestObject }) => {
      return (
        verb === 'create' &&
        objectRef?.resource === 'pods' &&
        (requestObject as Partial<Pod> | undefined)?.metadata?.generateName?.startsWith('web-') === true
      );
    });
    expect(user.username).toBe('system:serviceaccount:kube-system:replicaset-controller');
  });
});

describe('a tenant with `edit`', () => {
  test('a tenant with `edit` may not label its namespace', async () => {
    const { code, stderr } = await tenant.kubectl(['label', 'namespace', NAMESPACE, 'any=thing']);
    expect(code).toBe(1);
    expect(stderr).toContain('User "tenant" cannot patch resource "namespaces"');
  });

  test('a tenant with `edit` may not add an ephemeral container', async () => {
    await tenant.request('POST', pods, pod('debugged'));
    const patch = { spec: { ephemeralContainers: [{ name: 'debugger', image: 'test' }] } };
    const contentType = 'application/strategic-merge-patch+json';
    const path = `${pods}/debugged/ephemeralcontainers`;
    expect((await tenant.request('PATCH', path, patch, { contentType })).status).toBe(403);
    expect((await apiServer.admin.request('PATCH', path, patch, { contentType })).status).toBe(200);
  });

  test('a tenant with `edit` has no rights in other namespaces', async () => {
    expect((await tenant.request('GET', '/api/v1/namespaces/default/pods')).status).toBe(403);
  });
});

describe('identities', () => {
  test('requests of a service account have its identity', async () => {
    const account = await apiServer.serviceAccount(NAMESPACE, 'default');
    expect((await account.request('GET', pods)).body).toMatchObject({
      message: expect.stringContaining(`system:serviceaccount:${NAMESPACE}:default`),
    });
    expect((await account.kubectl(['auth', 'whoami', '--output=name'])).code).toBe(0);
  });

  test('groups of a user equal those of the certificate, whatever their characters', async () => {
    const kubeconfig = await apiServer.kubeconfig('a/b+c=d, e', ['developers', 'team:a/b']);
    const { stdout } = await apiServer.kubectl(['auth', 'whoami', '--output=json'], { as: kubeconfig });
    expect(JSON.parse(stdout).status.userInfo).toMatchObject({
      username: 'a/b+c=d, e',
      groups: ['developers', 'team:a/b', 'system:authenticated'],
    });
  });
});

test('the client reads warnings from the answer', async () => {
  const { status, warnings } = await tenant.request('POST', pods, pod('warned', { hostNetwork: true }));
  expect(status).toBe(201);
  expect(warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']);
});

test('a RuntimeClass gives a pod its overhead', async () => {
  await apiServer.createRuntimeClass('fixture', { handler: 'fixture', overhead: { podFixed: { memory: '64Mi' } } });
  const { body } = await tenant.request('POST', pods, pod('sandboxed', { runtimeClassName: 'fixture' }));
  expect(body).toMatchObject({ spec: { overhead: { memory: '64Mi' } } });
});

test('the metrics are those of the API server', async () => {
  expect(await apiServer.metrics()).toMatch(/^apiserver_request_total\{/m);
});

test('a deleted namespace disappears', async () => {
  await apiServer.createNamespace('fixture-short-lived');
  const { code } = await apiServer.kubectl(['delete', 'namespace', 'fixture-short-lived', '--timeout=20s']);
  expect(code).toBe(0);
});
