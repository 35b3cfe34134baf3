import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { dockerInDocker, hostNamespaces, plainPod, sidecars } from '../support/pod-manifests.ts';

/** What Cloister makes of a pod, as the API server's own Pod Security admission judges it in the same namespace. */

const BASELINE = { 'pod-security.kubernetes.io/enforce': 'baseline', 'pod-security.kubernetes.io/enforce-version': 'latest' };
const pods = { plain: plainPod(), 'docker-in-docker': dockerInDocker(), 'host-namespaces': hostNamespaces(), sidecars: sidecars() };

let apiServer: ApiServer;

beforeAll(async () => {
  apiServer = await useApiServer();
});

interface Problem {
  readonly message: string;
}

async function namespaceFor(profile: string, labels: Readonly<Record<string, string>>): Promise<string> {
  const name = `pod-security-${profile}-${labels['pod-security.kubernetes.io/enforce-version']?.replaceAll('.', '-')}`;
  await apiServer.createNamespace(name, { 'cloister.dev/enforce': profile, ...labels });
  return `/api/v1/namespaces/${name}/pods`;
}

describe.each([
  'userns-none',
  'userns-sudo',
  'userns-containers',
  'sysbox-none',
  'sysbox-sudo',
  'sysbox-containers',
  'kata-qemu-none',
  'kata-qemu-sudo',
  'gvisor-none',
  'gvisor-sudo',
  'gvisor-containers',
])('T30: what %s makes of a pod satisfies baseline', (profile) => {
  test.each(Object.entries(pods))('%s', async (_, pod) => {
    const path = await paths.of(profile);
    const { status, body } = await apiServer.admin.request<Problem>('POST', path, pod);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
  });
});

const paths = {
  made: new Map<string, Promise<string>>(),
  of(profile: string): Promise<string> {
    const path = this.made.get(profile) ?? namespaceFor(profile, BASELINE);
    this.made.set(profile, path);
    return path;
  },
};

test.each([
  ['userns-sysadmin', '"SYS_ADMIN"'],
  ['kata-qemu-containers', '"NET_ADMIN", "SYS_ADMIN"'],
])(
  'baseline refuses the capabilities that %s grants: it takes a privileged namespace, or an exemption of the runtime class',
  async (profile, list) => {
    const path = await paths.of(profile);
    const { status, body } = await apiServer.admin.request<Problem>('POST', path, plainPod());
    expect(status).toBe(403);
    expect(body.message).toContain(
      `violates PodSecurity "baseline:latest": non-default capabilities (container "workspace" must not include ${list} in securityContext.capabilities.add)`,
    );
    expect((await apiServer.admin.request('GET', `${path}/plain`)).status).toBe(404);
  },
);

test('baseline of 1.34 and before does not yet know that a user namespace makes an unmasked /proc harmless', async () => {
  const path = await namespaceFor('userns-containers', { ...BASELINE, 'pod-security.kubernetes.io/enforce-version': 'v1.34' });
  const { status, body } = await apiServer.admin.request<Problem>('POST', path, plainPod());
  expect(status).toBe(403);
  expect(body.message).toContain('violates PodSecurity "baseline:v1.34": procMount');
});
