import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';

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

test('the versions are the pinned ones', async () => {
  const { stdout } = await apiServer.kubectl(['version', '--output=json']);
  expect(JSON.parse(stdout)).toMatchObject({ clientVersion: { gitVersion: 'v1.36.3' }, serverVersion: { gitVersion: 'v1.36.3' } });
});

describe('a pod of a tenant', () => {
  test('is stored with its service account token, as in life', async () => {
    expect((await tenant.request('POST', pods, pod('stored'))).status).toBe(201);
    const { body } = await apiServer.admin.request<Pod>('GET', `${pods}/stored`);
    expect(body.spec.serviceAccountName).toBe('default');
    expect(body.spec.volumes).toEqual([expect.objectContaining({ name: expect.stringMatching(/^kube-api-access-/) })]);
  });

  test('is in the audit log, bodies and all', async () => {
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

  test('comes from a Deployment by its controllers', async () => {
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
  test('may not label its namespace', async () => {
    const { code, stderr } = await tenant.kubectl(['label', 'namespace', NAMESPACE, 'any=thing']);
    expect(code).toBe(1);
    expect(stderr).toContain('User "tenant" cannot patch resource "namespaces"');
  });

  test('may not add an ephemeral container', async () => {
    await tenant.request('POST', pods, pod('debugged'));
    const patch = { spec: { ephemeralContainers: [{ name: 'debugger', image: 'test' }] } };
    const contentType = 'application/strategic-merge-patch+json';
    const path = `${pods}/debugged/ephemeralcontainers`;
    expect((await tenant.request('PATCH', path, patch, { contentType })).status).toBe(403);
    expect((await apiServer.admin.request('PATCH', path, patch, { contentType })).status).toBe(200);
  });

  test('has no rights elsewhere', async () => {
    expect((await tenant.request('GET', '/api/v1/namespaces/default/pods')).status).toBe(403);
  });
});

describe('identities', () => {
  test('a service account is itself', async () => {
    const account = await apiServer.serviceAccount(NAMESPACE, 'default');
    expect((await account.request('GET', pods)).body).toMatchObject({
      message: expect.stringContaining(`system:serviceaccount:${NAMESPACE}:default`),
    });
    expect((await account.kubectl(['auth', 'whoami', '--output=name'])).code).toBe(0);
  });

  test('groups are those of the certificate, whatever their characters', async () => {
    const kubeconfig = await apiServer.kubeconfig('a/b+c=d, e', ['developers', 'team:a/b']);
    const { stdout } = await apiServer.kubectl(['auth', 'whoami', '--output=json'], { as: kubeconfig });
    expect(JSON.parse(stdout).status.userInfo).toMatchObject({
      username: 'a/b+c=d, e',
      groups: ['developers', 'team:a/b', 'system:authenticated'],
    });
  });
});

test('warnings are read from the answer', async () => {
  const { status, warnings } = await tenant.request('POST', pods, pod('warned', { hostNetwork: true }));
  expect(status).toBe(201);
  expect(warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']);
});

test('a RuntimeClass gives a pod its overhead', async () => {
  await apiServer.createRuntimeClass('fixture', { handler: 'fixture', overhead: { podFixed: { memory: '64Mi' } } });
  const { body } = await tenant.request('POST', pods, pod('sandboxed', { runtimeClassName: 'fixture' }));
  expect(body).toMatchObject({ spec: { overhead: { memory: '64Mi' } } });
});

test('metrics are the API server’s own', async () => {
  expect(await apiServer.metrics()).toMatch(/^apiserver_request_total\{/m);
});

test('a namespace that is deleted goes', async () => {
  await apiServer.createNamespace('fixture-short-lived');
  const { code } = await apiServer.kubectl(['delete', 'namespace', 'fixture-short-lived', '--timeout=20s']);
  expect(code).toBe(0);
});
