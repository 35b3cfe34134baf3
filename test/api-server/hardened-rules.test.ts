import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { type PodManifest, plainPod } from '../support/pod-manifests.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/**
 * What a pod may choose of its node, its network, its volumes and its kernel settings, beside the answer of the API server's own Pod Security.
 * The configuration and the RuntimeClasses are those of this file, so the API server is too.
 */

interface Pod {
  readonly message?: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly tolerations?: readonly object[];
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly affinity?: object;
    readonly securityContext?: { readonly sysctls?: readonly object[] };
  };
}

const CONTROL_PLANE = { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' };
const KATA = { key: 'kata', operator: 'Equal', value: 'true', effect: 'NoSchedule' };
const EVERY = { operator: 'Exists', effect: 'NoExecute' };
const scheduling = { nodeSelector: { 'kubernetes.azure.com/mode': 'system', kata: 'true' }, tolerations: [CONTROL_PLANE, KATA, EVERY] };
const CLASSES = {
  scheduled: { handler: 'kata', scheduling },
  tolerating: { handler: 'kata', scheduling: { tolerations: scheduling.tolerations } },
};

const CONFIG = stringify({
  apiVersion: 'cloister.dev/v1alpha1',
  kind: 'Config',
  profiles: {
    userns: {},
    extended: {
      extends: 'userns',
      csiDrivers: ['nfs.csi.k8s.io'],
      deniedTolerations: ['dedicated=build'],
      deniedNodeLabels: ['pool=build'],
    },
    scheduled: { extends: 'kata-qemu', runtimeClassName: 'scheduled', runtimeClassScheduling: scheduling },
    'not-stated': { extends: 'kata-qemu', runtimeClassName: 'scheduled' },
    'not-stated-tolerating': { extends: 'kata-qemu', runtimeClassName: 'tolerating' },
  },
  exemptions: [
    {
      reason: 'an agent on each node, with one more network',
      expires: '2999-01-01',
      namespaces: ['exempt'],
      serviceAccounts: ['*'],
      allow: {
        'node-selection': ['metadata.name', 'kubernetes.io/hostname'],
        'runtime-annotations': ['k8s.v1.cni.cncf.io/networks'],
        'volume-types': ['csi:smb.csi.k8s.io'],
      },
    },
  ],
});

const LEVEL = 'pod-security.kubernetes.io/enforce';
/** Name -> labels. `baseline` and `restricted` have Pod Security alone. */
const NAMESPACES = {
  baseline: { [LEVEL]: 'baseline' },
  governed: { [LEVEL]: 'baseline', 'cloister.dev/enforce': 'userns' },
  unrestricted: { 'cloister.dev/enforce': 'userns' },
  extended: { 'cloister.dev/enforce': 'extended' },
  scheduled: { 'cloister.dev/enforce': 'scheduled' },
  'not-stated': { 'cloister.dev/enforce': 'not-stated' },
  'not-stated-tolerating': { 'cloister.dev/enforce': 'not-stated-tolerating' },
  exempt: { 'cloister.dev/enforce': 'userns' },
} as const;
type Namespace = keyof typeof NAMESPACES;

let apiServer: ApiServer & { stop(): Promise<void> };
let cloister: Cloister;
let tenants: ReadonlyMap<Namespace, Client>;

beforeAll(async () => {
  apiServer = await startApiServer();
  for (const [name, runtimeClass] of Object.entries(CLASSES)) await apiServer.createRuntimeClass(name, runtimeClass);
  cloister = await startCloister(apiServer, { config: CONFIG, apply: true });
  const made = Object.entries(NAMESPACES).map(async ([name, labels]) => {
    await apiServer.createNamespace(name, labels);
    return [name as Namespace, await apiServer.createTenant(name, `tenant-${name}`)] as const;
  });
  tenants = new Map(await Promise.all(made));
});

afterAll(async () => {
  await cloister?.stop();
  await apiServer?.stop();
});

const tenantOf = (namespace: Namespace): Client => tenants.get(namespace) as Client;
const podsOf = (namespace: Namespace): string => `/api/v1/namespaces/${namespace}/pods`;

let made = 0;
const create = (namespace: Namespace, { spec = {}, annotations = {} }: { readonly spec?: object; readonly annotations?: object }) => {
  made += 1;
  const pod = plainPod(`pod-${made}`, spec);
  return tenantOf(namespace).request<Pod>('POST', podsOf(namespace), { ...pod, metadata: { ...pod.metadata, annotations } } as PodManifest);
};

/** What is stored, without what the API server adds to every pod. */
async function storedOf(namespace: Namespace, parts: Parameters<typeof create>[1]): Promise<Pod> {
  const { status, body } = await create(namespace, parts);
  expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
  return (await tenantOf(namespace).request<Pod>('GET', `${podsOf(namespace)}/${body.metadata.name}`)).body;
}

const tolerationsOf = ({ spec }: Pod): readonly object[] =>
  (spec.tolerations ?? []).filter((each) => !JSON.stringify(each).includes('node.kubernetes.io/'));

const TENANT = { key: 'tenant', operator: 'Equal', value: 'a', effect: 'NoSchedule' };

describe('T79: tolerations', () => {
  test('a pod keeps no toleration of a system pool, which Pod Security admits', async () => {
    const tolerations = [
      { key: 'CriticalAddonsOnly', operator: 'Exists' },
      TENANT,
      { key: 'node-role.kubernetes.io/infra', operator: 'Equal', value: '', effect: 'NoSchedule' },
    ];
    expect(tolerationsOf(await storedOf('baseline', { spec: { tolerations } }))).toHaveLength(3);
    expect(tolerationsOf(await storedOf('governed', { spec: { tolerations } }))).toEqual([TENANT]);
  });

  test('a pod keeps no toleration that its profile denies', async () => {
    const build = { key: 'dedicated', operator: 'Equal', value: 'build', effect: 'NoSchedule' };
    const spare = { ...build, value: 'spare' };
    expect(tolerationsOf(await storedOf('extended', { spec: { tolerations: [build, spare] } }))).toEqual([spare]);
    expect(tolerationsOf(await storedOf('governed', { spec: { tolerations: [build, spare] } }))).toEqual([build, spare]);
  });

  test('T02, T33: the pod has what its RuntimeClass brings after the webhook was called again, and nothing else that is denied', async () => {
    const pod = await storedOf('scheduled', { spec: { tolerations: [TENANT, { key: 'CriticalAddonsOnly', operator: 'Exists' }] } });
    expect(tolerationsOf(pod)).toEqual([TENANT, CONTROL_PLANE, KATA, EVERY]);
    expect(pod.spec.nodeSelector).toEqual(scheduling.nodeSelector);
  });

  test('T02, T33: the same holds for a pod that names its RuntimeClass, or repeats what it brings', async () => {
    const named = await storedOf('scheduled', { spec: { runtimeClassName: 'scheduled', ...scheduling } });
    expect(tolerationsOf(named)).toEqual([CONTROL_PLANE, KATA, EVERY]);
    expect(named.spec.nodeSelector).toEqual(scheduling.nodeSelector);
  });

  test('a toleration of the RuntimeClass stays when a wider one of the author is removed', async () => {
    const pod = await storedOf('scheduled', { spec: { runtimeClassName: 'scheduled', tolerations: [{ operator: 'Exists' }] } });
    expect(tolerationsOf(pod)).toEqual(expect.arrayContaining([CONTROL_PLANE, KATA, EVERY]));
    expect(tolerationsOf(pod)).not.toContainEqual({ operator: 'Exists' });
  });

  test('what the configuration does not state is removed, because nothing in the pod shows that its RuntimeClass brought it', async () => {
    expect(tolerationsOf(await storedOf('not-stated-tolerating', {}))).toEqual([KATA]);
  });

  test('no denied toleration is added to a pod that exists', async () => {
    const { metadata } = await storedOf('governed', { spec: { tolerations: [TENANT] } });
    const path = `${podsOf('governed')}/${metadata.name}`;
    const { spec } = (await tenantOf('governed').request<Pod>('GET', path)).body;
    const add = (toleration: object) =>
      tenantOf('governed').request<Pod>('PATCH', path, { spec: { tolerations: [...(spec.tolerations ?? []), toleration] } }, MERGE);
    const { status, body } = await add({ key: 'CriticalAddonsOnly', operator: 'Exists' });
    expect(status).toBe(403);
    expect(body.message).toContain('taint CriticalAddonsOnly Exists is tolerated');
    expect((await add({ key: 'spot', operator: 'Exists' })).status).toBe(200);
  });
});

const MERGE = { contentType: 'application/merge-patch+json' };
const HOST = { nodeSelector: { 'kubernetes.io/hostname': 'node-1' } };
const requiring = (term: object) => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } } },
});
const byName = requiring({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-1'] }] });

describe('T79: nodes', () => {
  test.each([
    ['a system pool', { nodeSelector: { 'kubernetes.azure.com/mode': 'system' } }, 'nodeSelector asks for kubernetes.azure.com/mode'],
    ['one node by its label', HOST, 'nodeSelector asks for kubernetes.io/hostname'],
    ['one node by its name', byName, 'node affinity asks for metadata.name'],
    [
      'a system pool by affinity',
      requiring({ matchExpressions: [{ key: 'karpenter.sh/nodepool', operator: 'In', values: ['system'] }] }),
      'node affinity asks for karpenter.sh/nodepool',
    ],
  ])('a pod that asks for %s is refused, which Pod Security admits', async (_, spec, says) => {
    expect((await create('baseline', { spec })).status).toBe(201);
    const { status, body } = await create('governed', { spec });
    expect(status).toBe(403);
    expect(body.message).toContain(`node-selection: `);
    expect(body.message).toContain(says);
  });

  test('a pod that asks for a label that its profile denies is refused', async () => {
    expect((await create('extended', { spec: { nodeSelector: { pool: 'build' } } })).status).toBe(403);
    expect((await create('extended', { spec: { nodeSelector: { pool: 'workspaces' } } })).status).toBe(201);
    expect((await create('governed', { spec: { nodeSelector: { pool: 'build' } } })).status).toBe(201);
  });

  test('a label of the RuntimeClass is refused where the configuration does not state it', async () => {
    const { status, body } = await create('not-stated', {});
    expect(status).toBe(403);
    expect(body.message).toContain('nodeSelector asks for kubernetes.azure.com/mode');
  });

  test('T06: an exemption allows one node', async () => {
    expect((await create('exempt', { spec: { ...HOST, ...byName } })).status).toBe(201);
  });

  test('pods of a DaemonSet are refused with the reason, and created where metadata.name is exempt', async () => {
    expect((await apiServer.admin.request('POST', '/api/v1/nodes', { metadata: { name: 'node-1' } })).status).toBe(201);
    // The API server taints a new node until its kubelet reports.
    expect((await apiServer.admin.request('PATCH', '/api/v1/nodes/node-1', { spec: { taints: null } }, MERGE)).status).toBe(200);
    const daemonSet = {
      metadata: { name: 'agent' },
      spec: {
        selector: { matchLabels: { app: 'agent' } },
        template: { metadata: { labels: { app: 'agent' } }, spec: plainPod().spec },
      },
    };
    const apply = (namespace: Namespace) => apiServer.admin.request('POST', `/apis/apps/v1/namespaces/${namespace}/daemonsets`, daemonSet);
    const [refused, exempt] = [await apply('unrestricted'), await apply('exempt')];
    expect([refused.status, exempt.status]).toEqual([201, 201]);
    // The warning for the author of the template states why its pods will be refused.
    const exemption = 'or ask the operator for an exemption (node-selection: [metadata.name])';
    expect(refused.warnings).toEqual([
      `cloister userns: node-selection: the controller makes each pod of a DaemonSet ask for one node by its name; use a Deployment, ${exemption}`,
    ]);
    expect(exempt.warnings).toEqual([]);
    interface List<T> {
      readonly items: readonly T[];
    }
    const agentsIn = async (namespace: Namespace) =>
      (await apiServer.admin.request<List<Pod>>('GET', `${podsOf(namespace)}?labelSelector=app%3Dagent`)).body.items;
    await until(async () => (await agentsIn('exempt')).length === 1);
    expect((await agentsIn('exempt'))[0]?.spec.affinity).toEqual(byName.affinity);

    const events = async () =>
      (await apiServer.admin.request<List<{ reason: string; message: string }>>('GET', '/api/v1/namespaces/unrestricted/events')).body
        .items;
    await until(async () => (await events()).some(({ reason }) => reason === 'FailedCreate'));
    expect((await events()).find(({ reason }) => reason === 'FailedCreate')?.message).toMatch(
      /node affinity asks for metadata\.name In; .* \(the DaemonSet controller adds metadata\.name: use a Deployment\), or ask the operator for an exemption/,
    );
    expect(await agentsIn('unrestricted')).toEqual([]);
  });
});

describe('T39: inline csi volumes', () => {
  const csi = (driver: string) => ({ volumes: [{ name: 'files', csi: { driver, volumeAttributes: { server: 'files.example.com' } } }] });

  test('a driver that mounts what the pod names is refused with the option, which Pod Security admits', async () => {
    expect((await create('baseline', { spec: csi('nfs.csi.k8s.io') })).status).toBe(201);
    const { status, body } = await create('governed', { spec: csi('nfs.csi.k8s.io') });
    expect(status).toBe(403);
    expect(body.message).toContain('volume "files" is mounted by the CSI driver nfs.csi.k8s.io');
    expect(body.message).toContain('ask the operator to list the driver in the csiDrivers of the profile');
  });

  test('drivers of secrets, of the profile, and exempt ones are admitted', async () => {
    expect((await create('governed', { spec: csi('secrets-store.csi.k8s.io') })).status).toBe(201);
    expect((await create('extended', { spec: csi('nfs.csi.k8s.io') })).status).toBe(201);
    expect((await create('extended', { spec: csi('secrets-store.csi.k8s.io') })).status).toBe(403);
    expect((await create('exempt', { spec: csi('smb.csi.k8s.io') })).status).toBe(201);
    expect((await create('exempt', { spec: csi('nfs.csi.k8s.io') })).status).toBe(403);
  });
});

describe('T17: annotations', () => {
  const REMOVED = {
    'k8s.v1.cni.cncf.io/networks': 'storage',
    'v1.multus-cni.io/default-network': 'kube-system/host',
    'k8s.ovn.org/pod-networks': '{"default":{"ip_addresses":["10.0.0.1/24"]}}',
    'ovn.kubernetes.io/ip_address': '10.0.0.1',
    'cni.projectcalico.org/ipAddrs': '["10.0.0.1"]',
    'cni.projectcalico.org/podIP': '10.0.0.1/32',
    'krun.ram_mib': '65536',
    'target.workload.openshift.io/management': '{"effect":"PreferredDuringScheduling"}',
    'resources.workload.openshift.io/workspace': '{"cpushares":100000}',
    'prefer-isolated-cpus.cri-resource-manager.intel.com/pod': 'true',
    'com.github.containers.virtcontainers.KernelPath': '/x',
  };

  test('annotations of networks and further runtimes are removed, which Pod Security admits, and others stay', async () => {
    const annotations = { ...REMOVED, note: 'mine' };
    expect((await storedOf('baseline', { annotations })).metadata.annotations).toEqual(annotations);
    expect(Object.keys((await storedOf('governed', { annotations })).metadata.annotations ?? {})).toEqual([
      'cloister.dev/profile-applied',
      'note',
    ]);
  });

  test('T06: an exempt network stays', async () => {
    const { metadata } = await storedOf('exempt', { annotations: REMOVED });
    expect(metadata.annotations).toMatchObject({ 'k8s.v1.cni.cncf.io/networks': 'storage' });
    expect(Object.keys(metadata.annotations ?? {})).toHaveLength(2);
  });

  test('a network is not added later, and what a network plugin writes is', async () => {
    const { metadata } = await storedOf('governed', {});
    const annotate = (subresource: string, annotations: object) =>
      apiServer.admin.request<Pod>('PATCH', `${podsOf('governed')}/${metadata.name}${subresource}`, { metadata: { annotations } }, MERGE);
    for (const subresource of ['', '/status']) {
      const { status, body } = await annotate(subresource, { 'k8s.v1.cni.cncf.io/networks': 'storage' });
      expect(status).toBe(403);
      // Two policies refuse it, and either may come first.
      expect(body.message).toMatch(/ValidatingAdmissionPolicy 'cloister-(?:pods|profile-userns)'.*k8s\.v1\.cni\.cncf\.io\/networks/);
    }
    const written = {
      'cni.projectcalico.org/podIP': '10.0.0.1/32',
      'k8s.ovn.org/pod-networks': '{}',
      'ovn.kubernetes.io/allocated': 'true',
    };
    expect((await annotate('', written)).status).toBe(200);
    expect((await annotate('/status', { ...written, 'cni.projectcalico.org/podIP': '10.0.0.2/32' })).status).toBe(200);
    expect((await annotate('/status', { 'cni.projectcalico.org/ipAddrs': '[]' })).status).toBe(403);
  });
});

describe('T34: sysctls', () => {
  const sysctls = (...written: readonly (readonly [name: string, value: string])[]) => ({
    spec: { securityContext: { sysctls: written.map(([name, value]) => ({ name, value })) } },
  });

  test('a name with slashes is refused by Pod Security, and rewritten by Cloister', async () => {
    const slashed = sysctls(['kernel/shm_rmid_forced', '1'], ['net/ipv4/tcp_syncookies', '1']);
    const { status, body } = await create('baseline', slashed);
    expect(status).toBe(403);
    expect(body.message).toContain('forbidden sysctls (kernel/shm_rmid_forced, net/ipv4/tcp_syncookies)');
    const { spec } = await storedOf('governed', slashed);
    expect(spec.securityContext?.sysctls).toEqual([
      { name: 'kernel.shm_rmid_forced', value: '1' },
      { name: 'net.ipv4.tcp_syncookies', value: '1' },
    ]);
  });

  test('a range of groups beyond the pod’s is admitted by Pod Security, and cut by Cloister', async () => {
    const every = sysctls(['net.ipv4.ping_group_range', '0 2147483647']);
    expect((await create('baseline', every)).status).toBe(201);
    expect((await storedOf('governed', every)).spec.securityContext?.sysctls).toEqual([
      { name: 'net.ipv4.ping_group_range', value: '0 65535' },
    ]);
    expect((await storedOf('scheduled', every)).spec.securityContext?.sysctls).toEqual([
      { name: 'net.ipv4.ping_group_range', value: '0 2147483647' },
    ]);
  });

  test('a setting in two spellings is stored once, with the value that counts for a kubelet', async () => {
    const twice = sysctls(['kernel/shm_rmid_forced', '1'], ['net.ipv4.tcp_syncookies', '1'], ['kernel.shm_rmid_forced', '0']);
    const { spec } = await storedOf('governed', twice);
    expect(spec.securityContext?.sysctls).toEqual([
      { name: 'net.ipv4.tcp_syncookies', value: '1' },
      { name: 'kernel.shm_rmid_forced', value: '0' },
    ]);
  });

  test('the sysctls that are safe since Kubernetes 1.37 are left to Pod Security', async () => {
    const newer = sysctls(['net.ipv4.tcp_slow_start_after_idle', '0'], ['net.ipv4.tcp_notsent_lowat', '131072']);
    const alone = await create('baseline', newer);
    const both = await create('governed', newer);
    expect(both.status).toBe(alone.status);
    expect(both.body.message ?? '').not.toContain('cloister.dev');
    expect((await create('unrestricted', newer)).status).toBe(201);
    expect((await create('unrestricted', sysctls(['net.ipv4.tcp_mtu_probing', '1']))).status).toBe(403);
  });
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20); // the test's own timeout ends it
}
