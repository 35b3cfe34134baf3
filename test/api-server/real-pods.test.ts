import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CASES, podOf, textOf } from '../cases/cases.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { differences } from '../support/kubernetes.ts';
import { type PodManifest, plainPod } from '../support/pod-manifests.ts';
import { cloister } from '../support/run.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/**
 * The pods of test/cases through the real API server: what it stores after its own admission and Pod Security, what it refuses, and what its
 * caller reads. The configuration is that of test/cases, so the API server is this file's own.
 */

interface Stored {
  readonly message?: string;
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly containers: readonly object[]; readonly overhead?: object };
}

const CONFIG = join(import.meta.dirname, '../cases/config.yaml');
const LEVEL = 'pod-security.kubernetes.io/enforce';
const PROFILES = [...new Set(CASES.map(({ profile }) => profile))];

let apiServer: ApiServer & { stop(): Promise<void> };
let running: Cloister;
let tenant: Client;

beforeAll(async () => {
  apiServer = await startApiServer();
  await apiServer.createRuntimeClass('sysbox-runc', { handler: 'sysbox-runc' });
  const scheduling = { nodeSelector: { 'katacontainers.io/kata-runtime': 'true' }, tolerations: [{ key: 'kata', operator: 'Exists' }] };
  await apiServer.createRuntimeClass('kata-qemu', { handler: 'kata-qemu', overhead: { podFixed: { memory: '160Mi' } }, scheduling });
  // What pods name, and the API server asks for before it calls a webhook.
  await apiServer.createRuntimeClass('nvidia', { handler: 'nvidia' });
  const priority = { metadata: { name: 'databases' }, value: 1_000 };
  expect((await apiServer.admin.request('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', priority)).status).toBe(201);
  // Before Kubernetes 1.35, `baseline` refuses the unmasked /proc of the grant containers.
  const level = differences.acceptsUnmaskedProc ? 'baseline' : 'privileged';
  // The denial of a policy would come first, and name no fields.
  running = await startCloister(apiServer, { config: `${textOf('config.yaml')}backstop: false\n`, apply: true });
  for (const profile of PROFILES) {
    await apiServer.createNamespace(`at-${profile}`, { 'cloister.dev/enforce': profile });
    await apiServer.createNamespace(`baseline-${profile}`, { 'cloister.dev/enforce': profile, [LEVEL]: level });
  }
  const account = { metadata: { name: 'devpod' } };
  expect((await apiServer.admin.request('POST', '/api/v1/namespaces/at-userns/serviceaccounts', account)).status).toBe(201);
  await apiServer.createNamespace('free');
  tenant = apiServer.admin;
});

afterAll(async () => {
  await running?.stop();
  await apiServer?.stop();
});

const create = (namespace: string, pod: object) => tenant.request<Stored>('POST', `/api/v1/namespaces/${namespace}/pods`, pod);
const ours = (warnings: readonly string[]): string[] => warnings.filter((each) => each.startsWith('cloister '));

describe.each(CASES)('$file under $profile', ({ file, profile, left, warns, repaired, isBaseline = false }) => {
  const namespace = `${isBaseline ? 'baseline' : 'at'}-${profile}`;

  test(left.length > 0 ? 'it is refused for what only a person can change' : 'it is stored as it was repaired', async () => {
    const { status, body, warnings } = await create(namespace, podOf(file));
    if (left.length > 0) {
      expect(status).toBe(403);
      const required = (body.message ?? '').split('To change:\n')[1]?.split('\nRepaired automatically')[0]?.split('\n') ?? [];
      expect(required.map((line) => /^- (\S+): (\S+)/.exec(line)?.slice(1).join(' ').replace(/:$/, ''))).toEqual(left);
      const [[, says] = []] = warns;
      expect(required.join('\n')).toMatch(says as RegExp);
      return;
    }
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    if (repaired !== undefined) expect(body).toMatchObject(withoutEmptyLists(repaired));
    const said = ours(warnings);
    for (const [rule, words] of warns) expect(said.filter((each) => each.includes(rule)).join('\n')).toMatch(words);
    expect(said.filter((each) => each.includes(': the repair ')).length).toBeLessThanOrEqual(2);
    // A warning that the API server shortened has at most 256 letters, and not its own end.
    expect(warnings.join('').length).toBeLessThan(4_096);
  });
});

