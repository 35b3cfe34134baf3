import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { NETWORK_STATUS_ANNOTATIONS, RUNTIME_ANNOTATIONS } from '../../src/core/known-names.ts';
import { isAddedRuntimeAnnotation } from '../../src/core/rules/runtime-annotations.ts';
import { controllerManager } from '../../tools/programs/kubernetes.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { Daemons } from '../support/daemons.ts';
import { printManifests } from '../support/print-manifests.ts';

/** The policies hold for the whole cluster, so they are tried on an API server that no other test uses. */

interface Stored {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
}

interface Problem {
  readonly message: string;
}

const NEEDS_THE_VERB = 'needs the verb "label" on profiles.cloister.dev';
const CANNOT_CHANGE = 'the profile of a pod cannot change after the pod is created';
const CONFIGURES_RUNTIME = 'annotations that configure the container runtime';
const OURS = 'cloister.dev/enforce';

let apiServer: ApiServer & { stop(): Promise<void> };
let typeChecker: Daemons;
let folder: string;
/** Without policies of the profiles: here the others are tested. */
let configFile: string;
let printed: string;
let tenant: Client;
let labeler: Client;

beforeAll(async () => {
  apiServer = await startApiServer();
  // Labels from before the policy stay, as those of a profile that was removed from the configuration.
  await apiServer.createNamespace('mislabelled', { [OURS]: 'gone' });
  await apiServer.createNamespace('watched', { 'cloister.dev/warn': 'userns', 'cloister.dev/audit': 'gone' });
  folder = await mkdtemp(join(tmpdir(), 'cloister-label-integrity-'));
  configFile = join(folder, 'config.yaml');
  await writeFile(configFile, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nbackstop: false\n');
  const { stdout } = await printManifests(['--service', 'cloister/cloister', '--config', configFile]);
  printed = stdout;
  const policies = printed.split('---\n').filter((each) => !each.includes('WebhookConfiguration'));
  expect((await apiServer.kubectl(['apply', '-f', '-'], { input: policies.join('---\n') })).stderr).toBe('');
  typeChecker = await startTypeChecker();

  // A user who may write namespaces, their status and their finalizers: only Cloister's policy restricts the labels.
  await create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    metadata: { name: 'writer' },
    rules: [
      { apiGroups: [''], resources: ['namespaces', 'namespaces/status', 'namespaces/finalize'], verbs: ['*'] },
      { apiGroups: [''], resources: ['pods', 'pods/status', 'pods/binding', 'bindings'], verbs: ['*'] },
    ],
  });
  tenant = await apiServer.client('tenant');
  labeler = await apiServer.client('labeler');
  await bind('tenant', 'writer');
  await bind('labeler', 'writer');
  await bind('labeler', 'cloister-labeler');
  await until('the policies and the roles', async () => {
    const label = { metadata: { labels: { 'cloister.dev/audit': 'userns' } } };
    const asTenant = await tenant.request<Problem>('PATCH', '/api/v1/namespaces/default?dryRun=All', label, MERGE);
    const asLabeler = await labeler.request('PATCH', '/api/v1/namespaces/default?dryRun=All', label, MERGE);
    return asLabeler.status === 200 && String(asTenant.body.message).includes(NEEDS_THE_VERB);
  });
});

afterAll(async () => {
  await typeChecker?.stop();
  await rm(folder, { recursive: true });
  await apiServer?.stop();
});

test('the API server accepts every object that `cloister manifests` prints, without a warning', async () => {
  const { code, stdout, stderr } = await apiServer.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], {
    input: printed,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.trim().split('\n')).toHaveLength(parseAllDocuments(printed).length);
});

