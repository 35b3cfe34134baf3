import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { BASELINE } from '../support/baseline.ts';
import type { Client } from '../support/client.ts';
import { MISLABELLED } from '../support/cluster-setup.ts';
import { hostNamespaces, type PodManifest, plainPod } from '../support/pod-manifests.ts';

/** What may still happen to a pod that exists: debugging, resizing, and the few fields that an update can change. */

interface Stored {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly containers: readonly { readonly image: string; readonly resources: object }[];
    readonly ephemeralContainers?: readonly Ephemeral[];
    readonly securityContext?: Pick<NonNullable<Ephemeral['securityContext']>, 'seccompProfile'>;
  };
  readonly message?: string;
}

interface Ephemeral {
  readonly name: string;
  readonly env?: readonly object[];
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly procMount?: string;
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
    readonly seccompProfile?: { readonly type: string };
  };
}

const MERGE = { contentType: 'application/merge-patch+json' };
const STRATEGIC = { contentType: 'application/strategic-merge-patch+json' };
const profiles = [
  'userns-sysadmin',
  'userns-containers',
  'kata-qemu-containers',
  'gvisor-containers',
  'sysbox-containers',
  'userns-none',
] as const;

let apiServer: ApiServer;
let tenant: Client;

const namespaceOf = (profile: string): string => `update-${profile}`;
const podsOf = (profile: string): string => `/api/v1/namespaces/${namespaceOf(profile)}/pods`;

beforeAll(async () => {
  apiServer = await useApiServer();
  await apiServer.admin.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'debugger' },
    rules: [{ apiGroups: [''], resources: ['pods/ephemeralcontainers', 'pods/resize'], verbs: ['get', 'patch', 'update'] }],
  });
  for (const profile of profiles) {
    await apiServer.createNamespace(namespaceOf(profile), { 'cloister.dev/enforce': profile });
    await prepare(namespaceOf(profile));
  }
  // Pods that are older than the label of their namespace.
  await apiServer.createNamespace('update-older');
  await prepare('update-older');
  for (const name of ['sharing', 'changed']) await create('older', { ...hostNamespaces(name) });
  await create('older', plainPod('debugged'));
  const volumes = [{ name: 'root', hostPath: { path: '/' } }];
  await create('older', plainPod('mounting', { volumes }));
  // A pod whose namespace first names a configured profile, and then one that is not configured.
  await apiServer.createNamespace('update-astray', { ...MISLABELLED, 'cloister.dev/enforce': 'userns' });
  await prepare('update-astray');
  await create('astray', plainPod('debugged'));
  const label = { metadata: { labels: { 'cloister.dev/enforce': 'userns-sysadmin' } } };
  await apiServer.admin.request('PATCH', '/api/v1/namespaces/update-older', label, MERGE);
  for (;;) {
    const { body } = await tenant.request<Stored>('POST', `${podsOf('older')}?dryRun=All`, plainPod());
    if (body.metadata.annotations?.['cloister.dev/profile-applied'] !== undefined) return;
    await sleep(20);
  }
});

/** Every namespace has the same tenant: `edit` alone may neither debug nor resize. */
async function prepare(namespace: string): Promise<void> {
  await apiServer.createTenant(namespace, 'developer');
  tenant = await apiServer.createTenant(namespace, 'developer', { clusterRole: 'debugger' });
}

async function create(profile: string, pod: PodManifest): Promise<void> {
  const { status, body } = await tenant.request<Stored>('POST', podsOf(profile), pod);
  expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
}

/** The pod's ephemeral containers, with the seccomp profile that each one has in effect. */
async function ephemeral(profile: string, pod: string): Promise<readonly Ephemeral[]> {
  const { spec } = (await tenant.request<Stored>('GET', `${podsOf(profile)}/${pod}`)).body;
  return (spec.ephemeralContainers ?? []).map((each) => ({
    ...each,
    securityContext: { ...spec.securityContext, ...each.securityContext },
  }));
}

/** As kubectl does it: the whole list as it was, and one more. */
function add(profile: string, pod: string, container: object) {
  const path = `${podsOf(profile)}/${pod}/ephemeralcontainers`;
  return tenant.request<Stored>('PATCH', path, { spec: { ephemeralContainers: [{ image: 'busybox', ...container }] } }, STRATEGIC);
}

function isHarmless({ securityContext = {} }: Ephemeral): void {
  expect(securityContext.privileged ?? false).toBe(false);
  expect(securityContext.procMount ?? 'Default').toBe('Default');
  expect(BASELINE).toEqual(expect.arrayContaining([...(securityContext.capabilities?.add ?? [])]));
  expect(securityContext.seccompProfile).toEqual({ type: 'RuntimeDefault' });
}

