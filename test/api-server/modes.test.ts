import { randomUUID } from 'node:crypto';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, type AuditEvent, useApiServer } from '../support/api-server.ts';
import type { Answer, Client } from '../support/client.ts';
import { MISLABELLED } from '../support/cluster-setup.ts';
import { authoredAnnotations, differences } from '../support/kubernetes.ts';
import { dockerInDocker, hostNamespaces, hostPath, type PodManifest, plainPod, sidecars } from '../support/pod-manifests.ts';

/** Which label does what: the three modes of a namespace, and what a pod may say for itself. */

interface Stored {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly hostUsers?: boolean;
    readonly runtimeClassName?: string;
    readonly containers: readonly { readonly securityContext?: { readonly allowPrivilegeEscalation?: boolean } }[];
  };
  readonly message?: string;
}

let apiServer: ApiServer;
let tenant: Client;

beforeAll(async () => {
  apiServer = await useApiServer();
  const namespaces = {
    unlabelled: {},
    enforced: { 'cloister.dev/enforce': 'userns-containers' },
    warned: { 'cloister.dev/warn': 'userns-containers' },
    audited: { 'cloister.dev/audit': 'userns-containers' },
    moving: { 'cloister.dev/enforce': 'userns', 'cloister.dev/warn': 'sysbox', 'cloister.dev/audit': 'kata-qemu' },
    choosy: { 'cloister.dev/enforce': 'userns-choosy' },
    'unknown-enforced': { ...MISLABELLED, 'cloister.dev/enforce': 'firecracker' },
    'empty-enforced': { ...MISLABELLED, 'cloister.dev/enforce': '' },
    'unknown-watched': { ...MISLABELLED, 'cloister.dev/warn': 'firecracker', 'cloister.dev/audit': '' },
  };
  for (const [name, labels] of Object.entries(namespaces)) {
    await apiServer.createNamespace(`modes-${name}`, labels);
    tenant = await apiServer.createTenant(`modes-${name}`, 'author');
  }
});

const podsOf = (namespace: string): string => `/api/v1/namespaces/modes-${namespace}/pods`;

const named = (pod: PodManifest, name: string = randomUUID()): PodManifest => ({ ...pod, metadata: { ...pod.metadata, name } });

const labelled = (labels: Readonly<Record<string, string>>, pod = plainPod()): PodManifest => {
  const { metadata, ...rest } = named(pod);
  return { ...rest, metadata: { ...metadata, labels } };
};

const create = (namespace: string, pod: PodManifest): Promise<Answer<Stored>> => tenant.request<Stored>('POST', podsOf(namespace), pod);

