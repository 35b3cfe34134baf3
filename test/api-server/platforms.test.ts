import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readPage } from '../docs/page.ts';
import {
  blocksOf,
  configText,
  containerOf,
  exemptionsOf,
  LEVELS,
  type Level,
  lacks,
  outcomeOf,
  PLATFORMS,
  type PodObject,
  type PodSpecManifest,
  podOf,
  podSpecOf,
  presetText,
  ROWS,
  type Row,
  titleOf,
  valuesOf,
} from '../platforms/platforms.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer } from '../support/client.ts';
import { createRuntimeClasses } from '../support/cluster-setup.ts';
import { differences } from '../support/kubernetes.ts';
import { cloister } from '../support/run.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/**
 * The pods of test/platforms through a real API server with Pod Security, and what platforms see where they meet Cloister. One configuration has
 * the presets of all platforms: each profile has the options of its preset, and the name of its platform in front of its own.
 */

interface Stored {
  readonly message?: string;
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: PodSpecManifest;
}

interface Problem {
  readonly message?: string;
}

const MERGE = { contentType: 'application/merge-patch+json' };
const LEVEL = 'pod-security.kubernetes.io/enforce';

let apiServer: ApiServer & { stop(): Promise<void> };
let running: Cloister;

interface Preset {
  readonly governs?: readonly { readonly namespaces: readonly string[]; readonly enforce?: string; readonly audit?: string }[];
}

/** The presets of all platforms. */
function combined(): object {
  const named = (id: string, profile: string | undefined) => (profile === undefined ? {} : `${id}-${profile}`);
  const profiles = PLATFORMS.flatMap((platform) =>
    Object.entries(valuesOf(platform).profiles).map(([backend, options]) => [
      `${platform.id}-${backend}`,
      { extends: backend, ...options },
    ]),
  );
  const governs = PLATFORMS.flatMap(({ id }) =>
    ((parse(presetText(id)) as Preset).governs ?? []).map(({ namespaces, ...modes }) => ({
      namespaces,
      ...Object.fromEntries(Object.entries(modes).map(([mode, profile]) => [mode, named(id, profile)])),
    })),
  );
  // The page exempts the namespace of the hub; here each row has a namespace of its own.
  const exemptions = PLATFORMS.flatMap(({ id }) => exemptionsOf(id).map((each) => ({ ...each, namespaces: ['exempt-*'] })));
  return { profiles: Object.fromEntries(profiles), governs, exemptions };
}

beforeAll(async () => {
  apiServer = await startApiServer();
  await createRuntimeClasses(apiServer);
  const priority = { metadata: { name: 'jupyterhub-default-priority' }, value: 10 };
  expect((await apiServer.admin.request('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', priority)).status).toBe(201);
  running = await startCloister(apiServer, { config: configText(combined() as Record<string, unknown>), apply: true });
}, 240_000);
afterAll(async () => {
  await running?.stop();
  await apiServer?.stop();
});

/** A pod that the controller of the workload creates from the template, as a document of its own. */
function createdFrom(object: PodObject, name: string): object {
  const { metadata = {} } = ((object.spec as { template?: { metadata?: object } }).template ?? object) as { metadata?: object };
  const { labels, annotations } = metadata as { labels?: object; annotations?: object };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: withoutChoice(labels), annotations }, spec: podSpecOf(object) };
}

/** The profiles have other names here, and each namespace has a label. */
const withoutChoice = (labels: object = {}): object =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => key !== 'cloister.dev/profile'));

/** With the service account of the pod: without it no pod is admitted. */
async function createNamespace(
  name: string,
  labels: Readonly<Record<string, string>>,
  { spec }: { readonly spec: PodSpecManifest },
): Promise<void> {
  await apiServer.createNamespace(name, labels);
  const account = { metadata: { name: spec.serviceAccountName ?? 'default' } };
  if (spec.serviceAccountName !== undefined)
    expect((await apiServer.admin.request('POST', `/api/v1/namespaces/${name}/serviceaccounts`, account)).status).toBe(201);
}

const create = (namespace: string, pod: object, dryRun = true): Promise<Answer<Stored>> =>
  apiServer.admin.request<Stored>('POST', `/api/v1/namespaces/${namespace}/pods${dryRun ? '?dryRun=All' : ''}`, pod);

const bareOf = ({ pod }: Row) => createdFrom(podOf(pod.file), 'workspace') as { readonly spec: PodSpecManifest };

