import { beforeAll, expect, test } from 'vitest';
import { BUSYBOX } from './fixture/bench.ts';
import { LATE } from './fixture/offers.ts';
import { installProfile } from './fixture/seccomp.ts';
import { onNode, useNode } from './fixture/use.ts';

/** `nesting: seccomp` needs a file on the node, which may come after the pods that need it. */

interface Waiting {
  readonly status: { readonly containerStatuses?: readonly { readonly state: { readonly waiting?: { readonly message?: string } } }[] };
}

onNode('a pod whose seccomp profile is not on the node', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  test('a pod waits for the seccomp profile, and starts without further action once it is installed', async () => {
    const { apiServer, node } = ground;
    await apiServer.createNamespace('late', { 'cloister.dev/enforce': LATE.id });
    const tenant = await apiServer.createTenant('late', 'late');
    const path = '/api/v1/namespaces/late/pods';
    const pod = { metadata: { name: 'late' }, spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: BUSYBOX }] } };
    const { status, body } = await tenant.request('POST', path, pod);
    expect(status, JSON.stringify(body)).toBe(201);
    const waitsFor = async (): Promise<string | undefined> =>
      (await tenant.request<Waiting>('GET', `${path}/late`)).body.status.containerStatuses?.[0]?.state.waiting?.message;
    await expect
      .poll(waitsFor, { timeout: 60_000, interval: 200 })
      .toContain(`cannot load seccomp profile "/var/lib/kubelet/seccomp/${LATE.seccompProfile}"`);

    await installProfile(node, LATE.seccompProfile);
    const { code, stderr } = await tenant.kubectl(['wait', '--namespace=late', '--for=condition=Ready', 'pod/late', '--timeout=300s']);
    expect(code, stderr).toBe(0);
    await tenant.kubectl(['delete', 'pod', 'late', '--now', '--namespace=late']);
  });
});