/** The audit event of the creation of a pod, and the annotations that Cloister's webhook entries recorded in it. */
async function audited(namespace: string, { metadata }: PodManifest): Promise<{ event: AuditEvent; recorded: Record<string, string> }> {
  const event = await apiServer.auditEvent(({ objectRef, verb }) => {
    return verb === 'create' && objectRef?.namespace === `modes-${namespace}` && objectRef.name === metadata.name;
  });
  const recorded = Object.entries(event.annotations ?? {}).filter(([key]) => /^[a-z0-9.-]+\.cloister\.dev\//.test(key));
  return { event, recorded: Object.fromEntries(recorded) };
}

/** The part of a stored pod that repairs would change. */
function asked({ spec }: Pick<Stored, 'spec'>): object {
  return { hostUsers: spec.hostUsers, containers: spec.containers.map(({ securityContext }) => securityContext) };
}
const ASKED = { hostUsers: undefined, containers: dockerInDocker().spec.containers.map(({ securityContext }) => securityContext) };

/** A stored pod but for what differs each time. */
function essence({ spec }: Pick<Stored, 'spec'>): unknown {
  return JSON.parse(JSON.stringify(spec).replaceAll(/kube-api-access-\w+/g, 'kube-api-access'));
}

describe('in a namespace without labels', () => {
  test.each([
    ['userns', { hostUsers: false }],
    ['kata-qemu', { runtimeClassName: 'kata-qemu' }],
  ])('a pod opts in by its own label: %s', async (profile, wall) => {
    const { status, body } = await create('unlabelled', labelled({ 'cloister.dev/profile': profile }, dockerInDocker()));
    expect(status).toBe(201);
    expect(body).toMatchObject({ spec: wall, metadata: { annotations: { 'cloister.dev/profile-applied': `${profile}/sudo` } } });
    expect(JSON.stringify(body.spec)).not.toMatch(/"privileged":true|Unconfined|SYS_ADMIN/);
  });

  test('a pod that opted in is refused if it cannot be repaired', async () => {
    const pod = labelled({ 'cloister.dev/profile': 'userns' }, hostPath());
    const { status, body } = await create('unlabelled', pod);
    expect(status).toBe(403);
    expect(body.message).toContain('admission webhook "userns.pod.enforce.cloister.dev" denied the request: ');
    expect((await tenant.request('GET', `${podsOf('unlabelled')}/${pod.metadata.name}`)).status).toBe(404);
  });

  test.each(['firecracker', ''])(
    'T05: a pod that names the unknown profile "%s" is refused, with the list of the known ones',
    async (profile) => {
      const { status, body } = await create('unlabelled', labelled({ 'cloister.dev/profile': profile }));
      expect(status).toBe(403);
      expect(body.message).toContain(`profile "${profile}" is not configured; the configured profiles are: userns, userns-none, `);
    },
  );

  test('a pod without a profile label is stored unchanged', async () => {
    const { status, body, warnings } = await create('unlabelled', named(dockerInDocker()));
    expect({ status, warnings, annotations: authoredAnnotations(body.metadata.annotations) }).toEqual({
      status: 201,
      warnings: [],
      annotations: undefined,
    });
    expect(asked(body)).toEqual(ASKED);
  });
});

describe('where the namespace enforces a profile', () => {
  test('a pod may name the profile that its namespace enforces', async () => {
    const { body } = await create('enforced', labelled({ 'cloister.dev/profile': 'userns-containers' }));
    expect(body.metadata.annotations).toEqual({ 'cloister.dev/profile-applied': 'userns-containers/containers' });
  });

  test.each(['userns', 'firecracker', ''])('T06: a pod in an enforcing namespace may not name "%s"', async (profile) => {
    const { status, body } = await create('enforced', labelled({ 'cloister.dev/profile': profile }));
    expect(status).toBe(403);
    expect(body.message).toMatch(
      /pod-labels: metadata\.labels\["cloister\.dev\/profile"\]: .*; remove the label, or set it to userns-containers/,
    );
  });

  test('a pod may choose a profile that the namespace’s own lists in mayChoose, with its wall and its grant', async () => {
    const kata = await create('choosy', labelled({ 'cloister.dev/profile': 'kata-qemu' }));
    expect(kata.body).toMatchObject({
      metadata: { annotations: { 'cloister.dev/profile-applied': 'kata-qemu/sudo' } },
      spec: { runtimeClassName: 'kata-qemu', overhead: { cpu: '250m', memory: '320Mi' } },
    });
    expect(kata.body.spec.hostUsers).toBeUndefined();
    const none = await create('choosy', labelled({ 'cloister.dev/profile': 'userns-none' }));
    expect(none.body).toMatchObject({
      metadata: { annotations: { 'cloister.dev/profile-applied': 'userns-none/none' } },
      spec: { hostUsers: false, containers: [{ securityContext: { allowPrivilegeEscalation: false } }] },
    });
    const gvisor = await create('choosy', labelled({ 'cloister.dev/profile': 'gvisor' }));
    expect(gvisor.status).toBe(403);
    expect(gvisor.body.message).toContain('set it to userns-choosy or kata-qemu or userns-none');
  });

  test.each(['none', 'sudo', 'containers'])('a pod may request the grant %s under a profile with the grant containers', async (grant) => {
    const { body } = await create('enforced', labelled({ 'cloister.dev/grant': grant }));
    expect(body.metadata.annotations).toEqual({ 'cloister.dev/profile-applied': `userns-containers/${grant}` });
    const expected = {
      none: { allowPrivilegeEscalation: false },
      sudo: { allowPrivilegeEscalation: true },
      containers: { procMount: 'Unmasked' },
    };
    const [container] = body.spec.containers;
    expect(container?.securityContext).toMatchObject(expected[grant as keyof typeof expected]);
    expect('capabilities' in (container?.securityContext ?? {})).toBe(grant === 'containers');
  });

  test.each(['containers', 'root', ''])('T06: a pod may not request the grant "%s" under a profile with the grant sudo', async (grant) => {
    const { status, body } = await create('choosy', labelled({ 'cloister.dev/grant': grant }));
    expect(status).toBe(403);
    expect(body.message).toContain('remove the label, or set it to none or sudo');
  });

  test('T06: Cloister overwrites a profile-applied annotation of the tenant', async () => {
    const pod = named(plainPod());
    const claimed = { ...pod, metadata: { ...pod.metadata, annotations: { 'cloister.dev/profile-applied': 'kata-qemu/containers' } } };
    const { body } = await create('choosy', claimed);
    expect(body.metadata.annotations).toEqual({ 'cloister.dev/profile-applied': 'userns-choosy/sudo' });
  });
});

/** Of a pod that nothing repaired, the API server has written the AppArmor annotation beside the field. */
const withoutWrittenAnnotation = (warning: string): string =>
  differences.writesAppArmorAnnotation ? warning.replace(/apparmor \(annotation sets AppArmor to .*?\)\); /, '') : warning;