test('a caller reads that privileged was taken away, of however many containers', async () => {
  const containers = Array.from({ length: 20 }, (_, index) => ({ name: `c${index}`, image: 'x', securityContext: { privileged: true } }));
  const { status, warnings } = await create('baseline-userns', plainPod('twenty', { containers }));
  expect(status).toBe(201);
  expect(ours(warnings)).toEqual([
    'cloister userns: the repair takes away privileged (privileged is true) (containers c0, c1, c2 and 17 more)',
    expect.stringMatching(/^cloister userns: the repair sets or grants user-namespace, .*\(`cloister explain RULE` describes each\)$/),
  ]);
});

test('a pod of 112 plain containers is repaired', async () => {
  const containers = Array.from({ length: 112 }, (_, index) => ({ name: `c${index}`, image: 'x' }));
  const { status, body } = await create('baseline-userns', plainPod('many', { containers }));
  expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
  expect(body.spec.containers).toHaveLength(112);
});

describe('pods that run, as kubectl prints them', () => {
  const labels = { running: 'yes' };
  const withLabels = (name: string, pod: PodManifest | ReturnType<typeof podOf>): object => ({
    ...pod,
    metadata: { ...pod.metadata, name, labels },
  });

  async function bind(namespace: string, pod: object): Promise<void> {
    const { status, body } = await create(namespace, pod);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    const { name } = body.metadata;
    const target = { kind: 'Node', name: 'worker-1' };
    const bound = await tenant.request('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, { metadata: { name }, target });
    expect(bound.status).toBe(201);
  }

  async function check(profile: string, ...options: readonly string[]) {
    const { stdout } = await apiServer.kubectl(['get', 'pods', '-A', '-l', 'running=yes', '-o', 'yaml', ...options]);
    expect(stdout).toContain('nodeName: worker-1');
    return cloister(['check', '-f', '-', '--config', CONFIG, '--profile', profile], stdout);
  }

  beforeAll(async () => {
    await bind('baseline-userns', withLabels('plain', plainPod('plain')));
    for (const file of ['openshift-scc.yaml', 'buildkit-daemonless.yaml']) {
      await bind('baseline-userns', withLabels(`running-${file.slice(0, 8)}`, podOf(file)));
    }
  });

  test('none is refused that the scheduler bound to its node, by managedFields', async () => {
    const { code, stdout, stderr } = await check('userns', '--show-managed-fields');
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^3 pods have a uid and a status/)]);
    expect(stdout).toMatch(/\n?3 pods: (?!.*refused)/);
  });

  test('none is refused without managedFields either, and a note says what was not judged', async () => {
    const { code, stdout, stderr } = await check('userns');
    expect([code, stdout.match(/escape/)]).toEqual([0, null]);
    expect(stderr).toContain('3 pods have a uid and a status');
  });

  test('the one whose author chose the node is refused, and no other', async () => {
    const securityContext = { seccompProfile: { type: 'RuntimeDefault' } };
    const pod = plainPod('placed', { hostUsers: false, nodeName: 'worker-1', securityContext });
    expect((await create('free', withLabels('placed', pod))).status).toBe(201);
    const { code, stdout } = await check('userns', '--show-managed-fields');
    expect(code).toBe(1);
    expect(stdout.match(/: escape .*/g)).toEqual([expect.stringContaining('node-name  spec.nodeName: nodeName is worker-1')]);
    expect(stdout).toContain('4 pods: 1 refused');
    expect((await tenant.request('DELETE', '/api/v1/namespaces/free/pods/placed')).status).toBe(200);
  });

  test('the overhead, the node selector and the tolerations of a RuntimeClass are no findings', async () => {
    const other = { ...podOf('kata-dind.yaml'), metadata: { name: 'guest', labels: { running: 'guest' } } };
    await bind('at-kata-guest', other);
    const { stdout } = await apiServer.kubectl(['get', 'pods', '-A', '-l', 'running=guest', '-o', 'yaml', '--show-managed-fields']);
    for (const written of ['memory: 160Mi', 'katacontainers.io/kata-runtime', 'key: kata']) expect(stdout).toContain(written);
    const checked = await cloister(['check', '-f', '-', '--config', CONFIG, '--profile', 'kata-guest'], stdout);
    expect([checked.code, checked.stdout.match(/escape/)]).toEqual([0, null]);
  });
});

/** The API server stores no empty list. */
function withoutEmptyLists(value: object): object {
  return JSON.parse(JSON.stringify(value, (_, each) => (Array.isArray(each) && each.length === 0 ? undefined : each)));
}