test('the API server accepts the policies of a configuration without profiles', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cloister-no-profile-'));
  const config = join(folder, 'config.yaml');
  await writeFile(config, 'apiVersion: cloister.dev/v1alpha1\nkind: Config\nprofiles: {}\n');
  const { stdout: input } = await printManifests(['--service', 'cloister/cloister', '--config', config]);
  await rm(folder, { recursive: true });
  const { code, stderr } = await apiServer.kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { input });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.each(['cloister-namespace-labels', 'cloister-namespace-advice', 'cloister-pods', 'cloister-guard'])(
  'the API server finds no type errors in the expressions of %s',
  async (name) => {
    interface Policy {
      readonly metadata: { readonly generation: number };
      readonly status?: {
        readonly observedGeneration?: number;
        readonly typeChecking?: { readonly expressionWarnings?: readonly object[] };
      };
    }
    const path = `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/${name}`;
    await until('the type checker', async () => {
      const { metadata, status } = (await apiServer.admin.request<Policy>('GET', path)).body;
      return status?.observedGeneration === metadata.generation;
    });
    const { body } = await apiServer.admin.request<Policy>('GET', path);
    expect(body.status?.typeChecking?.expressionWarnings ?? []).toEqual([]);
  },
);

const MERGE = { contentType: 'application/merge-patch+json' };
const JSON_PATCH = { contentType: 'application/json-patch+json' };
const STRATEGIC = { contentType: 'application/strategic-merge-patch+json' };
const APPLY = { contentType: 'application/apply-patch+yaml' };
const TEAM = '/api/v1/namespaces/team';

type Labels = Readonly<Record<string, string | null>>;
type Write = (client: Client, path: string, labels: Labels) => Promise<Answer<Problem>>;

/** Every way to write labels; a label that is null is taken away. */
const writes: Readonly<Record<string, Write>> = {
  'merge patch': (client, path, labels) => client.request('PATCH', path, { metadata: { labels } }, MERGE),
  'strategic merge patch': (client, path, labels) => client.request('PATCH', path, { metadata: { labels } }, STRATEGIC),
  'JSON patch': (client, path, labels) => {
    const operations = Object.entries(labels).map(([key, value]) => {
      const pointer = `/metadata/labels/${key.replace('/', '~1')}`;
      return value === null ? { op: 'remove', path: pointer } : { op: 'add', path: pointer, value };
    });
    return client.request('PATCH', path, operations, JSON_PATCH);
  },
  'server-side apply': (client, path, labels) => {
    const kept = Object.entries({ [OURS]: 'userns', ...labels }).filter(([, value]) => value !== null);
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team', labels: Object.fromEntries(kept) } };
    return client.request('PATCH', `${path}?fieldManager=team&force=true`, object, APPLY);
  },
  update: async (client, path, labels) => {
    const { body } = await apiServer.admin.request<Stored>('GET', TEAM);
    const kept = Object.entries({ ...body.metadata.labels, ...labels }).filter(([, value]) => value !== null);
    return client.request('PUT', path, { ...body, metadata: { ...body.metadata, labels: Object.fromEntries(kept) } });
  },
};

