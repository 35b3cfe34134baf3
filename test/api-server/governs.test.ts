import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { RUNNING_PODS_STAY } from '../../src/ensure/enforcement.ts';
import { type ApiServer, startApiServer } from '../support/api-server.ts';
import type { Answer } from '../support/client.ts';
import { authoredAnnotations } from '../support/kubernetes.ts';
import { dockerInDocker, hostNamespaces, hostPath, type PodManifest, plainPod } from '../support/pod-manifests.ts';
import { cloister } from '../support/run.ts';
import { type Cloister, startCloister } from '../support/webhook.ts';

/** Namespaces without a label, which the configuration governs by name. It governs the whole cluster, so each has an API server of its own. */

interface Stored {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly hostUsers?: boolean; readonly hostPID?: boolean; readonly runtimeClassName?: string };
  readonly message?: string;
}

interface Started {
  readonly apiServer: ApiServer;
  create(namespace: string, pod: PodManifest): Promise<Answer<Stored>>;
  stop(): Promise<void>;
}

const MERGE = { contentType: 'application/merge-patch+json' };
const APPLIED = 'cloister.dev/profile-applied';
const podsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

let serial = 0;
function named({ metadata, ...pod }: PodManifest, more: object = {}): PodManifest {
  serial += 1;
  return { ...pod, metadata: { ...metadata, ...more, name: `${metadata.name}-${serial}` } };
}

const denialBy = (policy: string, binding: string): string =>
  `ValidatingAdmissionPolicy '${policy}' with binding '${policy}-${binding}' denied request: `;

type Labels = Readonly<Record<string, string>>;

async function start(config: object, namespaces: Readonly<Record<string, Labels>>): Promise<Started> {
  const apiServer = await startApiServer();
  let server: Cloister | undefined;
  const stop = async () => {
    await server?.stop();
    await apiServer.stop();
  };
  try {
    await apiServer.createRuntimeClass('gvisor', { handler: 'runsc' });
    const text = stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', ...config });
    server = await startCloister(apiServer, { config: text, apply: true });
    for (const [name, labels] of Object.entries(namespaces)) await apiServer.createNamespace(name, labels);
    return { apiServer, stop, create: (namespace, pod) => apiServer.admin.request<Stored>('POST', podsOf(namespace), pod) };
  } catch (error) {
    await stop();
    throw error;
  }
}

