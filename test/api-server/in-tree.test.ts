import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { makeFolder } from '../../src/make-folder.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { ADMISSION } from '../support/ensure.ts';
import { dockerInDocker, hostPath, plainPod } from '../support/pod-manifests.ts';
import { printManifests } from '../support/print-manifests.ts';

/** Clusters without a webhook, as `cloister manifests --in-tree` makes them: from objects of the API, and from files of the control plane. */

interface Stored {
  readonly spec?: { readonly hostUsers?: boolean; readonly containers: readonly { readonly securityContext?: object }[] };
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly message?: string;
}

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns: {grant: containers, mayChoose: [careful]}
  careful: {extends: userns, grant: none}
governs:
  - namespaces: [ws-*]
    enforce: userns
`;
const STRATEGIC = { contentType: 'application/strategic-merge-patch+json' };
const MERGE = { contentType: 'application/merge-patch+json' };

let folder: string;
let configFile: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-in-tree-'));
  configFile = join(folder, 'config.yaml');
  await writeFile(configFile, CONFIG);
});
afterAll(() => rm(folder, { recursive: true }));

async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await printManifests(['--config', configFile, '--in-tree', ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

const create = (client: Client, namespace: string, pod: object, query = '?dryRun=All') =>
  client.request<Stored>('POST', `/api/v1/namespaces/${namespace}/pods${query}`, pod);

/** Two cores may have more to do than this. */
const PATIENCE_MS = 60_000;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`${what} did not come`);
  }
}

describe('policies that were applied', () => {
  let apiServer: ApiServer & { stop(): Promise<void> };
  let tenant: Client;

  beforeAll(async () => {
    apiServer = await startApiServer();
    // A label from before the policies, as that of a profile that was removed from the configuration.
    await apiServer.createNamespace('forgotten', { 'cloister.dev/enforce': 'gone' });
    await apiServer.createNamespace('team', { 'cloister.dev/enforce': 'userns' });
    for (const name of ['open', 'ws-1']) await apiServer.createNamespace(name);
    tenant = await apiServer.client('tenant', ['system:masters']);
    const applied = await apiServer.kubectl(['apply', '--validate=strict', '-f', '-'], { input: await printed() });
    expect(applied).toMatchObject({ code: 0, stderr: '' });
    await until('the policies', async () => {
      const [repaired, refused] = await Promise.all([create(tenant, 'team', plainPod()), create(tenant, 'team', hostPath())]);
      return (
        repaired.body.spec?.hostUsers === false && refused.status === 403 && (await create(tenant, 'forgotten', plainPod())).status === 403
      );
    });
  }, 240_000);
  afterAll(() => apiServer?.stop());

  test('a pod that asks for nothing, and one that asks for everything, are repaired and stored with the grant', async () => {
    for (const pod of [plainPod(), dockerInDocker()]) {
      const { status, body } = await create(tenant, 'team', pod, '');
      expect([status, body.message]).toEqual([201, undefined]);
      expect(body.spec?.hostUsers).toBe(false);
      expect(body.spec?.containers[0]?.securityContext).toMatchObject({
        allowPrivilegeEscalation: true,
        procMount: 'Unmasked',
        seccompProfile: { type: 'Localhost', localhostProfile: 'cloister/workspace.json' },
      });
      expect(body.metadata?.annotations?.['cloister.dev/profile-applied']).toBe('userns/containers');
    }
  });

  test('a pod that only its author can repair is refused for that alone', async () => {
    const { spec } = dockerInDocker();
    const volumes = [{ name: 'docker-graph', hostPath: { path: '/var/lib/docker' } }];
    const { status, body } = await create(tenant, 'team', { ...dockerInDocker(), spec: { ...spec, volumes } });
    expect(status).toBe(403);
    expect(body.message).toMatch(/denied request: volume-types: [^\n]*$/);
    expect(body.message).not.toMatch(/privileged|user-namespace|capabilities|seccomp/);
  });

  test('a namespace is governed by its name, and a pod opts in or chooses by its label', async () => {
    const labelled = (profile: string) => ({ ...plainPod(), metadata: { name: 'labelled', labels: { 'cloister.dev/profile': profile } } });
    const applied = async (namespace: string, pod: object) =>
      (await create(tenant, namespace, pod)).body.metadata?.annotations?.['cloister.dev/profile-applied'];
    expect(await applied('ws-1', plainPod())).toBe('userns/containers');
    expect(await applied('open', plainPod())).toBeUndefined();
    expect(await applied('open', labelled('careful'))).toBe('careful/none');
    expect(await applied('team', labelled('careful'))).toBe('careful/none');
    expect((await create(tenant, 'open', hostPath())).status).toBe(201);
  });

  test('T05: a label that names no configured profile refuses pods, with the configured ones', async () => {
    const ofNamespace = await create(tenant, 'forgotten', plainPod());
    expect([ofNamespace.status, ofNamespace.body.message]).toEqual([
      403,
      expect.stringContaining('profile "gone" is not configured; the configured profiles are: userns, careful'),
    ]);
    const labels = { 'cloister.dev/profile': 'usrns' };
    for (const namespace of ['open', 'ws-1', 'team']) {
      expect((await create(tenant, namespace, { ...plainPod(), metadata: { name: 'misspelt', labels } })).status, namespace).toBe(403);
    }
  });

  test('a debug container is refused unless it complies: it is not repaired', async () => {
    await create(tenant, 'team', { ...plainPod(), metadata: { name: 'running' } }, '');
    const add = (container: object) =>
      tenant.request<Stored>(
        'PATCH',
        '/api/v1/namespaces/team/pods/running/ephemeralcontainers?dryRun=All',
        { spec: { ephemeralContainers: [{ name: 'debug', image: 'test', ...container }] } },
        STRATEGIC,
      );
    const privileged = await add({ securityContext: { privileged: true } });
    expect([privileged.status, privileged.body.message]).toEqual([403, expect.stringContaining('privileged')]);
    expect((await add({ securityContext: { allowPrivilegeEscalation: false, seccompProfile: { type: 'RuntimeDefault' } } })).status).toBe(
      200,
    );
  });
});

describe('policies that API servers read from files', () => {
  let apiServer: ApiServer & { stop(): Promise<void> };
  const directoryOf = (kind: string): string => join(folder, kind);
  const fileOf = (kind: string): string => join(directoryOf(kind), 'cloister.yaml');

  beforeAll(async () => {
    const plugins = [];
    for (const [kind, name] of [
      ['validating', 'ValidatingAdmissionPolicy'],
      ['mutating', 'MutatingAdmissionPolicy'],
    ] as const) {
      await makeFolder(directoryOf(kind));
      await writeFile(fileOf(kind), await printed('--static', kind));
      const apiVersion = 'apiserver.config.k8s.io/v1';
      plugins.push({ name, configuration: { apiVersion, kind: `${name}Configuration`, staticManifestsDir: directoryOf(kind) } });
    }
    const admission = join(folder, 'admission.json');
    await writeFile(admission, JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins }));
    const gate = '--feature-gates=ManifestBasedAdmissionControlConfig=true';
    apiServer = await startApiServer({ flags: [gate, `--admission-control-config-file=${admission}`] });
    await apiServer.createNamespace('team', { 'cloister.dev/enforce': 'userns' });
  }, 240_000);
  afterAll(() => apiServer?.stop());

  test('pods are repaired and refused from the first request on, and the API shows no policy', async () => {
    const { admin, kubectl } = apiServer;
    expect((await create(admin, 'team', plainPod())).body.spec?.hostUsers).toBe(false);
    const refused = await create(admin, 'team', hostPath());
    expect([refused.status, refused.body.message]).toEqual([403, expect.stringContaining('volume-types')]);
    const kinds = 'validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings';
    expect((await kubectl(['get', kinds])).stderr).toContain('No resources found');
  });

  test('no request can create, change or delete a policy of that name', async () => {
    const name = 'cloister-profile-userns.static.k8s.io';
    const objects = parseAllDocuments(await printed('--static', 'validating')).map((each) => each.toJS());
    const own = objects.find((each) => each.kind === 'ValidatingAdmissionPolicy' && each.metadata.name === name);
    const path = `${ADMISSION}/validatingadmissionpolicies`;
    const created = await apiServer.admin.request<Stored>('POST', path, own);
    expect([created.status, created.body.message]).toEqual([422, expect.stringContaining('.static.k8s.io')]);
    expect((await apiServer.admin.request('DELETE', `${path}/${name}`)).status).toBe(404);
    expect((await apiServer.admin.request('PATCH', `${path}/${name}`, { spec: { failurePolicy: 'Ignore' } }, MERGE)).status).toBe(404);
    expect((await create(apiServer.admin, 'team', hostPath())).status).toBe(403);
  });

  test('a changed file is in force without a restart', async () => {
    await writeFile(configFile, CONFIG.replace('grant: containers', 'grant: sudo'));
    for (const kind of ['validating', 'mutating']) await writeFile(fileOf(kind), await printed('--static', kind));
    await until('the changed grant', async () => {
      const { body } = await create(apiServer.admin, 'team', plainPod());
      return body.metadata?.annotations?.['cloister.dev/profile-applied'] === 'userns/sudo';
    });
    await writeFile(configFile, CONFIG);
  });
});
