import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApi } from '../../src/cluster/client.ts';
import type { DoctorAnswer } from '../../src/doctor/check.ts';
import { printRight, type RbacRule, type Right, rulesOf } from '../../src/doctor/rights.ts';
import { findService } from '../../src/doctor-facts/gather.ts';
import type { ApiServer } from '../support/api-server.ts';
import {
  createTeam,
  type DoctorCluster,
  type ExpiredPod,
  examineAs as examineCluster,
  examined,
  post as postTo,
  startDoctorCluster,
  startExpiredPod,
} from '../support/doctor-cluster.ts';
import { ADMISSION, NAMESPACE, SERVICE, type ServingPod, temporaryFolder } from '../support/ensure.ts';
import { createNode } from '../support/installation.ts';
import { differences, kubelets } from '../support/kubernetes.ts';
import { cloister, type Ran } from '../support/run.ts';

/** `cloister doctor` against an API server of its own, with an installed Cloister. */

const CONFIG = `apiVersion: cloister.dev/v1alpha1
kind: Config
profiles:
  userns: {grant: containers}
  kata-qemu: {}
  strict: {extends: userns, grant: none}
`;
const MERGE = { contentType: 'application/merge-patch+json' };
const RBAC = '/apis/rbac.authorization.k8s.io/v1';

interface Report {
  readonly summary: Readonly<Record<string, number>>;
  readonly checks: readonly (Omit<DoctorAnswer, 'check' | 'level'> & { readonly id: string; readonly answer: string })[];
}

let cluster: DoctorCluster;
let apiServer: ApiServer;
let pod: ServingPod;
let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  cluster = await startDoctorCluster(CONFIG);
  ({ apiServer, pod } = cluster);
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await createTeam(apiServer, 'team-a', { 'cloister.dev/enforce': 'userns' });
  const level = differences.acceptsUnmaskedProc ? 'baseline' : 'privileged';
  await createTeam(apiServer, 'team-b', { 'cloister.dev/enforce': 'userns', 'pod-security.kubernetes.io/enforce': level });
  await createTeam(apiServer, 'team-r', { 'cloister.dev/enforce': 'strict', ...restricted });
  await createTeam(apiServer, 'team-k', { 'cloister.dev/enforce': 'kata-qemu' });
  // An API server honours entries and labels a moment after they are stored: the hook's own timeout ends it.
  while ((await examineAs(apiServer.admin.kubeconfig)).some(({ check, level }) => check.startsWith('probe') && level === 'error'))
    await pause(50);
}, 180_000);
afterAll(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

const run = (args: readonly string[] = [], kubeconfig = apiServer.admin.kubeconfig, endpoints = pod.address): Promise<Ran> =>
  cloister(['doctor', '--kubeconfig', kubeconfig, '--serving-endpoints', endpoints, ...args]);

const examineAs = (kubeconfig: string, onRequest?: () => void): Promise<readonly DoctorAnswer[]> =>
  examineCluster(cluster, kubeconfig, onRequest && { onRequest });

const post = (path: string, body: object): Promise<void> => postTo(apiServer, path, body);

async function bind(user: string, rules: readonly RbacRule[]): Promise<string> {
  await post(`${RBAC}/clusterroles`, { metadata: { name: user }, rules });
  await post(`${RBAC}/clusterrolebindings`, {
    metadata: { name: user },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });
  return apiServer.kubeconfig(user);
}

/** `api-latency` measures the machine that runs the tests. */
const notOk = (answers: readonly DoctorAnswer[]): readonly DoctorAnswer[] =>
  answers.filter(({ level, check }) => level !== 'ok' && check !== 'api-latency');

describe('a healthy cluster', () => {
  test('doctor answers ok to every check, from the configuration of the installed chart', async () => {
    const { code, stdout, stderr } = await run();
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Kubernetes v1\.\d+\.\d+, 2 nodes; cloister .* of ConfigMap cloister-system\/cloister-config; profiles userns/);
    // `api-latency` measures the machine that runs the tests.
    expect(stdout.split('\n').filter((line) => /^(?:error|warning|unknown|info) +(?!api-latency)/.test(line))).toEqual([]);
    expect(stdout).toMatch(/\n\d+ answers: \d{2,3} ok, 0 errors, .* 0 unknown\. .*\n$/);
    expect(code).toBe(0);
  });

  test('--fail-on decides whether a warning changes the exit status', async () => {
    const policy = `${ADMISSION}/validatingadmissionpolicies/cloister-pods`;
    const mark = (value: string | null) =>
      apiServer.admin.request('PATCH', policy, { metadata: { annotations: { 'cloister.dev/hands-off': value } } }, MERGE);
    await mark('true');
    const [byDefault, strictly] = [await run(), await run(['--fail-on', 'warning'])];
    await mark(null);
    expect(byDefault.stdout).toMatch(/^warning +hands-off +ValidatingAdmissionPolicy cloister-pods: /m);
    expect([byDefault.code, strictly.code]).toEqual([0, 1]);
  });

  test('doctor finds the Service in the webhook entries', async () => {
    const api = await openApi({ kubeconfig: apiServer.admin.kubeconfig });
    if (!api.ok) throw new Error(api.error);
    expect(await findService(api.value)).toEqual({ service: { namespace: NAMESPACE, name: SERVICE, port: pod.endpoint.port } });
  });

  test('doctor sends at most 58 requests for four namespaces and three profiles', async () => {
    let requests = 0;
    await examineAs(apiServer.admin.kubeconfig, () => {
      requests += 1;
    });
    expect(requests).toBeLessThanOrEqual(58);
    expect(requests).toBeGreaterThan(20);
  });

  test('every dry run is really made: no pod is left, and the answers name every profile', async () => {
    const answers = (await examineAs(apiServer.admin.kubeconfig)).filter(({ check }) => check.startsWith('probe-'));
    expect(answers.map(({ check, profile }) => `${check} ${profile}`).toSorted()).toEqual(
      ['grant', 'opt-in', 'refused'].flatMap((kind) => ['kata-qemu', 'strict', 'userns'].map((profile) => `probe-${kind} ${profile}`)),
    );
    const { body } = await apiServer.admin.request<{ items: readonly unknown[] }>('GET', '/api/v1/namespaces/team-a/pods');
    expect(body.items).toEqual([]);
  });

  test('--profile and --namespace limit what is checked', async () => {
    const { stdout } = await run(['-o', 'json', '--profile', 'userns', '--namespace', 'team-a']);
    const { checks: found } = JSON.parse(stdout) as Report;
    expect(new Set(found.map(({ profile }) => profile))).toEqual(new Set([undefined, 'userns']));
    expect(found.some(({ id }) => id === 'probe-opt-in')).toBe(false);
  });
});