describe('a configuration with as many elements and patterns as are allowed', () => {
  const elements = [
    { namespaces: ['gl-rd-ns-*'], enforce: 'userns' },
    { namespaces: ['*-che', 'lab-*-pods', ...Array.from({ length: 18 }, (_, index) => `team-${index}`)], enforce: 'userns' },
    { namespaces: ['*-watched', 'gl-*'], warn: 'userns', audit: 'userns' },
  ];
  // The longest patterns that CEL has to read and to match before it comes to the default: 232 in 61 elements.
  const padding = Array.from({ length: 61 }, (_, index) => ({
    namespaces: Array.from({ length: index < 49 ? 4 : 3 }, (_, pattern) => `*${`${index}-${pattern}*x`.padEnd(61, 'x*')}y`),
    enforce: index % 2 === 0 ? 'userns' : 'gvisor',
  }));
  const config = {
    profiles: { userns: { mayChoose: ['gvisor'] }, gvisor: {} },
    governs: [...elements, ...padding],
    default: { enforce: 'gvisor', except: ['open-*'] },
  };
  const namespaces = {
    'gl-rd-ns-1': {},
    'gl-rd-ns-labelled': { 'cloister.dev/enforce': 'gvisor' },
    'gl-other': {},
    'dev-che': {},
    'lab-a-pods': {},
    'team-17': {},
    'team-18': {},
    'a-watched': {},
    'open-house': {},
  };
  let started: Started;
  let create: Started['create'];

  beforeAll(async () => {
    const patterns = config.governs.flatMap((each) => each.namespaces).length + config.default.except.length;
    expect([config.governs.length, patterns]).toEqual([64, 256]);
    started = await start(config, namespaces);
    create = started.create;
  }, 120_000);
  afterAll(() => started?.stop());

  test.each(['gl-rd-ns-1', 'dev-che', 'lab-a-pods', 'team-17'])(
    'T75: a pod in the unlabelled namespace %s is repaired, and refused where it cannot be',
    async (namespace) => {
      const { status, body } = await create(namespace, named(hostNamespaces()));
      expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
      expect(body).toMatchObject({ spec: { hostUsers: false }, metadata: { annotations: { [APPLIED]: 'userns/sudo' } } });
      expect(body.spec.hostPID).toBeUndefined();
      const refused = await create(namespace, named(hostPath()));
      expect(refused.status).toBe(403);
      expect(refused.body.message).toContain(denialBy('cloister-profile-userns', 'unlabelled'));
    },
  );

  test('T75: the label of a namespace wins over `governs`', async () => {
    const { body } = await create('gl-rd-ns-labelled', named(plainPod()));
    expect(body).toMatchObject({ spec: { runtimeClassName: 'gvisor' }, metadata: { annotations: { [APPLIED]: 'gvisor/sudo' } } });
    expect(body.spec.hostUsers).toBeUndefined();
  });

  test('`cloister check` judges a pod of each namespace by the profile that the API server applies', async () => {
    const manifests = Object.entries(namespaces).flatMap(([name, labels]) => [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
      { ...plainPod(), metadata: { name: 'plain', namespace: name } },
    ]);
    const folder = await mkdtemp(join(tmpdir(), 'cloister-governs-'));
    const file = join(folder, 'config.yaml');
    await writeFile(file, stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', ...config }));
    // In a namespace that nothing governs, check needs a profile that is asked for.
    const governed = manifests.filter(
      ({ metadata: { name, ...rest } }) => ![name, 'namespace' in rest && rest.namespace].includes('open-house'),
    );
    const { stdout, stderr } = await cloister(
      ['check', '-f', '-', '--config', file, '-o', 'json'],
      governed.map((each) => stringify(each)).join('---\n'),
    );
    await rm(folder, { recursive: true });
    expect(stderr).toBe('');
    const pods: readonly { namespace: string; profile: string; mode: string }[] = JSON.parse(stdout).pods;
    expect(pods).toHaveLength(Object.keys(namespaces).length - 1);
    for (const { namespace, profile, mode } of pods) {
      const { body } = await create(namespace, named(plainPod()));
      const applied = body.metadata.annotations?.[APPLIED];
      expect([namespace, applied]).toEqual([namespace, mode === 'enforce' ? `${profile}/sudo` : undefined]);
    }
  });

  test('T75: a label that is removed gives the namespace back to `governs`', async () => {
    const label = (value: string | null) =>
      started.apiServer.admin.request(
        'PATCH',
        '/api/v1/namespaces/dev-che',
        { metadata: { labels: { 'cloister.dev/enforce': value } } },
        MERGE,
      );
    const becomes = async (profile: string) => {
      while ((await create('dev-che', named(plainPod()))).body.metadata?.annotations?.[APPLIED] !== `${profile}/sudo`) await sleep(50);
    };
    expect((await label('gvisor')).status).toBe(200);
    await becomes('gvisor');
    expect((await label(null)).status).toBe(200);
    await becomes('userns');
  });

  test('T75: the default governs every namespace that no element matches', async () => {
    const { status, body } = await create('team-18', named(plainPod()));
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    expect(body.metadata.annotations).toEqual({ [APPLIED]: 'gvisor/sudo' });
    expect((await create('team-18', named(hostPath()))).body.message).toContain(denialBy('cloister-profile-gvisor', 'unlabelled'));
  });

  test('an exception of the default is not governed, and its pods can opt in', async () => {
    const free = await create('open-house', named(hostNamespaces()));
    expect([free.status, free.body.spec.hostPID, free.warnings]).toEqual([201, true, []]);
    const optedIn = await create('open-house', named(hostNamespaces(), { labels: { 'cloister.dev/profile': 'userns' } }));
    expect(optedIn.body.metadata.annotations).toEqual({ [APPLIED]: 'userns/sudo' });
    const unknown = await create('open-house', named(plainPod(), { labels: { 'cloister.dev/profile': 'usrns' } }));
    expect(unknown.body.message).toContain(denialBy('cloister-unknown-profile', 'pod'));
  });

  test('T71: the default does not govern kube-system', async () => {
    expect((await create('kube-system', named(hostPath()))).status).toBe(201);
  });

  test('the element that matches first decides for all modes: it warns and audits, and neither it nor the default enforces', async () => {
    for (const namespace of ['a-watched', 'gl-other']) {
      const pod = named(hostNamespaces());
      const { status, body, warnings } = await create(namespace, pod);
      expect([status, body.spec.hostPID, authoredAnnotations(body.metadata.annotations)]).toEqual([201, true, undefined]);
      expect(warnings).toContainEqual(expect.stringMatching(/^cloister userns: /));
    }
  });

  test('T06: a pod in a governed namespace may name the profile in force and those in mayChoose, and no other', async () => {
    const choose = (profile: string) => create('gl-rd-ns-1', named(plainPod(), { labels: { 'cloister.dev/profile': profile } }));
    expect((await choose('userns')).body.metadata.annotations).toEqual({ [APPLIED]: 'userns/sudo' });
    expect((await choose('gvisor')).body.metadata.annotations).toEqual({ [APPLIED]: 'gvisor/sudo' });
    const { status, body } = await choose('usrns');
    expect(status).toBe(403);
    expect(body.message).toContain(denialBy('cloister-profile-userns', 'unlabelled'));
    expect(body.message).toContain('profile "usrns" may not be chosen here; remove the label, or set it to userns or gvisor');
    const foreign = await create('team-18', named(plainPod(), { labels: { 'cloister.dev/profile': 'userns' } }));
    expect(foreign.status).toBe(403);
    expect(foreign.body.message).toContain('profile "userns" may not be chosen here');
  });

  test('T10: a pod in a governed namespace gets no ephemeral container that breaks its wall', async () => {
    const pod = named(plainPod());
    expect((await create('gl-rd-ns-1', pod)).status).toBe(201);
    const path = `${podsOf('gl-rd-ns-1')}/${pod.metadata.name}/ephemeralcontainers`;
    const debug = { name: 'debug', image: 'test', securityContext: { privileged: true } };
    const { status, body } = await started.apiServer.admin.request<{
      spec: { ephemeralContainers: readonly { securityContext: { privileged?: boolean } }[] };
    }>('PATCH', path, { spec: { ephemeralContainers: [debug] } }, { contentType: 'application/strategic-merge-patch+json' });
    expect(status).toBe(200);
    expect(body.spec.ephemeralContainers[0]?.securityContext.privileged).not.toBe(true);
  });

  test('T17: a policy inside the API server keeps runtime annotations away from pods of a namespace that is governed by name', async () => {
    const annotate = async (namespace: string) => {
      const pod = named(plainPod());
      expect((await create(namespace, pod)).status).toBe(201);
      const change = { metadata: { annotations: { 'io.katacontainers.config.hypervisor.path': '/bin/sh' } } };
      return started.apiServer.admin.request<Stored>('PATCH', `${podsOf(namespace)}/${pod.metadata.name}`, change, MERGE);
    };
    for (const namespace of ['gl-rd-ns-1', 'team-18']) {
      const { status, body } = await annotate(namespace);
      // The policy of the profile refuses it too. Either may come first.
      expect(body.message).toMatch(/ValidatingAdmissionPolicy 'cloister-(?:pods|profile-userns|profile-gvisor)'/);
      expect(status).toBe(403);
    }
    expect((await annotate('open-house')).status).toBe(200);
    expect((await annotate('a-watched')).status).toBe(200);
  });

  test('the command of the warning of `ensure` lists what recreating the running workloads would change', async () => {
    const workload = { metadata: { name: 'running', labels: { app: 'running' } } };
    const spec = { selector: { matchLabels: { app: 'running' } }, template: { metadata: workload.metadata, spec: hostPath().spec } };
    for (const namespace of ['gl-rd-ns-1', 'a-watched', 'open-house']) {
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
      expect((await started.apiServer.admin.request('POST', path, { ...workload, spec })).status).toBe(201);
    }
    const [, resources = ''] = /kubectl get (\S+) --all-namespaces/.exec(RUNNING_PODS_STAY) ?? [];
    const listed = await started.apiServer.kubectl(['get', resources, '--all-namespaces', '--output', 'yaml']);
    const folder = await mkdtemp(join(tmpdir(), 'cloister-governs-'));
    const file = join(folder, 'config.yaml');
    await writeFile(file, stringify({ apiVersion: 'cloister.dev/v1alpha1', kind: 'Config', ...config }));
    const { code, stdout, stderr } = await cloister(['check', '-f', '-', '--config', file, '-o', 'json'], listed.stdout);
    await rm(folder, { recursive: true });
    expect([code, stderr]).toEqual([1, '']);
    const { summary, pods } = JSON.parse(stdout);
    expect(summary).toMatchObject({ pods: 2, refused: 1, ungoverned: 1 });
    expect(pods).toMatchObject([
      { namespace: 'a-watched', profile: 'userns', mode: 'warn', verdict: 'refused' },
      { namespace: 'gl-rd-ns-1', profile: 'userns', mode: 'enforce', verdict: 'refused' },
    ]);
  });

  test('the author of a workload in a governed namespace gets the warnings about its pods', async () => {
    const template = { metadata: { labels: { app: 'web' } }, spec: hostPath().spec };
    const deployment = { metadata: { name: 'web' }, spec: { selector: { matchLabels: { app: 'web' } }, template } };
    const apply = (namespace: string) =>
      started.apiServer.admin.request('POST', `/apis/apps/v1/namespaces/${namespace}/deployments?dryRun=All`, deployment);
    const { status, warnings } = await apply('gl-rd-ns-1');
    expect(status).toBe(201);
    expect(warnings).toContainEqual(expect.stringContaining('volume-types'));
    expect((await apply('open-house')).warnings).toEqual([]);
  });
});

describe('a default that only audits', () => {
  const governs = { default: { audit: 'userns', except: ['kube-*'] } };
  let started: Started;

  beforeAll(async () => {
    started = await start(governs, { team: {}, labelled: { 'cloister.dev/audit': 'userns' } });
  }, 60_000);
  afterAll(() => started?.stop());

  async function auditedIn(namespace: string, pod: PodManifest): Promise<Readonly<Record<string, string>>> {
    const { status, body, warnings } = await started.create(namespace, pod);
    expect([status, warnings, authoredAnnotations(body.metadata.annotations), body.spec.hostUsers]).toEqual([
      201,
      [],
      undefined,
      undefined,
    ]);
    const event = await started.apiServer.auditEvent(({ objectRef, verb }) => {
      return verb === 'create' && objectRef?.namespace === namespace && objectRef.name === pod.metadata.name;
    });
    return Object.fromEntries(Object.entries(event.annotations ?? {}).filter(([key]) => key.includes('.cloister.dev/')));
  }

  test('T75: the default changes no pod, warns no author, and records in the audit log what enforcing would do', async () => {
    const recorded = await auditedIn('team', named(dockerInDocker()));
    expect(recorded['userns.governed.audit.cloister.dev/verdict']).toBe('repairable');
    expect(JSON.parse(recorded['userns.governed.audit.cloister.dev/findings'] ?? '')).toContainEqual({
      rule: 'user-namespace',
      path: 'spec.hostUsers',
    });
    expect(await auditedIn('team', named(hostPath()))).toMatchObject({ 'userns.governed.audit.cloister.dev/verdict': 'refused' });
  });

  test('a namespace with a label for the mode is audited once, by its label', async () => {
    const recorded = await auditedIn('labelled', named(hostPath()));
    expect(Object.keys(recorded).filter((key) => key.endsWith('/verdict'))).toEqual(['userns.namespace.audit.cloister.dev/verdict']);
  });

  test('a namespace that is only audited by name enforces no profile, so its pods can opt in', async () => {
    const { body } = await started.create('team', named(plainPod(), { labels: { 'cloister.dev/profile': 'userns' } }));
    expect(body.metadata.annotations).toEqual({ [APPLIED]: 'userns/sudo' });
  });
});
