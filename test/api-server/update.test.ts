import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import { BASELINE } from '../support/baseline.ts';
import type { Client } from '../support/client.ts';
import { MISLABELLED } from '../support/cluster-setup.ts';
import { dockerInDocker, hostNamespaces, type PodManifest, plainPod } from '../support/pod-manifests.ts';

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

/** A pod that the scheduler leaves alone until both gates are removed. */
const gated = (pod: PodManifest): PodManifest => ({
  ...pod,
  spec: { ...pod.spec, schedulingGates: [{ name: 'example.com/a' }, { name: 'example.com/b' }] },
});

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
  await create('older', plainPod('ended'));
  await create('older', gated(dockerInDocker('waiting')));
  const volumes = [{ name: 'root', hostPath: { path: '/' } }];
  await create('older', plainPod('mounting', { volumes }));
  // A pod whose namespace first names a configured profile, and then one that is not configured.
  await apiServer.createNamespace('update-astray', { ...MISLABELLED, 'cloister.dev/enforce': 'userns' });
  await prepare('update-astray');
  await create('astray', plainPod('debugged'));
  await create('astray', gated(plainPod('waiting', { tolerations: [{ key: 'example.com/a', operator: 'Exists' }] })));
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
        sysadmin: 'privileged \\(privileged is true',
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

  test('T09, T19: a non-compliant older pod gets no other image', async () => {
    const { status, body } = await change({ spec: { containers: [{ name: 'workspace', image: 'registry.example/workspace:2' }] } });
    expect(status).toBe(403);
    expect(body.message).toContain('The update gives container "workspace" another image, so the whole pod is judged');
    expect(body.message).toContain('- host-namespaces: spec.hostNetwork: ');
  });

  test('T19: a non-compliant older pod can get a deadline and be deleted', async () => {
    expect((await change({ spec: { activeDeadlineSeconds: 3600 } })).status).toBe(200);
    expect((await tenant.request('DELETE', `${podsOf('older')}/ended`)).status).toBe(200);
  });

  test('T09, T17: a non-compliant older pod can get labels and annotations, but no runtime annotation', async () => {
    expect((await change({ metadata: { labels: { team: 'blue' }, annotations: { note: 'mine' } } })).status).toBe(200);
    expect((await change({ metadata: { annotations: { 'run.oci.keep_original_groups': '1' } } })).status).toBe(403);
  });

  test.each([
    ['with a capability of the grant', { capabilities: { add: ['SYS_ADMIN'] }, privileged: true }],
    ['that is harmless', { allowPrivilegeEscalation: false, seccompProfile: { type: 'RuntimeDefault' } }],
  ])('T10, T19, T30: a pod without isolation gets no ephemeral container %s', async (_, securityContext) => {
    const { status, body } = await add('older', 'debugged', { name: 'admin', securityContext });
    expect(status).toBe(403);
    expect(body.message).toContain('The update adds container "admin", so the whole pod is judged');
    expect(body.message).toContain('- user-namespace: spec.hostUsers: ');
    expect(await ephemeral('older', 'debugged')).toEqual([]);
  });

  test('T19: a pod that waits behind scheduling gates loses all of them but the last', async () => {
    const path = `${podsOf('older')}/waiting`;
    const gates = (names: readonly string[]) => ({ spec: { schedulingGates: names.map((name) => ({ name })) } });
    expect((await tenant.request('PATCH', path, gates(['example.com/b']), MERGE)).status).toBe(200);
    const { status, body } = await tenant.request<Stored>('PATCH', path, gates([]), MERGE);
    expect(status).toBe(403);
    expect(body.message).toContain('The update removes the last scheduling gate, so the whole pod is judged');
    expect(body.message).toContain('- privileged: spec.containers[0].securityContext.privileged (container "workspace"): ');
  });

  test('an ephemeral container that would share the older pod’s host namespaces is refused', async () => {
    const { status, body } = await add('older', 'sharing', { name: 'joining' });
    expect(status).toBe(403);
    expect(body.message).toContain('spec.hostPID: hostPID is true; remove it');
    // What the container shares or inherits is listed once, for the pod.
    expect(body.message).not.toMatch(/- (host-namespaces|seccomp): .*\(container "joining"\)/);
  });

  test('an ephemeral container that would mount the older pod’s hostPath is refused', async () => {
    const { status, body } = await add('older', 'mounting', { name: 'looking', volumeMounts: [{ name: 'root', mountPath: '/host' }] });
    expect(status).toBe(403);
    expect(body.message).toContain('volume "root" is the node\'s /');
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

describe('T05, T19: a pod whose namespace no longer names a profile', () => {
  const path = `${podsOf('astray')}/waiting`;
  const refusal = 'the label of this namespace names a profile that is not configured, and the update ';

  // The test above waited until the API server had seen the new label.
  test.each<[string, object]>([
    ['gives container "workspace" another image', { spec: { containers: [{ name: 'workspace', image: 'registry.example/workspace:2' }] } }],
    ['removes a scheduling gate', { spec: { schedulingGates: [{ $patch: 'delete', name: 'example.com/a' }] } }],
    ['changes nodeSelector', { spec: { nodeSelector: { 'node-role.kubernetes.io/control-plane': '' } } }],
    [
      'changes affinity',
      {
        spec: {
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'Exists' }] }],
              },
            },
          },
        },
      },
    ],
  ])('the update that %s is refused', async (change, body) => {
    const answer = await tenant.request<Stored>('PATCH', path, body, STRATEGIC);
    expect(answer.body.message).toContain(`${refusal}${change}; the configured profiles are: `);
    expect(answer.status).toBe(403);
  });

  test('the update that adds a toleration is refused', async () => {
    const { spec } = (await tenant.request<{ spec: { tolerations: object[] } }>('GET', path)).body;
    const tolerations = [...spec.tolerations, { operator: 'Exists' }];
    const { status, body } = await tenant.request<Stored>('PATCH', path, { spec: { tolerations } }, MERGE);
    expect({ status, message: body.message }).toMatchObject({
      status: 403,
      message: expect.stringContaining(`${refusal}changes tolerations`),
    });
  });

  test('labels, finalizers, deadlines and status can change, and the pod can be deleted', async () => {
    for (const body of [
      { metadata: { labels: { team: 'blue' }, annotations: { note: 'x' }, finalizers: ['example.com/wait'] } },
      { spec: { activeDeadlineSeconds: 3600 } },
    ])
      expect((await tenant.request('PATCH', path, body, MERGE)).status).toBe(200);
    expect((await apiServer.admin.request('PATCH', `${path}/status`, { status: { phase: 'Failed' } }, MERGE)).status).toBe(200);
    expect((await tenant.request('DELETE', path)).status).toBe(200);
    expect((await tenant.request('PATCH', path, { metadata: { finalizers: null } }, MERGE)).status).toBe(200);
    expect((await tenant.request('GET', path)).status).toBe(404);
  });
});