const watched: Readonly<Record<string, PodManifest>> = {
  plain: plainPod(),
  'docker-in-docker': dockerInDocker(),
  'host-namespaces': hostNamespaces(),
  sidecars: sidecars(),
};

describe('warn', () => {
  test.each(Object.entries(watched))('warn shows the author of %s the same warnings as enforce, and changes nothing', async (_, pod) => {
    const enforced = await create('enforced', named(pod));
    const warned = await create('warned', named(pod));
    const free = await create('unlabelled', named(pod));
    expect(warned.status).toBe(201);
    expect(warned.warnings.length).toBeGreaterThan(0);
    expect(warned.warnings.map(withoutWrittenAnnotation)).toEqual(enforced.warnings);
    expect(essence(warned.body)).toEqual(essence(free.body));
    expect(authoredAnnotations(warned.body.metadata.annotations)).toBeUndefined();
  });

  test('warn refuses nothing, and reports what enforce would refuse', async () => {
    const { status, warnings } = await create('warned', named(hostPath()));
    expect(status).toBe(201);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^cloister userns-containers: volume-types: volume "node" is the node's \/var\/run\/docker.sock; run an engine /,
      ),
    );
  });

  test('warn reports nothing about a pod that enforce would not change', async () => {
    const enforced = await create('enforced', named(plainPod()));
    const { status, warnings } = await create('warned', {
      ...named(plainPod()),
      spec: enforced.body.spec as unknown as PodManifest['spec'],
    });
    expect({ status, warnings }).toEqual({ status: 201, warnings: [] });
  });

  test('kubectl prints the warnings', async () => {
    const { code, stderr } = await tenant.kubectl(['create', '--namespace=modes-warned', '--filename=-'], {
      input: JSON.stringify(named(dockerInDocker())),
    });
    expect(code).toBe(0);
    expect(stderr).toContain(
      'Warning: cloister userns-containers: the repair takes away privileged (privileged is true) (container workspace)',
    );
  });
});