describe('a namespace', () => {
  beforeAll(async () => {
    const team = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team', labels: { [OURS]: 'userns' } } };
    expect((await apiServer.admin.request('PATCH', `${TEAM}?fieldManager=team`, team, APPLY)).status).toBe(201);
  });

  const changes: Readonly<Record<string, Labels>> = {
    added: { 'cloister.dev/warn': 'userns' },
    changed: { [OURS]: 'gvisor' },
    emptied: { [OURS]: '' },
    removed: { [OURS]: null },
  };
  const ways = Object.entries(writes);
  const places = [
    ...['', '/status'].flatMap((subresource) => ways.map(([way, write]) => ({ subresource, way, write }))),
    ...ways.filter(([way]) => way === 'update').map(([way, write]) => ({ subresource: '/finalize', way, write })),
  ];
  const cases = places
    .flatMap((place) => Object.entries(changes).map(([change, labels]) => ({ ...place, change, labels })))
    // What was applied to the namespace is not given up by applying to its status.
    .filter(({ subresource, way, change }) => `${subresource} ${way} ${change}` !== '/status server-side apply removed');

  test.each(cases)(
    'T03, T04: a Cloister label is not $change on namespaces$subresource by $way',
    async ({ subresource, write, labels }) => {
      const { status, body } = await write(tenant, TEAM + subresource, labels);
      expect(body.message).toContain(NEEDS_THE_VERB);
      expect(body.message).toContain(`${Object.keys(labels)}: labels under cloister.dev/`);
      expect(status).toBe(403);
      const { metadata } = (await apiServer.admin.request<Stored>('GET', TEAM)).body;
      expect(metadata.labels).toEqual({ [OURS]: 'userns', 'kubernetes.io/metadata.name': 'team' });
    },
  );

  test.each(ways.filter(([way]) => way !== 'update'))('T03: namespaces/finalize does not support %s', async (_, write) => {
    expect((await write(tenant, `${TEAM}/finalize`, { [OURS]: null })).status).toBe(405);
  });

  test.each(places)('other labels can be written on namespaces$subresource by $way', async ({ subresource, write }) => {
    for (const value of ['red', 'blue', null]) {
      const labels = { color: value, 'example.com/cloister.dev': value };
      expect((await write(tenant, TEAM + subresource, labels)).status).toBe(200);
    }
  });

  test.each(places)(
    'a user with the verb `label` can write a Cloister label on namespaces$subresource by $way',
    async ({ subresource, write }) => {
      for (const value of ['userns', null]) {
        expect((await write(labeler, TEAM + subresource, { 'cloister.dev/audit': value })).status).toBe(200);
      }
    },
  );

  test.each(places)(
    'T76: a label with an unknown key or profile is refused on namespaces$subresource by $way, with the known ones',
    async ({ subresource, write }) => {
      const unknown = await write(labeler, TEAM + subresource, { 'cloister.dev/enfroce': 'userns', 'cloister.dev/audit': 'userns' });
      expect(unknown.status).toBe(422);
      expect(unknown.body.message).toContain(
        'cloister.dev/enfroce: Cloister has no such label on a namespace; use cloister.dev/enforce, cloister.dev/warn or cloister.dev/audit',
      );
      for (const profile of ['usrns', '', 'Userns']) {
        const { status, body } = await write(labeler, TEAM + subresource, { 'cloister.dev/warn': profile });
        expect(status).toBe(422);
        expect(body.message).toContain(
          `cloister.dev/warn=${profile}: no profile of this name is configured; the configured profiles are: userns`,
        );
      }
      const { metadata } = (await apiServer.admin.request<Stored>('GET', TEAM)).body;
      expect(metadata.labels).toEqual({ [OURS]: 'userns', 'kubernetes.io/metadata.name': 'team' });
    },
  );

  test('T76: a new namespace with a misspelt label is refused', async () => {
    const labels = { 'cloister.dev/enforce': 'usrns', 'cloister.dev/warn': 'kata' };
    const { status, body } = await labeler.request<Problem>('POST', '/api/v1/namespaces', { metadata: { name: 'misspelt', labels } });
    expect(status).toBe(422);
    expect(body.message).toMatch(/(cloister\.dev\/(enforce=usrns|warn=kata)(, )?){2}: no profile of this name is configured/);
  });

  test('T76: one denial names every wrong label, whatever is wrong with it', async () => {
    const labels = { 'cloister.dev/enfroce': 'userns', 'cloister.dev/enforce': 'usrns', 'cloister.dev/audit': 'userns' };
    const unknown =
      'cloister.dev/enfroce: Cloister has no such label on a namespace; use cloister.dev/enforce, cloister.dev/warn or cloister.dev/audit';
    const unconfigured = 'cloister.dev/enforce=usrns: no profile of this name is configured; the configured profiles are: userns';
    const attempt = (client: Client) => client.request<Problem>('POST', '/api/v1/namespaces', { metadata: { name: 'misspelt', labels } });
    const wrong = await attempt(labeler);
    expect(wrong.status).toBe(422);
    expect(wrong.body.message).toMatch(new RegExp(`denied request: ${RegExp.escape(`${unknown}. Also: ${unconfigured}`)}$`));
    const forbidden = await attempt(tenant);
    expect(forbidden.status).toBe(403);
    expect(forbidden.body.message).toContain(NEEDS_THE_VERB);
    expect(forbidden.body.message).toMatch(new RegExp(`${RegExp.escape(`. Also: ${unknown}. Also: ${unconfigured}`)}$`));
  });

  test('T76: a label with an unknown profile from before the policy can stay, be removed and be corrected', async () => {
    const path = '/api/v1/namespaces/mislabelled';
    const patch = (labels: Labels) => labeler.request('PATCH', `${path}?dryRun=All`, { metadata: { labels } }, MERGE);
    expect((await patch({ color: 'red' })).status).toBe(200);
    expect((await patch({ [OURS]: null })).status).toBe(200);
    expect((await patch({ [OURS]: 'userns' })).status).toBe(200);
    expect((await patch({ [OURS]: 'userns', 'cloister.dev/audit': 'gone' })).status).toBe(422);
  });

  test('a namespace that gets the label enforce, or another profile in it, gets a warning about the pods that already run', async () => {
    await apiServer.createNamespace('advised');
    const patch = (labels: Labels) => labeler.request('PATCH', '/api/v1/namespaces/advised', { metadata: { labels } }, MERGE);
    const warning = expect.stringContaining(
      ': pods that already run in advised stay as they are; list them with `cloister scan -n advised`, and delete and recreate them to enforce userns',
    );
    const labelled = await patch({ [OURS]: 'userns' });
    expect([labelled.status, labelled.warnings]).toEqual([200, [warning]]);
    for (const labels of [{ [OURS]: 'userns' }, { 'cloister.dev/warn': 'userns' }, { color: 'red' }, { [OURS]: null }]) {
      expect((await patch(labels)).warnings).toEqual([]);
    }
    const made = await labeler.request('POST', '/api/v1/namespaces', {
      metadata: { name: 'advised-when-new', labels: { [OURS]: 'userns' } },
    });
    expect([made.status, made.warnings]).toEqual([201, []]);
  });

  test('a label on a namespace that Cloister never governs gets a warning that it has no effect on them, and no advice about pods', async () => {
    const path = '/api/v1/namespaces/kube-system?dryRun=All';
    const patch = (labels: Labels) => labeler.request('PATCH', path, { metadata: { labels } }, MERGE);
    for (const labels of [{ [OURS]: 'userns' }, { 'cloister.dev/warn': 'userns' }, { 'cloister.dev/audit': 'userns' }]) {
      const [key] = Object.keys(labels);
      const warning = expect.stringContaining(
        `: Cloister never governs pods in kube-system, so this label has no effect on them; remove it: ${key}`,
      );
      const labelled = await patch(labels);
      expect([labelled.status, labelled.warnings]).toEqual([200, [warning]]);
    }
    expect((await patch({ color: 'red' })).warnings).toEqual([]);
  });

  test('T76: a label that is refused gets no advice about pods', async () => {
    await apiServer.createNamespace('misadvised');
    const refused = await labeler.request<Problem>(
      'PATCH',
      '/api/v1/namespaces/misadvised',
      { metadata: { labels: { [OURS]: 'usrns' } } },
      MERGE,
    );
    expect([refused.status, refused.warnings]).toEqual([422, []]);
  });

  test('T03: only a user with the verb can create a namespace with a Cloister label', async () => {
    const namespace = (name: string, labels?: object): object => ({ metadata: { name, ...(labels && { labels }) } });
    const refused = await tenant.request<Problem>('POST', '/api/v1/namespaces', namespace('new', { [OURS]: 'userns' }));
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain(`cloister.dev/enforce: labels under cloister.dev/ say how pods are isolated`);
    expect((await tenant.request('POST', '/api/v1/namespaces', namespace('plain'))).status).toBe(201);
    expect((await tenant.request('POST', '/api/v1/namespaces', namespace('colored', { color: 'red' }))).status).toBe(201);
    expect((await labeler.request('POST', '/api/v1/namespaces', namespace('new', { [OURS]: 'userns' }))).status).toBe(201);
  });

  test('T03: a user who may delete namespaces can delete one with a Cloister label completely', async () => {
    await apiServer.createNamespace('ending', { [OURS]: 'userns' });
    await pods('ending', 'POST', pod('last'));
    expect((await tenant.request('DELETE', '/api/v1/namespaces/ending')).status).toBe(200);
    // No kubelet says that the pod has ended.
    await until('the end of the pod', async () => (await pods('ending/last?gracePeriodSeconds=0', 'DELETE')).status < 500);
    await until('the end', async () => (await apiServer.admin.request('GET', '/api/v1/namespaces/ending')).status === 404);
  });

  test('a namespace with ten thousand labels can be created and finalized', async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`l${index}`, '']));
    await create('/api/v1/namespaces', { metadata: { name: 'crowded', labels: many } });
    expect((await tenant.request('DELETE', '/api/v1/namespaces/crowded')).status).toBe(200);
    await until('the end', async () => (await apiServer.admin.request('GET', '/api/v1/namespaces/crowded')).status === 404);
  }, 120_000);
});