describe('T19: a governed pod', () => {
  const change = (pod: string, body: object) => tenant.request<Stored>('PATCH', `${podsOf('userns-containers')}/${pod}`, body, STRATEGIC);

  test('a pod that runs on a node can get another image and a debug container', async () => {
    await create('userns-containers', plainPod('bound'));
    const target = { apiVersion: 'v1', kind: 'Node', name: 'worker-1' };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'bound' }, target };
    expect((await apiServer.admin.request('POST', `${podsOf('userns-containers')}/bound/binding`, binding)).status).toBe(201);
    const image = await change('bound', { spec: { containers: [{ name: 'workspace', image: 'registry.example/workspace:2' }] } });
    expect({ status: image.status, message: image.body.message }).toEqual({ status: 200, message: undefined });
    const debug = await add('userns-containers', 'bound', { name: 'debug' });
    expect({ status: debug.status, message: debug.body.message }).toEqual({ status: 200, message: undefined });
  });

  test('a pod that waits behind scheduling gates can start', async () => {
    await create('userns-containers', gated(dockerInDocker('starting')));
    const { status, body } = await tenant.request<Stored>(
      'PATCH',
      `${podsOf('userns-containers')}/starting`,
      { spec: { schedulingGates: null } },
      MERGE,
    );
    expect({ status, message: body.message }).toEqual({ status: 200, message: undefined });
  });
});

test('T19: the start of a pod that is older than its label has all findings as warnings, where nothing is enforced', async () => {
  await apiServer.createNamespace('update-warned');
  await prepare('update-warned');
  for (const name of ['first', 'second']) await create('warned', gated(dockerInDocker(name)));
  const label = { metadata: { labels: { 'cloister.dev/warn': 'userns-sysadmin' } } };
  await apiServer.admin.request('PATCH', '/api/v1/namespaces/update-warned', label, MERGE);
  const start = (name: string, query: string) =>
    tenant.request('PATCH', `${podsOf('warned')}/${name}${query}`, { spec: { schedulingGates: null } }, MERGE);
  // The API server sees the label a moment later.
  while ((await start('first', '?dryRun=All')).warnings.length === 0) await sleep(20);
  const { status, warnings } = await start('second', '');
  expect(status).toBe(200);
  for (const rule of ['user-namespace', 'privileged', 'seccomp', 'capabilities'])
    expect(warnings.join('\n')).toContain(`cloister userns-sysadmin: ${rule}: `);
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