/** Creates the pod, or another one, in a namespace that enforces the profile of the row and a level of Pod Security. */
async function createAt(row: Row, level: Level, pod: object = bareOf(row)): Promise<Answer<Stored>> {
  const { platform, backend, exempts } = row;
  const namespace = `${exempts ? 'exempt' : 'row'}-${level}-${row.pod.file.replace('.yaml', '')}-${backend}`;
  const { status } = await apiServer.admin.request('GET', `/api/v1/namespaces/${namespace}`);
  const labels = { 'cloister.dev/enforce': `${platform.id}-${backend}`, [LEVEL]: level };
  if (status === 404) await createNamespace(namespace, labels, bareOf(row));
  return create(namespace, pod);
}

/** The pages have the level of Kubernetes 1.35 and later. */
const levelHere = ({ backend, level }: Row): Level =>
  level === 'baseline' && backend === 'userns' && !differences.acceptsUnmaskedProc ? 'privileged' : (level as Level);

const titled = (rows: readonly Row[]) => rows.map((row) => [titleOf(row), row] as const);

test.each(titled(ROWS.filter(({ level }) => level === undefined)))(
  '%s: the API server refuses the pod, and names what only a person can change',
  async (_, row) => {
    const { status, body } = await createAt(row, 'privileged');
    expect(status).toBe(403);
    for (const { rule } of outcomeOf(row).repair.unresolved) expect(body.message).toContain(`${rule}: `);
  },
);

describe.each(titled(ROWS.filter(({ level }) => level !== undefined)))('%s', (_, row) => {
  const { platform, pod, backend, exempts } = row;
  const level = levelHere(row);

  test('the API server stores the pod at the level of the page, with the grant', async () => {
    const { status, body } = await createAt(row, level);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    expect(lacks(containerOf(body.spec, pod.workspace), backend)).toEqual([]);
    expect(body.metadata.annotations?.['cloister.dev/profile-applied']).toBe(`${platform.id}-${backend}/containers`);
    for (const { container, capability } of pod.needs ?? []) {
      const { capabilities } = containerOf(body.spec, container).securityContext ?? {};
      expect(capabilities?.add?.includes(capability) ?? false).toBe(exempts);
    }
  });

  test('the API server stores what `cloister fix` writes as it is, at the same level', async () => {
    const fixed = createdFrom(outcomeOf(row).repair.subject.document as PodObject, 'fixed');
    const { status, body, warnings } = await createAt(row, level, fixed);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    expect(warnings.filter((each) => each.includes('the repair'))).toEqual([]);
  });

  test('a stricter level refuses the pod', async () => {
    const stricter = LEVELS[LEVELS.indexOf(level) - 1] as Level;
    const { status, body } = await createAt(row, stricter);
    expect([status, body.message]).toEqual([403, expect.stringContaining(`violates PodSecurity "${stricter}:latest"`)]);
  });
});