describe('a pod', () => {
  const labels = { 'cloister.dev/profile': 'userns', 'cloister.dev/grant': 'none', app: 'web' };
  const annotations = { 'cloister.dev/profile-applied': 'userns/none', 'io.kubernetes.cri-o.Devices': '/dev/fuse', note: 'old' };

  beforeAll(async () => {
    await apiServer.createNamespace('open');
    await apiServer.createNamespace('walled', { [OURS]: 'userns' });
    expect((await pods('open', 'POST', pod('opted-in', { labels, annotations }))).status).toBe(201);
    expect((await pods('open', 'POST', pod('free'))).status).toBe(201);
    expect((await pods('walled', 'POST', pod('inside'))).status).toBe(201);
  });

  const settled: Readonly<Record<string, readonly [pod: string, metadata: object, key: string]>> = {
    'a profile added': ['open/free', { labels: { 'cloister.dev/profile': 'userns' } }, 'cloister.dev/profile'],
    'a profile changed': ['open/opted-in', { labels: { 'cloister.dev/profile': 'gvisor' } }, 'cloister.dev/profile'],
    'a profile removed': ['open/opted-in', { labels: { 'cloister.dev/profile': null } }, 'cloister.dev/profile'],
    'a grant added': ['walled/inside', { labels: { 'cloister.dev/grant': 'sudo' } }, 'cloister.dev/grant'],
    'a grant changed': ['open/opted-in', { labels: { 'cloister.dev/grant': 'sudo' } }, 'cloister.dev/grant'],
    'a grant removed': ['open/opted-in', { labels: { 'cloister.dev/grant': null } }, 'cloister.dev/grant'],
    'all labels removed': ['open/opted-in', { labels: null }, 'cloister.dev/grant, cloister.dev/profile'],
    'the stamp added': ['open/free', { annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } }, 'cloister.dev/profile-applied'],
    'the stamp changed': ['open/opted-in', { annotations: { 'cloister.dev/profile-applied': 'x' } }, 'cloister.dev/profile-applied'],
    'the stamp removed': ['open/opted-in', { annotations: null }, 'cloister.dev/profile-applied'],
  };
  const updates = ['', '/status'].flatMap((subresource) =>
    Object.entries(settled).map(([change, [place, metadata, key]]) => ({ subresource, change, place, metadata, key })),
  );

  test.each(updates)('a pod is not updated on pods$subresource with $change', async ({ subresource, place, metadata, key }) => {
    const { status, body } = await pods(place + subresource, 'PATCH', { metadata });
    expect(body.message).toContain(`${key}: ${CANNOT_CHANGE}`);
    expect(status).toBe(403);
  });

  test.each(['', '/status'])('other labels and annotations of a pod can be changed on pods%s', async (subresource) => {
    for (const value of ['red', 'blue', null]) {
      const metadata = { labels: { color: value }, annotations: { note: value, 'example.com/io.katacontainers.x': value } };
      expect((await pods(`open/opted-in${subresource}`, 'PATCH', { metadata })).status).toBe(200);
    }
  });

  test.each(['', '/status'])('T17: an isolated pod gets no runtime annotation on pods%s', async (subresource) => {
    for (const place of ['walled/inside', 'open/opted-in']) {
      const metadata = { annotations: { 'io.katacontainers.config.hypervisor.path': '/bin/sh' } };
      const { status, body } = await pods(place + subresource, 'PATCH', { metadata });
      expect(body.message).toContain(`io.katacontainers.config.hypervisor.path: ${CONFIGURES_RUNTIME}`);
      expect(status).toBe(403);
    }
  });

  test('one denial names every label and annotation of a pod that may not change', async () => {
    const metadata = {
      labels: { 'cloister.dev/profile': 'gvisor' },
      annotations: { 'cloister.dev/profile-applied': 'x', 'io.katacontainers.x': 'y' },
    };
    const { status, body } = await pods('open/opted-in', 'PATCH', { metadata });
    expect(status).toBe(403);
    expect(body.message).toContain(`cloister.dev/profile, cloister.dev/profile-applied: ${CANNOT_CHANGE}`);
    expect(body.message).toContain(`. Also: io.katacontainers.x: ${CONFIGURES_RUNTIME}`);
  });

  test('T17: a pod keeps its initial runtime annotations, which can be removed but not changed', async () => {
    const change = (value: string | null): object => ({ metadata: { annotations: { 'io.kubernetes.cri-o.Devices': value } } });
    expect((await pods('open/opted-in', 'PATCH', { metadata: { labels: { color: 'red' } } })).status).toBe(200);
    expect((await pods('open/opted-in', 'PATCH', change('/dev/kvm'))).body.message).toContain(CONFIGURES_RUNTIME);
    expect((await pods('open/opted-in?dryRun=All', 'PATCH', change(null))).status).toBe(200);
  });

  test('annotations of a pod without a profile are not restricted', async () => {
    expect((await pods('open/free', 'PATCH', { metadata: { annotations: { 'io.katacontainers.x': 'y' } } })).status).toBe(200);
  });

  const { names, prefixes, domains } = RUNTIME_ANNOTATIONS;
  const keys = [
    ...NETWORK_STATUS_ANNOTATIONS.names,
    ...names.flatMap((name) => [name, `${name}x`, `x${name}`, name.toUpperCase()]),
    ...prefixes.flatMap((prefix) => [`${prefix}x`, `x${prefix}x`, prefix.slice(0, -1)]),
    ...domains.flatMap((domain) => [`${domain}/x`, `a.${domain}/x`, `a${domain}/x`, `${domain}.a/x`, `x.y/${domain}`, `a.${domain}`]),
  ].filter((key) => /[A-Za-z0-9]$/.test(key) && key.split('/').length <= 2);

  test.each(keys)('T17: the policy and the rule agree about the annotation %s', async (key) => {
    const { status, body } = await pods('walled/inside?dryRun=All', 'PATCH', { metadata: { annotations: { [key]: 'runtime/default' } } });
    expect({ key, refused: status !== 200 }).toEqual({ key, refused: isAddedRuntimeAnnotation(key) });
    if (status !== 200) expect(body.message).toContain(`${key}: ${CONFIGURES_RUNTIME}`);
  });

  test.each(['bindings', 'pods/inside/binding'])(
    'a binding by %s to a node is denied if it has labels or annotations of Cloister or of runtimes',
    async (path) => {
      const bind = (metadata: object): Promise<Answer<Problem>> => {
        const binding = { metadata: { name: 'inside', ...metadata }, target: { kind: 'Node', name: 'node' } };
        return tenant.request('POST', `/api/v1/namespaces/walled/${path}?dryRun=All`, binding);
      };
      expect((await bind({ annotations: { 'io.katacontainers.x': 'y' } })).body.message).toContain(CONFIGURES_RUNTIME);
      expect((await bind({ annotations: { 'cloister.dev/profile-applied': 'x' } })).body.message).toContain(CANNOT_CHANGE);
      expect((await bind({ labels: { 'cloister.dev/profile': 'x' } })).body.message).toContain(CANNOT_CHANGE);
      expect((await bind({ annotations: { note: 'x' }, labels: { color: 'red' } })).status).toBe(201);
    },
  );
});

