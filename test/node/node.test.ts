import { beforeAll, expect, test } from 'vitest';
import type { ApiServer } from '../support/api-server.ts';
import { BUSYBOX } from './fixture/bench.ts';
import { type Node, runOn } from './fixture/node.ts';
import { onNode, useNode } from './fixture/use.ts';

/** The fixture itself: what other tests take for granted of their node is so. */

interface NodeStatus {
  readonly status: {
    readonly nodeInfo: { readonly kubeletVersion: string; readonly containerRuntimeVersion: string };
    readonly runtimeHandlers: readonly { readonly name: string; readonly features: { readonly userNamespaces: boolean } }[];
  };
}

const NAMESPACE = 'node';

onNode('a node', () => {
  let apiServer: ApiServer;
  let node: Node;

  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await apiServer.kubectl([`--namespace=${NAMESPACE}`, ...args]);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const start = async (name: string, spec: object = {}): Promise<void> => {
    const pod = { metadata: { name }, spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: BUSYBOX }], ...spec } };
    const { status, body } = await apiServer.admin.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, pod);
    expect(status, JSON.stringify(body)).toBe(201);
    await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=300s');
  };

  beforeAll(async () => {
    ({ apiServer, node } = await useNode());
    await apiServer.createNamespace(NAMESPACE);
    await apiServer.createRuntimeClass('node-gvisor', { handler: 'runsc' });
  });

  test('the node is ready, and reports the features of its runtimes', async () => {
    const { body } = await apiServer.admin.request<NodeStatus>('GET', `/api/v1/nodes/${node.name}`);
    expect(body.status.nodeInfo).toMatchObject({
      kubeletVersion: 'v1.36.3',
      containerRuntimeVersion: expect.stringMatching(/^containerd:\/\/2\./),
    });
    const handlers = body.status.runtimeHandlers.map(({ name, features }) => [name, features.userNamespaces]);
    expect(Object.fromEntries(handlers)).toMatchObject({ runc: true, runsc: false });
  });

  test('the node runs a pod as its own user', async () => {
    await start('plain');
    expect((await kubectl('exec', 'plain', '--', 'cat', '/proc/self/uid_map')).trim().split(/\s+/)).toEqual(['0', '0', '4294967295']);
  });

  test('the node runs pods in separate user namespaces', async () => {
    await Promise.all([start('first', { hostUsers: false }), start('second', { hostUsers: false })]);
    const maps = await Promise.all(['first', 'second'].map((name) => kubectl('exec', name, '--', 'cat', '/proc/self/uid_map')));
    const [[, first = 0], [, second = 0]] = maps.map((map) => map.trim().split(/\s+/).map(Number)) as [number[], number[]];
    expect(first).toBeGreaterThanOrEqual(65536);
    expect(Math.abs(first - second)).toBeGreaterThanOrEqual(65536);
    const { stdout } = await runOn(node, ['sh', '-c', 'for each in /proc/[0-9]*; do stat -c %u $each; done 2>/dev/null']);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining([String(first), String(second)]));
  });

  test('the node runs a pod on gVisor’s kernel', async () => {
    await start('sandboxed', { runtimeClassName: 'node-gvisor' });
    expect(await kubectl('exec', 'sandboxed', '--', 'dmesg')).toContain('Starting gVisor');
  });

  test('pods reach the API server at its usual address', async () => {
    const ask = 'wget -qO- --no-check-certificate https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/version';
    expect(await kubectl('exec', 'plain', '--', 'sh', '-c', ask)).toContain('v1.36.3');
  });

  test('pods reach no address of this machine and none outside', async () => {
    const { stdout } = await runOn(node, ['ip', '-brief', 'address']);
    expect(stdout).not.toMatch(/^(eth|en|wl)/m);
    expect((await runOn(node, ['ip', 'route', 'show', 'default'])).stdout).toBe('');
  });
});