describe('a platform that creates namespaces', () => {
  const LABELS = { 'app.kubernetes.io/part-of': 'che.eclipse.org', 'cloister.dev/enforce': 'che-userns' };

  beforeAll(async () => {
    await apiServer.createNamespace('eclipse-che');
    const { admin } = apiServer;
    const post = async (path: string, object: object): Promise<void> => {
      const { status, body } = await admin.request('POST', path, object);
      if (status !== 201) throw new Error(JSON.stringify(body));
    };
    await post('/api/v1/namespaces/eclipse-che/serviceaccounts', { metadata: { name: 'che' } });
    const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'create', 'update', 'patch'] }];
    await post('/apis/rbac.authorization.k8s.io/v1/clusterroles', { metadata: { name: 'che-namespaces' }, rules });
    await bind('che-namespaces');
  }, 60_000);

  async function bind(role: string): Promise<void> {
    const { status } = await apiServer.admin.request('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: `che-${role}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', namespace: 'eclipse-che', name: 'che' }],
    });
    expect(status).toBe(201);
  }

  test('che: the label is refused with 403 and the way out, and the workspaces are governed by the name of their namespace all the same', async () => {
    const che = await apiServer.serviceAccount('eclipse-che', 'che');
    const creates = () => che.request('POST', '/api/v1/namespaces', { metadata: { name: 'alice-che' } });
    await expect.poll(async () => (await creates()).status, { timeout: 20_000 }).toSatisfy((status) => status === 201 || status === 409);
    const label = () => che.request<Problem>('PATCH', '/api/v1/namespaces/alice-che', { metadata: { labels: LABELS } }, MERGE);
    const refused = await label();
    expect(refused.status).toBe(403);
    expect(refused.body.message).toMatch(/cloister\.dev\/enforce: .*needs the verb "label" .*ClusterRole cloister-labeler/);
    expect(refused.body.message).toContain('a platform that ignores this refusal runs its pods without the labels of this request');

    // Che continues without any of its labels.
    const { body } = await apiServer.admin.request<Stored>('GET', '/api/v1/namespaces/alice-che');
    expect(body.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'alice-che' });
    const found = await apiServer.kubectl(['get', 'namespaces', '--selector', '!cloister.dev/enforce']);
    expect(found.stdout).toMatch(/^alice-che /m);

    const pod = createdFrom(podOf('che.yaml'), 'workspace') as { readonly spec: PodSpecManifest };
    const account = { metadata: { name: pod.spec.serviceAccountName } };
    expect((await apiServer.admin.request('POST', '/api/v1/namespaces/alice-che/serviceaccounts', account)).status).toBe(201);
    await expect.poll(async () => (await create('alice-che', pod)).status, { timeout: 20_000 }).toBe(201);
    const created = await create('alice-che', pod);
    expect(created.body.metadata.annotations?.['cloister.dev/profile-applied']).toBe('che-userns/containers');
    expect(lacks(containerOf(created.body.spec, 'tools'), 'userns')).toEqual([]);

    await bind('cloister-labeler');
    await expect.poll(async () => (await label()).status, { timeout: 20_000 }).toBe(200);
  }, 120_000);

  test('che: the pods of Che itself, whose namespace has a name like those of its users, stay as they are', async () => {
    const pod = { metadata: { name: 'che' }, spec: { containers: [{ name: 'che', image: 'x' }] } };
    const { status, body } = await create('eclipse-che', pod);
    expect(status).toBe(201);
    expect(body.metadata.annotations?.['cloister.dev/profile-applied']).toBeUndefined();
    expect(body.spec.hostUsers).toBeUndefined();
  });

  test('che: the namespace of the page is admitted for a user who may label', async () => {
    const [block = ''] = blocksOf('che').filter((each) => each.includes('kind: Namespace'));
    const [namespace = ''] = block.replace('userns', 'che-userns').split('---\n');
    const { code, stderr } = await apiServer.kubectl(['create', '--dry-run=server', '--filename=-'], {
      input: namespace.replace('name: alice-che', 'name: carol-che'),
    });
    expect([code, stderr]).toEqual([0, '']);
  });

  test.each([true, false, undefined])(
    'gitlab: a workspace whose agent writes hostUsers %s has a user namespace, without any label',
    async (hostUsers) => {
      const namespace = `gl-rd-ns-1-2-${String(hostUsers)}`;
      const object = podOf('gitlab.yaml');
      const pod = createdFrom({ ...object, spec: { template: { spec: { ...podSpecOf(object), hostUsers } } } }, 'workspace');
      await createNamespace(namespace, {}, pod as { readonly spec: PodSpecManifest });
      const { status, body } = await create(namespace, pod);
      expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
      expect(body.spec.hostUsers).toBe(false);
      expect(lacks(containerOf(body.spec, 'development-environment'), 'userns')).toEqual([]);
    },
  );
});

test('a container that grantTo does not name gets no grant, and the author of the pod reads which names there are', async () => {
  const pod = { metadata: { name: 'renamed' }, spec: { containers: [{ name: 'jupyter', image: 'x' }] } };
  await apiServer.createNamespace('renamed', { 'cloister.dev/enforce': 'jupyterhub-userns' });
  const { status, warnings } = await create('renamed', pod);
  expect(status).toBe(201);
  expect(warnings.join('\n')).toContain(
    'workspace-container: grantTo (notebook) matches no container (jupyter), so the grant has no effect',
  );
});