describe.each(profiles)('T10: kubectl debug on a pod of %s', (profile) => {
  beforeAll(() => create(profile, plainPod('workspace')));

  test.each(['sysadmin', 'netadmin', 'general', 'baseline', 'restricted'])(
    '`kubectl debug --profile=%s` adds a container without any grant',
    async (kind) => {
      const args = [
        'debug',
        'pod/workspace',
        `--namespace=${namespaceOf(profile)}`,
        '--image=busybox',
        `--container=${kind}`,
        `--profile=${kind}`,
      ];
      const { code, stderr } = await tenant.kubectl([...args, '--', 'sleep', '1']);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const added = (await ephemeral(profile, 'workspace')).find(({ name }) => name === kind);
      if (added === undefined) throw new Error(`no container ${kind} was added: ${stderr}`);
      isHarmless(added);
      const repaired = {
        sysadmin: 'privileged: privileged is true',
        netadmin: 'capability NET_ADMIN is added',
        general: 'capability SYS_PTRACE is added',
      };
      const change = repaired[kind as keyof typeof repaired];
      if (change !== undefined)
        expect(stderr).toMatch(new RegExp(`^Warning: cloister ${profile}: .*${change}.*\\(container ${kind}\\)$`, 'm'));
      if (kind === 'restricted') {
        expect(added.securityContext).toMatchObject({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
      }
      if (profile.startsWith('sysbox')) expect(added.env).toContainEqual({ name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE' });
    },
  );

  test('ephemeral containers that were added before are not changed', async () => {
    const before = await ephemeral(profile, 'workspace');
    expect(before).toHaveLength(5);
    expect((await add(profile, 'workspace', { name: 'sixth', securityContext: { privileged: true } })).status).toBe(200);
    const after = await ephemeral(profile, 'workspace');
    expect(after.filter(({ name }) => name !== 'sixth')).toEqual(before);
    isHarmless(after.find(({ name }) => name === 'sixth') as Ephemeral);
  });

  test('an ephemeral container gets nothing that the grant lists, even through the subresource', async () => {
    const { status, body, warnings } = await add(profile, 'workspace', {
      name: 'everything',
      securityContext: {
        capabilities: { add: ['SYS_ADMIN', 'CAP_NET_ADMIN', 'SYS_PTRACE', 'NET_RAW', 'ALL', 'CHOWN'] },
        allowPrivilegeEscalation: true,
        seccompProfile: { type: 'Unconfined' },
        appArmorProfile: { type: 'Unconfined' },
        // The API server takes an unmasked /proc only together with a user namespace.
        ...(/^(userns|sysbox)/.test(profile) && { procMount: 'Unmasked' }),
      },
    });
    expect({ status, message: body.message }).toEqual({ status: 200, message: undefined });
    expect(warnings).not.toEqual([]);
    const added = (await ephemeral(profile, 'workspace')).find(({ name }) => name === 'everything');
    isHarmless(added as Ephemeral);
    expect(added?.securityContext?.capabilities?.add).toEqual(['CHOWN']);
    expect(JSON.stringify(added)).not.toContain('Unconfined');
  });

  test('an ephemeral container that cannot be repaired is refused, and the pod stays unchanged', async () => {
    const before = await ephemeral(profile, 'workspace');
    const { status, body } = await add(profile, 'workspace', { name: 'spy', securityContext: { seLinuxOptions: { type: 'spc_t' } } });
    expect(status).toBe(403);
    expect(body.message).toMatch(
      /denied the request: (.|\n)*selinux: spec\.ephemeralContainers\[\d+\]\.securityContext\.seLinuxOptions\.type \(container "spy"\)/,
    );
    expect(await ephemeral(profile, 'workspace')).toEqual(before);
  });

  test('T11: a resize is admitted', async () => {
    const resources = { requests: { cpu: '100m' }, limits: { cpu: '2' } };
    const path = `${podsOf(profile)}/resized`;
    const [container] = plainPod().spec.containers;
    await create(
      profile,
      plainPod('resized', { containers: [{ ...container, resources: { requests: { cpu: '50m' }, limits: { cpu: '1' } } }] }),
    );
    const change = { spec: { containers: [{ name: 'workspace', resources }] } };
    const { status, body, warnings } = await tenant.request<Stored>('PATCH', `${path}/resize`, change, STRATEGIC);
    expect({ status, warnings, message: body.message }).toEqual({ status: 200, warnings: [], message: undefined });
    expect(body.spec.containers[0]?.resources).toEqual(resources);
  });
});

describe('a governed pod', () => {
  const profile = 'userns-sysadmin';
  const path = `${podsOf(profile)}/governed`;
  const patch = (body: object) => tenant.request<Stored>('PATCH', path, body, STRATEGIC);

  beforeAll(() => create(profile, { ...plainPod('governed'), metadata: { name: 'governed', annotations: { note: 'mine' } } }));

  test.each([
    'io.katacontainers.config.hypervisor.kernel_params',
    'run.oci.keep_original_groups',
    'io.kubernetes.cri-o.Devices',
    'cdi.k8s.io/gpu',
  ])('T17: a governed pod gets no runtime annotation: %s', async (key) => {
    const { code, stderr } = await tenant.kubectl(['annotate', 'pod/governed', `--namespace=${namespaceOf(profile)}`, `${key}=x`]);
    expect(code).toBe(1);
    expect(stderr).toContain('annotations that configure the container runtime');
    expect((await tenant.request<Stored>('GET', path)).body.metadata.annotations).not.toHaveProperty([key]);
  });

  test('T09: a governed pod can get labels, annotations and another image', async () => {
    const { status, body } = await patch({
      metadata: { labels: { team: 'blue' }, annotations: { note: 'yours' } },
      spec: { containers: [{ name: 'workspace', image: 'registry.example/workspace:2' }] },
    });
    expect({ status, message: body.message }).toEqual({ status: 200, message: undefined });
    expect(body.spec.containers[0]?.image).toBe('registry.example/workspace:2');
  });

  test('T09: a governed pod can get only tolerations that a new pod could have', async () => {
    const tolerations = (await tenant.request<{ spec: { tolerations: object[] } }>('GET', path)).body.spec.tolerations;
    const catchAll = await tenant.request<Stored>(
      'PATCH',
      path,
      { spec: { tolerations: [...tolerations, { operator: 'Exists' }] } },
      MERGE,
    );
    expect(catchAll.status).toBe(403);
    expect(catchAll.body.message).toContain('a toleration without a key tolerates every taint');
    const plain = [...tolerations, { key: 'example.com/spot', operator: 'Exists' }];
    expect((await tenant.request('PATCH', path, { spec: { tolerations: plain } }, MERGE)).status).toBe(200);
  });
});

describe('a non-compliant pod that is older than its namespace’s label', () => {
  const change = (body: object) => tenant.request<Stored>('PATCH', `${podsOf('older')}/changed`, body, STRATEGIC);

  test('T09: a non-compliant older pod can get another image', async () => {
    const { status, body } = await change({ spec: { containers: [{ name: 'workspace', image: 'registry.example/workspace:2' }] } });
    expect({ status, message: body.message }).toEqual({ status: 200, message: undefined });
  });

  test('T09, T17: a non-compliant older pod can get labels and annotations, but no runtime annotation', async () => {
    expect((await change({ metadata: { labels: { team: 'blue' }, annotations: { note: 'mine' } } })).status).toBe(200);
    expect((await change({ metadata: { annotations: { 'run.oci.keep_original_groups': '1' } } })).status).toBe(403);
  });

  test('T10, T30: a pod without isolation gets no ephemeral container with a capability of the grant', async () => {
    const { status, body } = await add('older', 'debugged', {
      name: 'admin',
      securityContext: { capabilities: { add: ['SYS_ADMIN'] }, privileged: true },
    });
    expect({ status, message: body.message }).toEqual({ status: 200, message: undefined });
    const [added] = await ephemeral('older', 'debugged');
    isHarmless(added as Ephemeral);
    expect(added?.securityContext?.capabilities?.add ?? []).toEqual([]);
  });

  test('an ephemeral container that would share the older pod’s host namespaces is refused', async () => {
    const { status, body } = await add('older', 'sharing', { name: 'joining' });
    expect(status).toBe(403);
    expect(body.message).toContain('the container joins a pod with hostNetwork, hostPID, hostIPC');
  });

  test('an ephemeral container that would mount the older pod’s hostPath is refused', async () => {
    const { status, body } = await add('older', 'mounting', { name: 'looking', volumeMounts: [{ name: 'root', mountPath: '/host' }] });
    expect(status).toBe(403);
    expect(body.message).toContain('volume "root" is the node\'s /');
    expect((await add('older', 'mounting', { name: 'harmless' })).status).toBe(200);
  });
});

test('T05, T10: a namespace whose label no longer names a profile refuses ephemeral containers', async () => {
  const label = { metadata: { labels: { 'cloister.dev/enforce': 'firecracker' } } };
  expect((await apiServer.admin.request('PATCH', '/api/v1/namespaces/update-astray', label, MERGE)).status).toBe(200);
  for (let attempt = 0; ; attempt += 1) {
    const { status, body } = await add('astray', 'debugged', { name: `attempt-${attempt}`, securityContext: { privileged: true } });
    if (status === 403) return expect(body.message).toContain('a profile that is not configured');
    // The API server sees the new label a moment later; until then the old profile holds.
    const [added] = (await ephemeral('astray', 'debugged')).slice(-1);
    isHarmless(added as Ephemeral);
    await sleep(20);
  }
});

test('T30: a pod without isolation has no capability of the grant', async () => {
  const { body } = await apiServer.admin.request<{ items: readonly { metadata: { name: string }; spec: { hostUsers?: boolean } }[] }>(
    'GET',
    podsOf('userns-sysadmin'),
  );
  const granted = body.items.filter((pod) => JSON.stringify(pod.spec).includes('SYS_ADMIN'));
  expect(granted.length).toBeGreaterThan(0);
  expect(granted.filter(({ spec }) => spec.hostUsers !== false)).toEqual([]);
});