/** Every identity has these, by the roles `system:discovery` and `system:public-info-viewer`. */
const isPublic = (right: Right): boolean => 'path' in right && right.path !== '/metrics';

/** One verb on one resource each. */
const RIGHTS: readonly Right[] = rulesOf(examined.flatMap(({ needs }) => needs)).flatMap((rule): Right[] =>
  rule.nonResourceURLs === undefined
    ? rule.verbs.map((verb) => ({ group: rule.apiGroups?.[0] ?? '', resource: rule.resources?.[0] ?? '', verbs: [verb] }))
    : rule.nonResourceURLs.map((path) => ({ path, verbs: rule.verbs })),
);

describe('the rights of --print-rbac', () => {
  test('with exactly these rights, doctor reads everything', async () => {
    const printed = await run(['--print-rbac']);
    expect((await apiServer.kubectl(['apply', '--filename=-'], { input: printed.stdout })).code).toBe(0);
    const user = await bind('doctor', []);
    await apiServer.admin.request('DELETE', `${RBAC}/clusterrolebindings/doctor`);
    await post(`${RBAC}/clusterrolebindings`, {
      metadata: { name: 'doctor' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cloister-doctor' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'doctor' }],
    });
    // The authorizer knows a binding a moment later: the test's own timeout ends it.
    while (notOk(await examineAs(user)).some(({ level }) => level === 'unknown')) await pause(50);
    expect(notOk(await examineAs(user))).toEqual([]);
    const { stdout, stderr } = await run([], user);
    expect(stderr).toBe('');
    expect(stdout).toContain(' 0 unknown.');
  }, 120_000);

  test('the rights for --read-only contain no verb but get and list', async () => {
    const { stdout } = await run(['--print-rbac', '--read-only']);
    expect(stdout).toContain('rules:');
    expect(new Set(stdout.match(/^ {6}- (?:create|delete|get|list|patch|update|watch)$/gm))).toEqual(
      new Set(['      - get', '      - list']),
    );
  });

  test.each(RIGHTS.filter((right) => !isPublic(right)).map((right) => [printRight(right), right] as const))(
    'without %s, doctor names it in an unknown answer',
    async (printed, right) => {
      const user = await bind(`without-${RIGHTS.indexOf(right)}`, rulesOf(RIGHTS.filter((each) => each !== right)));
      let answers: readonly DoctorAnswer[] = [];
      do {
        answers = await examineAs(user);
        // The authorizer knows the binding a moment later.
      } while (notOk(answers).some(({ level, message }) => level === 'unknown' && !message.includes(printed)));
      const unknown = notOk(answers).filter(({ message }) =>
        [`needs ${printed}`, `needs the verb ${printed}`].some((part) => message.includes(part)),
      );
      expect(unknown.length).toBeGreaterThan(0);
      expect(notOk(answers).filter(({ level }) => level !== 'unknown')).toEqual([]);
    },
    60_000,
  );
});

describe('unusable input', () => {
  test.each([
    ['an unknown profile', ['--profile', 'usern'], /profile "usern" is not configured in ConfigMap .*did you mean userns\?/],
    ['a missing configuration', ['--config', '/nowhere'], /error: \/nowhere cannot be read/],
    ['an unknown level', ['--fail-on', 'info'], /Allowed choices are error, warning/],
    ['a namespace that does not exist', ['--namespace', 'team-a,tema-b'], /--namespace tema-b: the cluster has no such namespace/],
    ['a namespace that is never governed', ['--namespace', 'kube-system'], /--namespace kube-system: Cloister never governs/],
    ['a wrong namespace', ['--namespace', 'A'], /must be the name of a namespace/],
  ])('doctor exits with 2 for %s', async (_, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('doctor exits with 2 where the API server cannot be reached', async () => {
    const file = join(folder, 'nowhere');
    const cluster = { name: 'c', cluster: { server: 'https://127.0.0.1:1' } };
    const context = { name: 'c', context: { cluster: 'c', user: 'u' } };
    await writeFile(
      file,
      JSON.stringify({ clusters: [cluster], contexts: [context], users: [{ name: 'u', user: {} }], 'current-context': 'c' }),
    );
    const { code, stdout, stderr } = await run([], file);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: the API server at https:\/\/127\.0\.0\.1:1 cannot be reached: .*\n$/);
  });
});

describe('an identity that may change namespaces and may not label them', () => {
  const asPlatform = () => bind('platform', rulesOf([...RIGHTS, { group: '', resource: 'namespaces', verbs: ['patch'] }]));

  test('probe-labels is ok while the policy refuses the change, and an error without the policy', async () => {
    const user = await asPlatform();
    const answersOf = async () => (await examineAs(user)).filter(({ check }) => check === 'probe-labels').map(({ level }) => level);
    while ((await answersOf()).length === 0) await pause(50);
    expect(await answersOf()).toEqual(['ok']);
    const binding = `${ADMISSION}/validatingadmissionpolicybindings/cloister-namespace-labels`;
    await apiServer.admin.request('DELETE', binding);
    while ((await answersOf())[0] === 'ok') await pause(50);
    expect(await answersOf()).toEqual(['error']);
  }, 120_000);
});

/** From here on the cluster is not healthy. The policy that refuses wrong labels is gone since the last test. */
describe('a cluster with mistakes', () => {
  let found: Report['checks'] = [];
  let old: ExpiredPod | undefined;

  beforeAll(async () => {
    await apiServer.createNamespace('team-typo', { 'cloister.dev/enforce': 'usern' });
    await apiServer.createNamespace('team-old-psa', {
      'cloister.dev/enforce': 'userns',
      'pod-security.kubernetes.io/enforce': 'baseline',
      'pod-security.kubernetes.io/enforce-version': 'v1.34',
    });
    await createNode(apiServer, 'worker-old', { nodeInfo: { kubeletVersion: `${kubelets.tooOld}+k3s1` } });
    const entries = `${ADMISSION}/validatingwebhookconfigurations/cloister`;
    const { body } = await apiServer.admin.request<{ webhooks: readonly { name: string }[] }>('GET', entries);
    const index = body.webhooks.findIndex(({ name }) => name === 'kata-qemu.namespace.audit.cloister.dev');
    const drifted = [{ op: 'replace', path: `/webhooks/${index}/timeoutSeconds`, value: 9 }];
    await apiServer.admin.request('PATCH', entries, drifted, { contentType: 'application/json-patch+json' });
    await post(`${ADMISSION}/mutatingwebhookconfigurations`, {
      metadata: { name: 'zzz-mesh' },
      webhooks: [
        {
          name: 'sidecar.example.com',
          clientConfig: { url: 'https://127.0.0.1:1/' },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
          namespaceSelector: { matchLabels: { 'cloister.dev/enforce': 'userns' } },
          failurePolicy: 'Ignore',
          reinvocationPolicy: 'IfNeeded',
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    });
    await createWorkspaceOnNfs();
    await apiServer.createNamespace('team-full', { 'cloister.dev/enforce': 'userns' });
    await post('/api/v1/namespaces/team-full/pods', workspace());
    await post('/api/v1/namespaces/team-full/resourcequotas', { metadata: { name: 'pods' }, spec: { hard: { pods: '1' } } });
    await apiServer.createNamespace('team-limited', { 'cloister.dev/enforce': 'userns' });
    const limits = [{ type: 'Pod', min: { memory: '1Gi' } }];
    await post('/api/v1/namespaces/team-limited/limitranges', { metadata: { name: 'l' }, spec: { limits } });
    await apiServer.admin.request('DELETE', '/apis/node.k8s.io/v1/runtimeclasses/kata-qemu');
    await apiServer.admin.request(
      'PATCH',
      '/apis/batch/v1/namespaces/cloister-system/cronjobs/cloister-ensure',
      { spec: { suspend: true } },
      MERGE,
    );
    old = await startExpiredPod(cluster);
    const endpoints = `${pod.address},${old.address}`;
    // Admission, quotas and the caches of the API server follow a moment later: the hook's own timeout ends it.
    do {
      await pause(200);
      const ran = await run(['-o', 'json'], undefined, endpoints);
      found = (JSON.parse(ran.stdout) as Report).checks;
    } while (
      !['RuntimeClass "kata-qemu" not found', 'exceeded quota', 'usage per Pod', 'nearly used up'].every((part) =>
        found.some(({ message }) => message.includes(part)),
      )
    );
  }, 180_000);
  afterAll(() => old?.stop());

  async function createWorkspaceOnNfs(): Promise<void> {
    const capacity = { storage: '1Gi' };
    const accessModes = ['ReadWriteOnce'];
    await post('/api/v1/persistentvolumes', {
      metadata: { name: 'home' },
      spec: { capacity, accessModes, nfs: { server: '192.0.2.1', path: '/home' }, storageClassName: 'nfs' },
    });
    await post('/api/v1/namespaces/team-a/persistentvolumeclaims', {
      metadata: { name: 'home' },
      spec: { accessModes, resources: { requests: capacity }, volumeName: 'home', storageClassName: 'nfs' },
    });
    await post('/api/v1/namespaces/team-a/pods', workspace({ volumes: [{ name: 'home', persistentVolumeClaim: { claimName: 'home' } }] }));
  }

  const workspace = (spec: object = {}): object => ({
    metadata: { name: 'workspace' },
    spec: { containers: [{ name: 'main', image: 'workspace' }], ...spec },
  });

  test.each([
    ['label-unknown', 'error', /team-typo: .*"usern".*did you mean userns\?/],
    ['psa-level', 'error', /team-old-psa: Pod Security baseline v1\.34 refuses procMount Unmasked/],
    ['probe-grant', 'error', /team-old-psa: .*violates PodSecurity "baseline:v1\.34"/],
    ['probe-grant', 'error', /team-limited: .*minimum memory usage per Pod is 1Gi/],
    ['probe-grant', 'error', /team-full: .*exceeded quota: pods/],
    ['probe-grant', 'error', /team-k: .*RuntimeClass "kata-qemu" not found/],
    ['quota', 'warning', /ResourceQuota team-full\/pods is nearly used up: pods 1 of 1/],
    ['cert-expiry', 'error', /expired at/],
    ['other-mutating', 'warning', /sidecar\.example\.com \(zzz-mesh\)/],
    ['entries-drift', 'error', /timeoutSeconds is 9 instead of 2/],
    ['label-policy', 'error', /ValidatingAdmissionPolicyBinding cloister-namespace-labels is missing/],
    ['volume-idmap', 'error', /on nfs: 1 \(team-a\/home\)/],
    ['api-skew', 'warning', /worker-old/],
    ['ensure-runs', 'error', /is suspended/],
    ['metadata-access', 'info', /egress in team-full, team-limited, \+2/],
    ['api-pressure', 'ok', /./],
  ])('%s answers %s: %s', (id, level, message) => {
    const answers = found.filter((each) => each.id === id && each.answer === level && message.test(each.message));
    expect(answers.length, JSON.stringify(found.filter((each) => each.id === id))).toBe(1);
    expect(answers[0]?.remedy !== '').toBe(level !== 'ok');
  });

  test('doctor exits with 1, and the last line counts the answers', async () => {
    const { code, stdout } = await run();
    expect(code).toBe(1);
    expect(stdout.split('\n').at(-2)).toMatch(/^\d+ answers: \d+ ok, \d+ errors?, \d+ warnings?, /);
    expect(stdout).toMatch(/^error {4}psa-level +userns: team-old-psa: Pod Security/m);
  });
});
