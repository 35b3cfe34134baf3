import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { Context } from '../../src/doctor/check.ts';
import type { Fact, Proof } from '../../src/doctor/facts.ts';
import { ORIGINS, printRight, type RbacRule, type Right, rulesOf } from '../../src/doctor/rights.ts';
import { gatherFacts } from '../../src/doctor-facts/gather.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import { createNode } from '../support/installation.ts';
import { MAIN } from '../support/run.ts';

/** `cloister doctor --run` against an API server without kubelets: the pods are bound, never start, and are deleted. */

const CONFIG = 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {userns: {}, kata-qemu: {}}\n';
const PODS = '/api/v1/namespaces/team-a/pods';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';

interface StoredPod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
}

let apiServer: ApiServer & { stop(): Promise<void> };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cloister-doctor-run-'));
  await writeFile(join(folder, 'config.yaml'), CONFIG);
  apiServer = await startApiServer();
  await apiServer.createNamespace('team-a', { 'cloister.dev/enforce': 'userns' });
  for (const name of ['worker-1', 'worker-2']) {
    await createNode(apiServer, name);
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    await apiServer.admin.request('PATCH', `/api/v1/nodes/${name}/status`, { status }, { contentType: 'application/merge-patch+json' });
  }
}, 180_000);
afterAll(async () => {
  await apiServer?.stop();
  await rm(folder, { recursive: true, force: true });
});
/** No kubelet ends them. */
afterEach(async () => {
  for (const { metadata } of await storedPods())
    await apiServer.admin.request('DELETE', `${PODS}/${metadata.name}`, { gracePeriodSeconds: 0 });
});

const storedPods = async (): Promise<readonly StoredPod[]> =>
  (await apiServer.admin.request<{ items: readonly StoredPod[] }>('GET', PODS)).body.items;

async function prove(kubeconfig: string, nodes: 'kinds' | 'all' = 'kinds'): Promise<Fact<readonly Proof[]>> {
  const [api, config] = [await openApi({ kubeconfig }), parseConfig(CONFIG, 'config.yaml')];
  if (!api.ok || !config.ok) throw new Error(JSON.stringify([api, config]));
  const service = { namespace: 'cloister-system', name: 'cloister' };
  const context: Context = { ...config.value, version: '0.1.0', service, now: new Date() };
  const proofs = { nodes, image: 'cloister', waitMs: 500 };
  const source = { api: api.value, context, target: { service }, operationsPort: 9443, proofs };
  return (await gatherFacts(['proofs', 'namespaces', 'deployment'], source)).proofs;
}

/** Without kubelets, pods that are deleted stay until their grace period is changed. */
async function expectAllDeleted(): Promise<void> {
  expect((await storedPods()).filter(({ metadata }) => metadata.deletionTimestamp === undefined)).toEqual([]);
}

test('pods are bound to nodes without naming them, and are deleted when they do not start', async () => {
  const proving = prove(apiServer.admin.kubeconfig, 'all');
  const seen = new Map<string, string>();
  while (seen.size < 4) {
    for (const { metadata, spec } of await storedPods()) if (spec.nodeName !== undefined) seen.set(metadata.name, spec.nodeName);
    await pause(20);
  }
  expect([...seen.values()].toSorted()).toEqual(['worker-1', 'worker-1', 'worker-2', 'worker-2']);
  const found = await proving;
  if ('missing' in found) throw new Error(found.missing);
  expect(found.value.map(({ profile, node, outcome }) => [profile, node?.name, outcome.is]).toSorted()).toEqual([
    ['kata-qemu', undefined, 'not tried'],
    ['userns', 'worker-1', 'not started'],
    ['userns', 'worker-1', 'not started'],
    ['userns', 'worker-2', 'not started'],
    ['userns', 'worker-2', 'not started'],
  ]);
  await expectAllDeleted();
});

describe('the rights of the proofs', () => {
  const rights: readonly Right[] = rulesOf(ORIGINS.proofs.rights).flatMap(
    ({ apiGroups: [group = ''] = [], resources: [resource = ''] = [], verbs }) => verbs.map((verb) => ({ group, resource, verbs: [verb] })),
  );

  async function bind(user: string, rules: readonly RbacRule[]): Promise<string> {
    await apiServer.admin.request('POST', `${RBAC}/clusterroles`, { metadata: { name: user }, rules });
    await apiServer.admin.request('POST', `${RBAC}/clusterrolebindings`, {
      metadata: { name: user },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    });
    return apiServer.kubeconfig(user);
  }

  const said = (fact: Fact<readonly Proof[]>): string =>
    JSON.stringify('missing' in fact ? fact.missing : fact.value.map(({ outcome }) => outcome));

  test('with exactly these rights, pods run', async () => {
    const user = await bind('prover', rulesOf(rights));
    // The authorizer knows a binding a moment later: the test's own timeout ends it.
    while (/this identity needs|cannot/.test(said(await prove(user)))) await pause(50);
    const found = await prove(user);
    expect('missing' in found ? found.missing : found.value.map(({ outcome }) => outcome.is)).toEqual([
      'not tried',
      'not started',
      'not started',
    ]);
    await expectAllDeleted();
  }, 60_000);

  // The log of a pod that never starts is not read: test/doctor-facts/proofs.test.ts has that right.
  test.each(rights.filter(({ verbs: [verb] }) => verb !== 'get').map((right) => [printRight(right), right] as const))(
    'without %s, the reason is named, and no pod is left',
    async (printed, right) => {
      const user = await bind(`prover-without-${rights.indexOf(right)}`, rulesOf(rights.filter((each) => each !== right)));
      const isNamed = (text: string): boolean => text.includes(`needs ${printed}`) || text.includes('cannot create resource \\"pods\\"');
      let found = '';
      do found = said(await prove(user));
      while (!isNamed(found) || (found.match(/this identity needs ([a-z]+ on [a-z./]+)/g) ?? []).some((each) => !each.endsWith(printed)));
      expect(found).toSatisfy(isNamed);
      await expectAllDeleted();
    },
    60_000,
  );
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  'after %s the pods are deleted, and the command ends by the signal',
  async (signal) => {
    const flags = ['--config', join(folder, 'config.yaml'), '--service', 'cloister-system/cloister', '--image', 'cloister'];
    const args = [MAIN, 'doctor', '--run', '--kubeconfig', apiServer.admin.kubeconfig, ...flags];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
    const ended = once(child, 'close');
    while ((await storedPods()).filter(({ spec }) => spec.nodeName !== undefined).length < 2) await pause(20);
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect([await stdout, await stderr]).toEqual(['', expect.stringContaining('The pods of --run are being deleted.')]);
    expect(await storedPods()).toHaveLength(2);
    await expectAllDeleted();
  },
  60_000,
);
