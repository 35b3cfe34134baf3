import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DoctorAnswer, Level } from '../../src/doctor/check.ts';
import { selectChecks } from '../../src/doctor/examine.ts';
import { userRoles } from '../../src/manifests/rbac.ts';
import type { ApiServer } from '../support/api-server.ts';
import type { Method } from '../support/client.ts';
import {
  createTeam,
  type DoctorCluster,
  type ExpiredPod,
  examineAs,
  post,
  startDoctorCluster,
  startExpiredPod,
} from '../support/doctor-cluster.ts';
import { ADMISSION, type ServingPod } from '../support/ensure.ts';
import { createNode, KATA_HANDLERS, startInstaller } from '../support/installation.ts';
import { differences, kubelets } from '../support/kubernetes.ts';
import { cloister } from '../support/run.ts';

/** A cluster with ten mistakes. `cloister doctor` names each with a fix, and the fix works. Then the nodes and RuntimeClasses of the healthy cluster change. */

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns: {grant: containers}
  kata-qemu: {}
`;
const USERNS = { 'cloister.dev/enforce': 'userns' };
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const CLASSES = '/apis/node.k8s.io/v1/runtimeclasses';

let cluster: DoctorCluster;
let apiServer: ApiServer;
let pod: ServingPod;
let expired: ExpiredPod;

async function request(method: Method, path: string, body?: unknown, contentType = 'application/merge-patch+json'): Promise<unknown> {
  const answer = await apiServer.admin.request(method, path, body as object, { contentType });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}
const patch = (path: string, body: object): Promise<unknown> => request('PATCH', path, body);
const create = (path: string, body: object): Promise<void> => post(apiServer, path, body);
const patchNode = (name: string, status: object): Promise<unknown> => patch(`/api/v1/nodes/${name}/status`, { status });

const workspace = (name: string, spec: object = {}): object => ({
  metadata: { name },
  spec: { containers: [{ name: 'main', image: 'workspace' }], ...spec },
});

/** A claim that is bound to a volume of its own. */
async function createClaim(namespace: string, name: string, source: object): Promise<void> {
  const common = { accessModes: ['ReadWriteOnce'], storageClassName: 'static' };
  const capacity = { storage: '1Gi' };
  await create('/api/v1/persistentvolumes', { metadata: { name }, spec: { ...common, capacity, ...source } });
  await create(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
    metadata: { name },
    spec: { ...common, resources: { requests: capacity }, volumeName: name },
  });
}
const mounting = (claimName: string): object => ({ volumes: [{ name: 'home', persistentVolumeClaim: { claimName } }] });

/** A mistake that administrators make, as doctor names it, and what its remedy says. */
interface Mistake {
  readonly title: string;
  seed(): Promise<unknown>;
  readonly check: string;
  readonly level: Level;
  readonly message: RegExp;
  readonly remedy: RegExp;
  /** What the remedy says, done. */
  fix(): Promise<unknown>;
}

const PSA = 'pod-security.kubernetes.io';
const WEBHOOK = `${ADMISSION}/mutatingwebhookconfigurations/zzz-mesh`;

const MISTAKES: readonly Mistake[] = [
  {
    title: 'a Pod Security level that refuses the grant',
    seed: () => createTeam(apiServer, 'team-psa', { ...USERNS, [`${PSA}/enforce`]: 'baseline', [`${PSA}/enforce-version`]: 'v1.34' }),
    check: 'psa-level',
    level: 'error',
    message: /team-psa: Pod Security baseline v1\.34 refuses procMount Unmasked/,
    remedy: differences.acceptsUnmaskedProc
      ? /Set pod-security\.kubernetes\.io\/enforce-version to v1\.35 or later/
      : /Set pod-security\.kubernetes\.io\/enforce to privileged/,
    fix: () => {
      const labels = differences.acceptsUnmaskedProc ? { [`${PSA}/enforce-version`]: 'v1.35' } : { [`${PSA}/enforce`]: 'privileged' };
      return patch('/api/v1/namespaces/team-psa', { metadata: { labels } });
    },
  },
  {
    title: 'a typing error in a label that is older than the policy',
    // Before Cloister is installed: its policy refuses such a label.
    seed: async () => {},
    check: 'label-unknown',
    level: 'error',
    message: /team-typo: .*"usern".*did you mean userns\?/,
    remedy: /Correct the label; .*userns, kata-qemu/,
    fix: () => patch('/api/v1/namespaces/team-typo', { metadata: { labels: USERNS } }),
  },
  {
    title: 'a handler that one node does not have',
    async seed() {
      await createNode(apiServer, 'worker-3', { runtimeHandlers: KATA_HANDLERS.slice(0, 2) });
      await startInstaller(apiServer, 'worker-3');
    },
    check: 'runtime-handler',
    level: 'error',
    message: /1 of 4 nodes .* do not have handler "kata-qemu".* \(worker-3\)/,
    remedy: /give RuntimeClass kata-qemu a scheduling\.nodeSelector that only the other nodes match/,
    async fix() {
      const label = { 'example.com/kata-installed': 'true' };
      for (const node of ['worker-1', 'worker-2', 'worker-old']) await patch(`/api/v1/nodes/${node}`, { metadata: { labels: label } });
      await patch(`${CLASSES}/kata-qemu`, { scheduling: { nodeSelector: label } });
    },
  },
  {
    title: 'an expired certificate',
    seed: async () => {
      expired = await startExpiredPod(cluster);
    },
    check: 'cert-expiry',
    level: 'error',
    message: /expired at .*every call fails/,
    remedy: /[Rr]estart the pod/,
    fix: () => expired.renew(),
  },
  {
    title: "another vendor's webhook after Cloister",
    seed: () =>
      create(`${ADMISSION}/mutatingwebhookconfigurations`, {
        metadata: { name: 'zzz-mesh' },
        webhooks: [
          {
            name: 'sidecar.example.com',
            clientConfig: { url: 'https://127.0.0.1:1/' },
            rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
            namespaceSelector: { matchLabels: USERNS },
            failurePolicy: 'Ignore',
            reinvocationPolicy: 'IfNeeded',
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            timeoutSeconds: 1,
          },
        ],
      }),
    check: 'other-mutating',
    level: 'warning',
    message: /sidecar\.example\.com \(zzz-mesh\)/,
    remedy: /Exclude namespaces with the label cloister\.dev\/enforce in its namespaceSelector/,
    fix: () =>
      request(
        'PATCH',
        WEBHOOK,
        [
          {
            op: 'replace',
            path: '/webhooks/0/namespaceSelector',
            value: { matchExpressions: [{ key: 'cloister.dev/enforce', operator: 'DoesNotExist' }] },
          },
        ],
        'application/json-patch+json',
      ),
  },
  {
    title: 'an entry that was edited',
    async seed() {
      const path = `${ADMISSION}/validatingwebhookconfigurations/cloister`;
      const { webhooks } = (await request('GET', path)) as { readonly webhooks: readonly { readonly name: string }[] };
      const index = webhooks.findIndex(({ name }) => name === 'kata-qemu.namespace.audit.cloister.dev');
      await request('PATCH', path, [{ op: 'replace', path: `/webhooks/${index}/timeoutSeconds`, value: 9 }], 'application/json-patch+json');
    },
    check: 'entries-drift',
    level: 'error',
    message: /timeoutSeconds is 9 instead of 2/,
    remedy: /Run `cloister ensure`/,
    fix: () => cluster.ensure(),
  },
  {
    title: 'a platform whose namespaces have no label',
    async seed() {
      await apiServer.createNamespace('che');
      await create('/api/v1/namespaces/che/serviceaccounts', { metadata: { name: 'che' } });
      await create(`${RBAC}/clusterroles`, {
        metadata: { name: 'che' },
        rules: [{ apiGroups: [''], resources: ['namespaces'], verbs: ['create', 'update'] }],
      });
      await create(`${RBAC}/clusterrolebindings`, bindingOf('che', 'che'));
      await apiServer.createNamespace('anna-che');
    },
    check: 'platform-labels',
    level: 'warning',
    message: /ServiceAccount che\/che .*namespaces/,
    remedy: /Bind the ClusterRole cloister-labeler to it/,
    fix: () => create(`${RBAC}/clusterrolebindings`, bindingOf('che-labeler', 'cloister-labeler')),
  },
  {
    title: 'a home on NFS',
    async seed() {
      await createTeam(apiServer, 'team-nfs', USERNS);
      await createClaim('team-nfs', 'home-nfs', { nfs: { server: '192.0.2.1', path: '/home' } });
      await create('/api/v1/namespaces/team-nfs/pods', workspace('ws', mounting('home-nfs')));
    },
    check: 'volume-idmap',
    level: 'error',
    message: /on nfs: 1 \(team-nfs\/home-nfs\)/,
    remedy: /Use block storage/,
    async fix() {
      await createClaim('team-nfs', 'home-block', { csi: { driver: 'ebs.csi.aws.com', volumeHandle: 'vol-1' } });
      await request('DELETE', '/api/v1/namespaces/team-nfs/pods/ws?gracePeriodSeconds=0');
      await create('/api/v1/namespaces/team-nfs/pods', workspace('ws', mounting('home-block')));
    },
  },
  {
    title: 'a quota that is used up',
    async seed() {
      await createTeam(apiServer, 'team-full', USERNS);
      await create('/api/v1/namespaces/team-full/pods', workspace('ws'));
      await create('/api/v1/namespaces/team-full/resourcequotas', { metadata: { name: 'pods' }, spec: { hard: { pods: '1' } } });
    },
    check: 'quota',
    level: 'warning',
    message: /ResourceQuota team-full\/pods is nearly used up: pods 1 of 1/,
    remedy: /Raise the quota/,
    fix: () => patch('/api/v1/namespaces/team-full/resourcequotas/pods', { spec: { hard: { pods: '10' } } }),
  },
  {
    title: 'a kubelet that is too old',
    async seed() {
      await createNode(apiServer, 'worker-old', { nodeInfo: { kubeletVersion: `${kubelets.tooOld}+k3s1` } });
      await startInstaller(apiServer, 'worker-old');
    },
    check: 'api-skew',
    level: 'warning',
    message: /1 of 4 kubelets .*\(worker-old\)/,
    remedy: /Upgrade/,
    fix: () => patchNode('worker-old', { nodeInfo: { kubeletVersion: kubelets.equal } }),
  },
];

function bindingOf(name: string, role: string): object {
  return {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', namespace: 'che', name: 'che' }],
  };
}

interface Report {
  readonly checks: readonly (Omit<DoctorAnswer, 'check' | 'level'> & { readonly id: string; readonly answer: Level })[];
}

const endpoints = (): string => `${pod.address},${expired.address}`;

/** The answers of the command, as programs read them. */
async function answers(): Promise<Report['checks']> {
  const { kubeconfig } = apiServer.admin;
  const { stdout, stderr } = await cloister(['doctor', '--kubeconfig', kubeconfig, '--serving-endpoints', endpoints(), '-o', 'json']);
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as Report).checks;
}

const isOf =
  ({ check, level, message }: Mistake) =>
  (each: Report['checks'][number]): boolean =>
    each.id === check && each.answer === level && message.test(each.message);

beforeAll(async () => {
  cluster = await startDoctorCluster(CONFIG, async (created) => {
    apiServer = created;
    await createTeam(created, 'team-typo', { 'cloister.dev/enforce': 'usern' });
  });
  ({ pod } = cluster);
  for (const role of userRoles()) await create(`${RBAC}/clusterroles`, role);
  await createTeam(apiServer, 'team-a', USERNS);
  await createTeam(apiServer, 'team-k', { 'cloister.dev/enforce': 'kata-qemu' });
  for (const { seed } of MISTAKES) await seed();
}, 300_000);

afterAll(async () => {
  expired?.stop();
  await cluster?.stop();
});

describe('ten mistakes', () => {
  let found: Report['checks'] = [];

  beforeAll(async () => {
    // Quotas and caches of the API server follow a moment later: the hook's own timeout ends it.
    do found = await answers();
    while (!MISTAKES.every((each) => found.some(isOf(each))));
  }, 120_000);

  test('they are ten', () => {
    expect(MISTAKES).toHaveLength(10);
  });

  test.each(MISTAKES)('$title: doctor names it once, with its fix', (mistake) => {
    const named = found.filter(isOf(mistake));
    expect(named).toHaveLength(1);
    expect(named[0]?.remedy).toMatch(mistake.remedy);
  });

  test.each(MISTAKES)(
    '$title: the fix works, and the check is ok',
    async (mistake) => {
      await mistake.fix();
      let left: Report['checks'] = [];
      // The test's own timeout ends it.
      do left = (await answers()).filter(({ id, answer }) => id === mistake.check && answer !== 'ok');
      while (left.length > 0);
      expect(left).toEqual([]);
    },
    60_000,
  );

  test('after the fixes, nothing is left but who was given the label', async () => {
    let left: Report['checks'] = [];
    // The test's own timeout ends it. `api-latency` measures the machine that runs the tests.
    do left = (await answers()).filter(({ id, answer }) => answer !== 'ok' && id !== 'api-latency');
    while (left.some(({ id }) => id.startsWith('probe-')));
    expect(left.map(({ id, answer, objects }) => [id, answer, objects])).toEqual([['label-holders', 'info', ['ServiceAccount che/che']]]);
  }, 60_000);
});

/** From here on, the cluster is healthy but for one change in each test. */
describe('nodes and RuntimeClasses', { timeout: 120_000 }, () => {
  /** Without dry runs, whose answers follow the caches of the API server, and without the serving pod, which is slow on a busy machine. */
  const selected = selectChecks({ dryRuns: false, pods: false }).filter(({ reads }) => !reads.includes('servingPods'));
  const found = (): Promise<readonly DoctorAnswer[]> => examineAs(cluster, apiServer.admin.kubeconfig, { selected });
  /** `check level profile` of the answers that are not ok. The service account of the platform may label namespaces since the last fix. */
  const problems = async (): Promise<readonly string[]> =>
    (await found())
      .filter(({ level, check }) => level !== 'ok' && check !== 'api-latency' && check !== 'label-holders')
      .map(({ check, level, profile }) => `${check} ${level} ${profile ?? ''}`.trim());

  const NODES = ['worker-1', 'worker-2', 'worker-3', 'worker-old'];
  const every = async (status: object): Promise<void> => {
    for (const name of NODES) await patchNode(name, status);
  };
  const HEALTHY = {
    nodeInfo: {
      kubeletVersion: kubelets.equal,
      containerRuntimeVersion: 'containerd://2.1.4',
      kernelVersion: '6.12.55+',
      osImage: 'Flatcar Container Linux by Kinvolk 4230.2.1 (Oklo)',
    },
    runtimeHandlers: KATA_HANDLERS,
  };
  const silent = KATA_HANDLERS.map(({ name }) => ({ name, features: {} }));
  const info = (nodeInfo: object) => ({ nodeInfo: { ...HEALTHY.nodeInfo, ...nodeInfo } });

  test.each<readonly [title: string, status: object, expected: readonly string[]]>([
    ['no handlers', { runtimeHandlers: null }, ['handlers-unknown unknown kata-qemu', 'userns-unknown unknown userns']],
    ['a runtime that does not report features', { runtimeHandlers: silent }, ['userns-unknown unknown userns']],
    [
      'a runtime without user namespaces',
      { runtimeHandlers: KATA_HANDLERS.map((each) => ({ ...each, features: { userNamespaces: false } })) },
      ['userns-feature error userns'],
    ],
    [
      'Linux 5.10 and containerd 1.7',
      { runtimeHandlers: silent, ...info({ kernelVersion: '5.10.0-30-amd64', containerRuntimeVersion: 'containerd://1.7.27' }) },
      ['kernel-userns error userns', 'runtime-version error userns', 'userns-unknown unknown userns'],
    ],
    ['Linux 6.1', info({ kernelVersion: '6.1.0-30-amd64' }), ['kernel-userns warning userns']],
    ['the oldest kubelets', info({ kubeletVersion: `${kubelets.oldest}-eks-1234567` }), []],
    ['a version that is none', info({ kubeletVersion: 'latest' }), ['api-skew unknown', 'kubelet-userns unknown userns']],
    ['Talos', info({ osImage: 'Talos (v1.11.2)' }), ['os-bottlerocket warning userns']],
    ['Ubuntu', info({ osImage: 'Ubuntu 24.04.3 LTS' }), ['apparmor warning userns']],
    ['Red Hat', info({ osImage: 'Red Hat Enterprise Linux CoreOS 9.8.20260817-0 (Plow)' }), ['selinux warning userns']],
    ['Docker Desktop', info({ osImage: 'Docker Desktop', kernelVersion: '6.12.5-linuxkit' }), ['os-container warning userns']],
    [
      'a device',
      { capacity: { 'nvidia.com/gpu': '1' }, allocatable: { 'nvidia.com/gpu': '1' } },
      ['dra-claims info userns', 'dra-claims info kata-qemu'],
    ],
  ])(
    'nodes with %s',
    async (_, status, expected) => {
      await every(status);
      const answered = await problems();
      await every({ ...HEALTHY, capacity: { 'nvidia.com/gpu': null }, allocatable: { 'nvidia.com/gpu': null } });
      expect(answered.toSorted()).toEqual(expected.toSorted());
      expect(await problems()).toEqual([]);
    },
    60_000,
  );

  test('nodes that are cordoned take no pods', async () => {
    for (const name of NODES) await patch(`/api/v1/nodes/${name}`, { spec: { unschedulable: true } });
    const answered = await problems();
    for (const name of NODES) await patch(`/api/v1/nodes/${name}`, { spec: { unschedulable: null } });
    expect(answered).toEqual(['no-candidate error userns', 'no-candidate error kata-qemu']);
  });

  test('a node without its node-profile pod', async () => {
    await request('DELETE', '/api/v1/namespaces/cloister-system/pods/cloister-node-profile-worker-3?gracePeriodSeconds=0');
    const answered = await problems();
    await startInstaller(apiServer, 'worker-3');
    expect(answered).toEqual(['seccomp-profile error userns']);
  });

  test('a node without a sign of virtualisation', async () => {
    const label = 'katacontainers.io/kata-runtime';
    await patch('/api/v1/nodes/worker-1', { metadata: { labels: { [label]: null } } });
    await patch(`${CLASSES}/kata-qemu`, { scheduling: { nodeSelector: { [label]: null } } });
    const answered = await problems();
    await patch('/api/v1/nodes/worker-1', { metadata: { labels: { [label]: 'true' } } });
    await patch(`${CLASSES}/kata-qemu`, { scheduling: { nodeSelector: { [label]: 'true' } } });
    expect(answered).toEqual(['kvm warning kata-qemu']);
  });

  test.each<readonly [title: string, runtimeClass: object | undefined, expected: readonly string[]]>([
    ['no RuntimeClass', undefined, ['class-there error kata-qemu']],
    ['a RuntimeClass of runc', { handler: 'runc' }, ['class-handler error kata-qemu', 'class-overhead-size warning kata-qemu']],
    [
      'a RuntimeClass without scheduling and overhead',
      { handler: 'kata-qemu' },
      ['class-overhead-size warning kata-qemu', 'class-selector warning kata-qemu', 'runtime-handler error kata-qemu'],
    ],
    [
      'a RuntimeClass whose selector matches nothing',
      {
        handler: 'kata-qemu',
        overhead: { podFixed: { memory: '320Mi' } },
        scheduling: { nodeSelector: { 'example.com/kata': 'yes' } },
      },
      ['class-selector error kata-qemu'],
    ],
  ])('%s', async (_, runtimeClass, expected) => {
    const before = (await request('GET', `${CLASSES}/kata-qemu`)) as { readonly metadata: object };
    await patchNode('worker-3', { runtimeHandlers: KATA_HANDLERS.slice(0, 2) });
    await request('DELETE', `${CLASSES}/kata-qemu`);
    if (runtimeClass !== undefined) await create(CLASSES, { metadata: { name: 'kata-qemu' }, ...runtimeClass });
    const answered = await problems();
    if (runtimeClass !== undefined) await request('DELETE', `${CLASSES}/kata-qemu`);
    await create(CLASSES, { ...before, metadata: { name: 'kata-qemu' } });
    await patchNode('worker-3', { runtimeHandlers: KATA_HANDLERS });
    expect(answered.toSorted()).toEqual(expected.toSorted());
  });

  test('an identity that may write RuntimeClasses', async () => {
    await create(`${RBAC}/clusterroles`, {
      metadata: { name: 'classes' },
      rules: [{ apiGroups: ['node.k8s.io'], resources: ['runtimeclasses'], verbs: ['patch'] }],
    });
    await create(`${RBAC}/clusterrolebindings`, bindingOf('classes', 'classes'));
    const answered = await problems();
    await request('DELETE', `${RBAC}/clusterrolebindings/classes`);
    expect(answered).toEqual(['class-writable warning']);
  });

  test('events of pods that do not work, by their causes', async () => {
    const { metadata } = (await request('GET', '/api/v1/namespaces/team-nfs/pods/ws')) as { readonly metadata: { readonly uid: string } };
    const say = (name: string, reason: string, message: string): Promise<void> =>
      create('/api/v1/namespaces/team-nfs/events', {
        metadata: { name },
        involvedObject: { kind: 'Pod', name: 'ws', namespace: 'team-nfs', uid: metadata.uid },
        type: 'Warning',
        reason,
        message,
        lastTimestamp: new Date().toISOString(),
      });
    await say('ws.1', 'Failed', 'error mounting "proc" to rootfs at "/proc": operation not permitted');
    const nested = await problems();
    await request('DELETE', '/api/v1/namespaces/team-nfs/events/ws.1');
    await say('ws.2', 'Failed', 'container ID 70000 cannot be mapped to a host ID');
    const ids = await problems();
    await request('DELETE', '/api/v1/namespaces/team-nfs/events/ws.2');
    await say('ws.3', 'Failed', 'Back-off pulling image');
    expect([nested, ids, await problems()]).toEqual([['events error'], ['image-ids error userns'], []]);
  });

  test('a claim that a workspace shares with a pod without a wall', async () => {
    await apiServer.createNamespace('lab');
    await createClaim('lab', 'data', { csi: { driver: 'ebs.csi.aws.com', volumeHandle: 'vol-2' } });
    const opted = { ...workspace('ws', mounting('data')), metadata: { name: 'ws', labels: { 'cloister.dev/profile': 'userns' } } };
    await create('/api/v1/namespaces/lab/pods', opted);
    await create('/api/v1/namespaces/lab/pods', workspace('db', mounting('data')));
    const answered = await found();
    expect(answered.filter(({ check }) => check === 'claim-shared').map(({ level, objects }) => [level, objects])).toEqual([
      ['warning', ['lab/data']],
    ]);
  });

  test('an init container that lost NET_ADMIN', async () => {
    const init = {
      name: 'block-cloud-metadata',
      image: 'tools',
      command: ['iptables', '-A', 'OUTPUT'],
      securityContext: { privileged: true },
    };
    await create('/api/v1/namespaces/team-a/pods', workspace('hub', { initContainers: [init] }));
    const answered = await found();
    expect(answered.filter(({ check }) => check === 'init-netadmin').map(({ level, objects }) => [level, objects])).toEqual([
      ['warning', ['team-a/hub']],
    ]);
  });
});