/** Last, because from here on the API server calls Cloister, and there is no server that answers. */
describe('the webhook entries, while Cloister is down', () => {
  beforeAll(async () => {
    const namespaces = {
      enforced: { [OURS]: 'userns' },
      bare: {},
    };
    for (const [name, labels] of Object.entries(namespaces)) await apiServer.createNamespace(name, labels);
    expect((await pods('enforced', 'POST', pod('old'))).status).toBe(201);
    const { stdout: input } = await printManifests(['--url', 'https://127.0.0.1:1', '--config', configFile]);
    expect((await apiServer.kubectl(['apply', '-f', '-'], { input })).code).toBe(0);
    await until('the entries', async () => (await pods('enforced?dryRun=All', 'POST', pod('new'))).status === 500);
  });

  const newPods: Readonly<Record<string, readonly [namespace: string, labels: object, status: number]>> = {
    'in a namespace that enforces a profile': ['enforced', {}, 500],
    'in a namespace that enforces an unknown profile': ['mislabelled', {}, 500],
    'that opts into a profile': ['bare', { 'cloister.dev/profile': 'userns' }, 500],
    'that opts into an unknown profile': ['bare', { 'cloister.dev/profile': '' }, 500],
    'in a namespace with warn or audit only': ['watched', {}, 201],
    'without labels in a namespace without labels': ['bare', {}, 201],
  };
  test.each(Object.entries(newPods))('T20: a new pod %s gets the expected status', async (_, [namespace, labels, status]) => {
    const answer = await pods(`${namespace}?dryRun=All`, 'POST', pod('new', { labels }));
    expect(answer.status).toBe(status);
    if (status === 500) expect(answer.body.message).toMatch(/failed calling webhook "[a-z.]+\.enforce\.cloister\.dev"/);
  });

  test.each(['', '/resize', '/ephemeralcontainers'])(
    'T20: changes of labels, annotations or spec of an old pod are refused on pods%s',
    async (subresource) => {
      const image = { spec: { containers: [{ name: 'main', image: 'other' }] } };
      const changes = [{ metadata: { labels: { color: 'red' } } }, { metadata: { annotations: { color: 'red' } } }, image];
      for (const change of changes) {
        const { status, body } = await apiServer.admin.request<Problem>('PATCH', `${OLD}${subresource}?dryRun=All`, change, STRATEGIC);
        expect(body.message).toContain('failed calling webhook "userns.namespace.enforce.cloister.dev"');
        expect(status).toBe(500);
      }
    },
  );

  test('T09: finalizers, owners and status of an existing pod can be written, and the pod ends', async () => {
    // One that lives: the garbage collector would end the pod of another.
    const account = await apiServer.admin.request<Owner>('GET', '/api/v1/namespaces/enforced/serviceaccounts/default');
    const owner = { apiVersion: 'v1', kind: 'ServiceAccount', name: 'default', uid: account.body.metadata.uid };
    for (const metadata of [{ finalizers: ['a.b/c'] }, { finalizers: null }, { ownerReferences: [owner] }]) {
      expect((await pods('enforced/old', 'PATCH', { metadata })).status).toBe(200);
    }
    expect((await pods('enforced/old/status', 'PATCH', { status: { message: 'ending' } })).status).toBe(200);
    expect((await pods('enforced/old?gracePeriodSeconds=0', 'DELETE')).status).toBe(200);
  });

  const OLD = '/api/v1/namespaces/enforced/pods/old';
});