describe('coder: Terraform, which compares what it wrote with what is stored', () => {
  const NAMESPACE = 'coder-workspaces';
  const APPLY = ['--server-side', '--field-manager=Terraform', `--namespace=${NAMESPACE}`, '--filename=-'];
  const apply = (object: object, ...flags: readonly string[]) =>
    apiServer.kubectl(['apply', ...APPLY, ...flags, '--output=json'], { input: JSON.stringify(object) });

  beforeAll(() => apiServer.createNamespace(NAMESPACE, { 'cloister.dev/enforce': 'coder-userns' }), 60_000);

  /** What is stored, and what a second apply makes of it in a server-side dry run: what the author of a template writes, and admission changes. */
  async function applyTwice(object: object): Promise<{ readonly stored: object; readonly after: object }> {
    const [first, second] = [await apply(object), await apply(object, '--dry-run=server')];
    expect([first.code, second.code], first.stderr + second.stderr).toEqual([0, 0]);
    const writtenIn = (text: string): object => {
      const { metadata, spec } = JSON.parse(text) as Stored;
      return { labels: metadata.labels, spec };
    };
    return { stored: writtenIn(first.stdout), after: writtenIn(second.stdout) };
  }

  test('a Deployment is stored as it was written, and a second apply changes nothing', async () => {
    const object = { ...podOf('coder.yaml'), metadata: { name: 'deployed', namespace: NAMESPACE } };
    const { stored, after } = await applyTwice(object);
    expect(after).toEqual(stored);
    const template = podSpecOf(stored);
    expect([template.hostUsers, containerOf(template, 'dev').securityContext]).toEqual([undefined, { runAsUser: 1000 }]);
  });

  test('a bare pod whose template Cloister only adds to: a second apply changes nothing that Cloister wrote', async () => {
    const bare = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'bare', namespace: NAMESPACE }, spec: podSpecOf(podOf('coder.yaml')) };
    const { stored, after } = await applyTwice(bare);
    expect(after).toEqual(stored);
    expect(lacks(containerOf(podSpecOf(after), 'dev'), 'userns')).toEqual([]);
  });

  test('a bare pod that asks for privileged is a difference that no second apply can make; what `cloister fix` writes is none', async () => {
    const spec = podSpecOf(podOf('coder-devcontainer.yaml'));
    const bare = (name: string, pod: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE }, spec: pod });
    expect((await apply(bare('privileged', spec))).code).toBe(0);
    const second = await apply(bare('privileged', spec), '--dry-run=server');
    expect(second.code).not.toBe(0);
    expect(second.stderr).toMatch(/pod updates may not change fields|is invalid: spec: Forbidden/);

    const row = ROWS.find(({ pod, backend }) => pod.file === 'coder-devcontainer.yaml' && backend === 'userns');
    if (row === undefined) throw new Error('there is no such row');
    const { stored, after } = await applyTwice(bare('fixed', podSpecOf(outcomeOf(row).repair.subject.document)));
    expect(after).toEqual(stored);
  });
});

test('kubectl shows the profile of a pod, and `cloister check` names its claim on NFS, in what kubectl prints of a cluster', async () => {
  await apiServer.createNamespace('hub', { 'cloister.dev/enforce': 'jupyterhub-userns' });
  const objects = [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'home-alice' },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteMany'],
        nfs: { server: 'nfs.example.com', path: '/home/alice' },
        claimRef: { namespace: 'hub', name: 'claim-alice' },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'claim-alice', namespace: 'hub' },
      spec: { accessModes: ['ReadWriteMany'], volumeName: 'home-alice', storageClassName: '', resources: { requests: { storage: '1Gi' } } },
    },
    createdFrom(podOf('jupyterhub.yaml'), 'jupyter-alice'),
  ];
  const made = await apiServer.kubectl(['create', '--namespace=hub', '--filename=-'], {
    input: objects.map((each) => JSON.stringify(each)).join('\n'),
  });
  expect(made.code, made.stderr).toBe(0);
  // The command of the pages, which shows the profile of each pod.
  const [, columns = ''] = /--output (custom-columns='[^']*')/.exec(readPage('docs/platforms/jupyterhub.md').text) ?? [];
  const shown = await apiServer.kubectl(['get', 'pods', '--namespace=hub', `--output=${columns.replaceAll("'", '')}`]);
  expect(shown.stdout).toMatch(/^POD +PROFILE\njupyter-alice +jupyterhub-userns\/containers\n$/);

  const { stdout } = await apiServer.kubectl(['get', 'pods,persistentvolumeclaims,persistentvolumes', '--namespace=hub', '--output=yaml']);
  const checked = await cloister(['check', '-', '--profile', 'userns'], stdout);
  expect(checked.stdout).toMatch(/promise {2}mapped-volumes .*volume "home" \(claim claim-alice\) is on nfs, which cannot map the ids/);
  expect((await cloister(['check', '-', '--profile', 'gvisor'], stdout)).stdout).not.toContain('mapped-volumes');
});
