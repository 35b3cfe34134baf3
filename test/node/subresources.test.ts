import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeAll, expect, test } from 'vitest';
import type { ApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { BUSYBOX } from './fixture/bench.ts';
import { onNode, useNode } from './fixture/use.ts';

/** What people do with a pod that runs, done to one behind the wall. */

const NAMESPACE = 'subresources';

onNode('a pod behind the wall', () => {
  let apiServer: ApiServer;
  let tenant: Client;

  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await tenant.kubectl([`--namespace=${NAMESPACE}`, ...args]);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const mapOf = (text: string): number[] => text.trim().split(/\s+/).map(Number);

  beforeAll(async () => {
    ({ apiServer } = await useNode());
    await apiServer.createNamespace(NAMESPACE, {
      'cloister.dev/enforce': 'userns-containers',
      'pod-security.kubernetes.io/enforce': 'baseline',
    });
    tenant = await apiServer.createTenant(NAMESPACE, 'subresources');
    // ClusterRole `edit` has neither.
    await apiServer.kubectl([
      'create',
      'role',
      'debugger',
      `--namespace=${NAMESPACE}`,
      '--verb=get,patch,update',
      '--resource=pods/resize,pods/ephemeralcontainers',
    ]);
    await apiServer.kubectl(['create', 'rolebinding', 'debugger', `--namespace=${NAMESPACE}`, '--role=debugger', '--user=subresources']);
    const limits = { cpu: '500m', memory: '64Mi' };
    const command = ['sh', '-c', 'echo hello from the pod; mkdir /www; echo hello > /www/index.html; httpd -f -p 127.0.0.1:8080 -h /www'];
    const container = {
      name: 'workspace',
      image: BUSYBOX,
      command,
      resources: { limits, requests: limits },
      securityContext: { privileged: true },
    };
    const pod = { metadata: { name: 'workspace' }, spec: { hostPID: true, terminationGracePeriodSeconds: 1, containers: [container] } };
    const { status, body } = await tenant.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, pod);
    expect(status, JSON.stringify(body)).toBe(201);
    await kubectl('wait', '--for=condition=Ready', 'pod/workspace', '--timeout=300s');
  });

  test('`kubectl exec` runs as root of the pod only', async () => {
    const [inside, outside, count] = mapOf(await kubectl('exec', 'workspace', '--', 'cat', '/proc/self/uid_map'));
    expect([inside, count]).toEqual([0, 65536]);
    expect(outside).toBeGreaterThanOrEqual(65536);
  });

  test('`kubectl exec -i` passes its input', async () => {
    const { stdout } = await tenant.kubectl([`--namespace=${NAMESPACE}`, 'exec', '-i', 'workspace', '--', 'tr', 'a-z', 'A-Z'], {
      input: 'through\n',
    });
    expect(stdout).toBe('THROUGH\n');
  });

  test('`kubectl logs` prints the output', async () => {
    expect(await kubectl('logs', 'workspace')).toBe('hello from the pod\n');
  });

  test('`kubectl port-forward` reaches the pod’s own loopback interface', async () => {
    const program = join(apiServer.connection.binaries, 'kubectl');
    const args = [`--kubeconfig=${tenant.kubeconfig}`, `--namespace=${NAMESPACE}`, 'port-forward', 'pod/workspace', ':8080'];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      for await (const line of createInterface(child.stdout)) {
        const [, port] = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line) ?? [];
        if (port === undefined) continue;
        expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hello\n');
        return;
      }
      throw new Error('kubectl port-forward forwards nothing');
    } finally {
      child.kill();
    }
  });

  test('`kubectl debug` adds a container that sees the pod’s processes and is isolated', async () => {
    // `general` is what kubectl takes by itself; `sysadmin` asks for a privileged container.
    for (const profile of ['general', 'sysadmin']) {
      const container = `debug-${profile}`;
      const target = [
        'debug',
        'workspace',
        `--image=${BUSYBOX}`,
        `--profile=${profile}`,
        '--target=workspace',
        '--attach=false',
        `--container=${container}`,
      ];
      await kubectl(...target, '--', 'sh', '-c', 'cat /proc/self/uid_map; ps; sleep 1000');
      await expect
        .poll(() => kubectl('logs', 'workspace', `--container=${container}`).catch(() => ''), { timeout: 60_000 })
        .toContain('httpd -f');
      const map = (await kubectl('logs', 'workspace', `--container=${container}`)).split('\n')[0] ?? '';
      expect(mapOf(map)).toEqual(mapOf(await kubectl('exec', 'workspace', '--', 'cat', '/proc/self/uid_map')));
    }
  });

  test('the pod can be resized in place', async () => {
    const resized = {
      spec: { containers: [{ name: 'workspace', resources: { limits: { memory: '96Mi' }, requests: { memory: '96Mi' } } }] },
    };
    await kubectl('patch', 'pod', 'workspace', '--subresource=resize', `--patch=${JSON.stringify(resized)}`);
    const limit = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null || cat /sys/fs/cgroup/memory.max';
    await expect.poll(() => kubectl('exec', 'workspace', '--', 'sh', '-c', limit), { timeout: 60_000 }).toBe(`${96 * 1024 * 1024}\n`);
    expect(await kubectl('get', 'pod', 'workspace', '--output=jsonpath={.status.containerStatuses[0].restartCount}')).toBe('0');
  });
});