interface Owner {
  readonly metadata: { readonly uid: string };
}

function pod(name: string, metadata: object = {}): object {
  return { metadata: { name, ...metadata }, spec: { containers: [{ name: 'main', image: 'test' }] } };
}

/** As the tenant; `place` is a namespace, or a namespace and a pod. */
function pods(place: string, method: 'POST' | 'PATCH' | 'DELETE', body?: object): Promise<Answer<Problem>> {
  const path = `/api/v1/namespaces/${place.replace(/^[^/?]+/, '$&/pods')}`;
  return tenant.request(method, path, body, method === 'PATCH' ? MERGE : {});
}

async function create(path: string, object: object): Promise<void> {
  const { status, body } = await apiServer.admin.request('POST', path, object);
  if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
}

function bind(user: string, role: string): Promise<void> {
  return create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: `${user}-${role}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });
}

/** The controller that looks for mistyped expressions in policies, and says so in their status. */
async function startTypeChecker(): Promise<Daemons> {
  const daemons = await Daemons.create('type-checker');
  daemons.start('type-checker', await controllerManager(), [
    `--kubeconfig=${apiServer.admin.kubeconfig}`,
    '--controllers=validatingadmissionpolicy-status-controller',
    '--leader-elect=false',
    '--secure-port=0',
  ]);
  return daemons;
}

/** Two cores may have more to do than this. */
const PATIENCE_MS = 60_000;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; !(await isSo()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`${what} did not come`);
  }
}