describe('audit', () => {
  const entry = 'userns-containers.namespace.audit.cloister.dev';

  test.each(Object.entries(watched))('audit records what enforce would do to %s, and neither changes nor warns', async (_, pod) => {
    const mine = named(pod);
    const enforced = await create('enforced', named(pod));
    const audit = await create('audited', mine);
    const free = await create('unlabelled', named(pod));
    expect({ status: audit.status, warnings: audit.warnings }).toEqual({ status: 201, warnings: [] });
    expect(essence(audit.body)).toEqual(essence(free.body));
    expect(authoredAnnotations(audit.body.metadata.annotations)).toBeUndefined();

    const { event, recorded } = await audited('audited', mine);
    expect(Object.keys(recorded).sort()).toEqual([`${entry}/findings`, `${entry}/patch`, `${entry}/verdict`]);
    expect(recorded[`${entry}/verdict`]).toBe('repairable');
    // The longest of these is cut, at its end.
    expect(recorded[`${entry}/findings`]).toContain('[{"rule":"user-namespace","path":"spec.hostUsers"},');
    const patch = JSON.parse(recorded[`${entry}/patch`] ?? '') as Operation[];
    const patched = jsonPatch.applyPatch(structuredClone(event.responseObject), patch, true).newDocument as Stored;
    expect(patched.metadata.annotations).toEqual({ 'cloister.dev/profile-applied': 'userns-containers/containers' });
    expect(normal(essence(patched))).toEqual(normal(essence(enforced.body)));
  });

  test('audit cuts annotations that are too long for an audit log, with a mark', async () => {
    const containers = Array.from({ length: 30 }, (_, index) => ({ name: `workspace-${index}`, image: 'test' }));
    const pod = named(plainPod('many', { containers }));
    expect((await create('audited', pod)).status).toBe(201);
    const { recorded } = await audited('audited', pod);
    const patch = recorded[`${entry}/patch`] ?? '';
    expect(patch).toMatch(/^\[\{"op":.*… \(cut\)$/);
    expect(Buffer.byteLength(Object.values(recorded).join(''))).toBeLessThanOrEqual(8192);
  });

  test('audit refuses nothing, and records what enforce would refuse', async () => {
    const pod = named(hostPath());
    const { status, warnings } = await create('audited', pod);
    expect({ status, warnings }).toEqual({ status: 201, warnings: [] });
    const { recorded } = await audited('audited', pod);
    expect(recorded[`${entry}/verdict`]).toBe('refused');
    expect(JSON.parse(recorded[`${entry}/findings`] ?? '')).toContainEqual({
      rule: 'volume-types',
      path: 'spec.volumes[0].hostPath',
    });
    expect(recorded).not.toHaveProperty([`${entry}/patch`]);
  });

  test('the audit annotations of an enforced pod list the changes and no remaining findings', async () => {
    const pod = named(dockerInDocker());
    await create('enforced', pod);
    const { recorded } = await audited('enforced', pod);
    const enforcing = 'userns-containers.namespace.enforce.cloister.dev';
    expect(recorded[`${enforcing}/verdict`]).toBe('clean');
    expect(JSON.parse(recorded[`${enforcing}/changes`] ?? '')).toContainEqual({
      rule: 'privileged',
      path: 'spec.containers[0].securityContext.privileged',
    });
  });

  test('the audit annotations of a refused pod list its findings', async () => {
    const pod = named(hostPath());
    expect((await create('enforced', pod)).status).toBe(403);
    const event = await apiServer.auditEvent(({ requestObject, objectRef, responseStatus }) => {
      const { metadata } = (requestObject ?? {}) as Partial<PodManifest>;
      return objectRef?.namespace === 'modes-enforced' && metadata?.name === pod.metadata.name && responseStatus?.code === 403;
    });
    expect(event.annotations).toMatchObject({ 'userns-containers.namespace.enforce.cloister.dev/verdict': 'refused' });
  });
});

/** The API server leaves out what is empty. */
function normal(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, each) => {
    return typeof each === 'object' && each !== null && Object.keys(each).length === 0 ? undefined : each;
  });
}

test('the modes are independent: one namespace enforces one profile, warns by a second and audits by a third', async () => {
  const pod = named(plainPod());
  const { body, warnings } = await create('moving', pod);
  expect(body.spec.hostUsers).toBe(false);
  expect(body.spec.runtimeClassName).toBeUndefined();
  expect(warnings).toContainEqual(expect.stringMatching(/^cloister sysbox: the repair sets or grants runtime-class, /));
  const { recorded } = await audited('moving', pod);
  const findings = JSON.parse(recorded['kata-qemu.namespace.audit.cloister.dev/findings'] ?? '') as readonly { readonly path: string }[];
  expect(findings.map(({ path }) => path)).toEqual(['spec.hostUsers', 'spec.runtimeClassName']);
});

describe('a namespace whose label names no profile', () => {
  test.each(['unknown-enforced', 'empty-enforced'])(
    'T05: a namespace that enforces an unknown profile refuses new pods, with the list of the known profiles (%s)',
    async (namespace) => {
      const { status, body } = await create(namespace, named(plainPod()));
      expect(status).toBe(403);
      expect(body.message).toContain('admission webhook "namespace.unknown.enforce.cloister.dev" denied the request: ');
      expect(body.message).toContain(
        'the label of this namespace names a profile that is not configured; the configured profiles are: userns, userns-none, ',
      );
    },
  );

  test('T05: a namespace with an unknown profile also refuses pods that name a known one', async () => {
    expect((await create('unknown-enforced', labelled({ 'cloister.dev/profile': 'userns' }))).status).toBe(403);
  });

  test('warn and audit with an unknown profile admit pods, and report the label', async () => {
    const pod = named(dockerInDocker());
    const { status, warnings, body } = await create('unknown-watched', pod);
    expect(status).toBe(201);
    expect(asked(body)).toEqual(ASKED);
    expect(warnings).toEqual([
      expect.stringContaining('the label of this namespace names a profile that is not configured; the configured profiles are: userns, '),
    ]);
    const { recorded } = await audited('unknown-watched', pod);
    expect(Object.keys(recorded)).toContain('namespace.unknown.audit.cloister.dev/verdict');
  });
});
