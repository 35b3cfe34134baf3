import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WORKSPACE_IMAGE, workspaceImage } from '../../tools/programs/workspace-image.ts';
import type { Client } from '../support/client.ts';
import { CHART, ensured, NAMESPACE } from '../support/helm.ts';
import { plainPod } from '../support/pod-manifests.ts';
import { bench } from './fixture/bench.ts';
import { type ChartCluster, startChartCluster } from './fixture/chart.ts';
import { enter, exec, inside, takeSteps, type Workspace } from './fixture/keep.ts';
import { importImage, runOn } from './fixture/node.ts';
import { stepsOf } from './fixture/offers.ts';
import { plainWorkspace } from './fixture/pods.ts';
import { onNode } from './fixture/use.ts';

/**
 * The chart as an operator of one node has it: the image that the Dockerfile makes, in pods that a kubelet runs, called by the API server over
 * the network of the pods, from the installation to a developer's container and to the end. In a cluster of its own, since one has one Cloister.
 */

const TEAM = 'team';

onNode('the chart', () => {
  let cluster: ChartCluster;
  let tenant: Client;
  let workspace: Workspace;

  beforeAll(async () => {
    cluster = await startChartCluster();
    await importImage(cluster.node, await workspaceImage('workspace'));
    await cluster.apiServer.createNamespace(TEAM, { 'pod-security.kubernetes.io/enforce': 'baseline' });
    tenant = await cluster.apiServer.createTenant(TEAM, 'tenant');
  }, 900_000);
  afterAll(() => cluster?.stop());

  const ask = (pod: object) =>
    tenant.request<{ readonly message?: string; readonly spec?: { readonly hostUsers?: boolean } }>(
      'POST',
      `/api/v1/namespaces/${TEAM}/pods?dryRun=All`,
      pod,
    );

  test('`helm install --wait` returns with every pod ready, under Pod Security restricted', async () => {
    const began = performance.now();
    await cluster.helm('install', 'cloister', CHART, '--wait', '--timeout=4m', '--values=-');
    process.stdout.write(`helm came back after ${((performance.now() - began) / 1_000).toFixed(1)} s\n`);
    await ensured(cluster.apiServer);
    const { items } = JSON.parse(
      await cluster.kubectl('get', 'pods', `--namespace=${NAMESPACE}`, `--selector=${SERVING}`, '--output=json'),
    );
    expect(items.map(isReady)).toEqual([true, true, true]);
  });

  test('serving processes run on the node as an unprivileged user with a read-only root', async () => {
    const look = `cat $(dirname $each)/status; awk '$5 == "/" { print "Root: " substr($6, 1, 2) }' $(dirname $each)/mountinfo`;
    const { stdout } = await runOn(cluster.node, ['sh', '-c', `for each in $(grep -lzx serve /proc/[0-9]*/cmdline); do ${look}; done`]);
    const values = (field: string) => [...stdout.matchAll(new RegExp(`^${field}:\\s+(.*)$`, 'gm'))].map(([, value]) => value);
    expect(values('Uid')).toEqual(Array(3).fill('65532\t65532\t65532\t65532'));
    expect(values('CapEff')).toEqual(Array(3).fill('0000000000000000'));
    expect(values('CapBnd')).toEqual(Array(3).fill('0000000000000000'));
    expect(values('NoNewPrivs')).toEqual(['1', '1', '1']);
    expect(values('Seccomp')).toEqual(['2', '2', '2']);
    expect(values('Root')).toEqual(['ro', 'ro', 'ro']);
  });

  test('`helm test` passes: doctor finds no error in the release', async () => {
    expect(await cluster.helm('test', 'cloister', '--timeout=300s')).toMatch(/Phase:\s+Succeeded/);
  });

  test('the seccomp profile is on the node', async () => {
    const { stdout } = await runOn(cluster.node, ['cat', '/var/lib/kubelet/seccomp/cloister/workspace.json']);
    expect(stdout).toBe(await readFile(join(import.meta.dirname, '../../seccomp/workspace.json'), 'utf8'));
  });

  test('after a namespace is labelled, a developer is root and builds and runs containers, and a pod that cannot be repaired is refused', async () => {
    await cluster.kubectl('label', 'namespace', TEAM, 'cloister.dev/enforce=userns');
    await expect.poll(async () => (await ask(plainPod('asked'))).body.spec?.hostUsers, { timeout: 30_000 }).toBe(false);
    workspace = await enter({ bench: await bench() }, tenant, TEAM, plainWorkspace(WORKSPACE_IMAGE, 'userns'));
    const outcomes = await takeSteps(workspace, stepsOf({ grant: 'containers' }));
    expect(outcomes.length).toBeGreaterThan(10);
    expect(outcomes.filter(({ ok }) => !ok).map(({ step, said }) => [step.name, said])).toEqual([]);
    const refused = await ask(plainPod('refused', { volumes: [{ name: 'share', nfs: { server: '10.0.0.2', path: '/' } }] }));
    expect(refused).toMatchObject({ status: 403, body: { message: expect.stringContaining('volume-types') } });
  });

  test('T71, F8: the cluster recovers by itself after all of it died at once, and refuses governed pods until then', async () => {
    const containers = 'ctr --namespace=k8s.io tasks';
    await runOn(cluster.node, ['sh', '-c', `${containers} list --quiet | xargs -P 32 -n 1 ${containers} kill --signal SIGKILL`]);
    expect((await ask(plainPod('asked'))).status).toBe(500);
    await cluster.restartControlPlane();
    const status = () => ask(plainPod('asked')).then((answer) => answer.status, String);
    await expect.poll(status, { timeout: 120_000, interval: 500 }).toBe(201);
    await cluster.kubectl('wait', `--namespace=${NAMESPACE}`, '--for=condition=Ready', 'pod', `--selector=${SERVING}`, '--timeout=300s');
    await cluster.kubectl('wait', `--namespace=${TEAM}`, '--for=condition=Ready', 'pod/plain', '--timeout=300s');
    await expect.poll(() => exec(workspace, 'sudo -n id -u'), { timeout: 60_000 }).toMatchObject({ code: 0, stdout: '0\n' });
  });

  test('after it is uninstalled nothing is left, and the workspace continues', async () => {
    await cluster.helm('uninstall', 'cloister', '--wait', '--timeout=2m');
    const asked = async () => {
      const { status, body } = await ask(plainPod('asked'));
      return { status, hostUsers: body.spec?.hostUsers };
    };
    await expect.poll(asked, { timeout: 30_000 }).toEqual({ status: 201, hostUsers: undefined });
    expect(await inside(workspace, 'sudo -n id -u')).toBe('0\n');
    const left = () => cluster.kubectl('get', 'all,secrets,configmaps', `--namespace=${NAMESPACE}`, '--output=name');
    await expect.poll(left, { timeout: 60_000 }).toBe('configmap/kube-root-ca.crt\n');
  });
});

const SERVING = 'app.kubernetes.io/component=webhook';

interface Conditions {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const isReady = ({ status }: Conditions): boolean =>
  status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;
