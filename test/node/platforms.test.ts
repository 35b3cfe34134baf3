import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { changedWorkspaceImage, DOCKER_IMAGE, WORKSPACE_IMAGE } from '../../tools/programs/workspace-image.ts';
import { type ContainerManifest, checkOf, codeOf, lacks, type PodSpecManifest, podOf, podSpecOf } from '../platforms/platforms.ts';
import { enter, inside, leave, takeSteps } from './fixture/keep.ts';
import { importImage } from './fixture/node.ts';
import { EXEMPT_NAMESPACE } from './fixture/offers.ts';
import { STEPS } from './fixture/steps.ts';
import { onNode, useNode } from './fixture/use.ts';

/**
 * The pods of examples/platforms on a real node, under the profile of their preset: sudo, a build and a nested container work in each. The node
 * has no registry, no provisioner and no platform, so the workspace image takes the place of each image, an emptyDir that of each claim, and a
 * command that waits that of the platform's agent. Everything else is as the platform writes it.
 */

interface Case {
  /** The platform, whose preset the profile has. */
  readonly id: string;
  readonly file: string;
  readonly workspace: string;
  /** Whether the page has a Dockerfile that makes the workspace image fit the platform. */
  readonly hasOwnImage?: boolean;
  /** What the image has for the platform, as a command and what it prints. */
  readonly has?: readonly [command: string, output: string];
}

const CASES: readonly Case[] = [
  { id: 'gitlab', file: 'gitlab.yaml', workspace: 'development-environment', hasOwnImage: true },
  { id: 'che', file: 'che.yaml', workspace: 'tools', hasOwnImage: true },
  { id: 'coder', file: 'coder.yaml', workspace: 'dev' },
  { id: 'devpod', file: 'devpod.yaml', workspace: 'devpod' },
  {
    id: 'jupyterhub',
    file: 'jupyterhub.yaml',
    workspace: 'notebook',
    hasOwnImage: true,
    has: ['jupyterhub-singleuser --version 2> /dev/null', '5.2.1\n'],
  },
];

/** What each workspace must be able to do. */
const TAKEN = ['sudo id', 'sudo apt-get update, install', 'podman load, a small image', 'podman build, of a small image', 'podman run'];
const steps = STEPS.filter(({ name }) => TAKEN.includes(name));

/** Init containers whose own commands run here. */
const RUNNABLE = ['devpod-init', 'block-cloud-metadata'];
/** What only a scheduler, a quota or a registry of the platform has. */
const LEFT_OUT = ['schedulerName', 'priorityClassName', 'affinity'];

interface Volume {
  readonly name: string;
  readonly persistentVolumeClaim?: object;
  readonly configMap?: { readonly name: string };
}

onNode('pods of platforms', () => {
  let ground: Awaited<ReturnType<typeof useNode>>;
  beforeAll(async () => {
    ground = await useNode();
  });

  test('all steps are known', () => expect(steps.map(({ name }) => name)).toEqual(TAKEN));

  test.each(CASES)('sudo, a build and a nested container work in the pod of $file', async ({ id, file, workspace, hasOwnImage, has }) => {
    const image = hasOwnImage ? await imageOf(id) : WORKSPACE_IMAGE;
    const namespace = `platform-${id}`;
    const tenant = await prepare(namespace, `platform-${id}`, 'baseline', podSpecOf(podOf(file)));
    const running = await enter(ground, tenant, namespace, runnable(file, image), { container: workspace, podSeconds: 300 });
    const { body } = await tenant.request<{ readonly spec: PodSpecManifest }>('GET', `/api/v1/namespaces/${namespace}/pods/${running.pod}`);
    const granted = body.spec.containers.find(({ name }) => name === workspace) as ContainerManifest;
    expect(lacks(granted, 'userns')).toEqual([]);
    const [, onNode] = (await inside(running, 'cat /proc/self/uid_map')).trim().split(/\s+/).map(Number);
    expect(onNode).toBeGreaterThanOrEqual(65_536);
    const outcomes = await takeSteps(running, steps, 300);
    expect(outcomes.filter(({ ok }) => !ok).map(({ step, said }) => `${step.name}: ${said}`)).toEqual([]);
    expect(outcomes).toHaveLength(TAKEN.length);
    const { script } = checkOf(id);
    if (script === undefined) throw new Error(`the page of ${id} does not try sudo and the engine`);
    expect(await inside(running, script)).toBe('0\noverlay\n');
    if (has !== undefined) expect(await inside(running, has[0])).toBe(has[1]);
    await leave(running);
  });

  test('jupyterhub: with the exemption of the page, the init container sets its rule, and the server starts', async () => {
    const file = 'jupyterhub-iptables.yaml';
    const tenant = await prepare(EXEMPT_NAMESPACE, 'platform-jupyterhub', 'privileged', podSpecOf(podOf(file)));
    const pod = runnable(file, DOCKER_IMAGE);
    const running = await enter(ground, tenant, EXEMPT_NAMESPACE, pod, { container: 'notebook', podSeconds: 300 });
    expect(await exitsOf(tenant, EXEMPT_NAMESPACE)).toEqual([0]);
    await leave(running);
  });

  test('jupyterhub: without the exemption, the init container fails as the page says, and the server does not start', async () => {
    const namespace = 'platform-iptables';
    const file = 'jupyterhub-iptables.yaml';
    const tenant = await prepare(namespace, 'platform-jupyterhub', 'baseline', podSpecOf(podOf(file)));
    const { status } = await tenant.request('POST', `/api/v1/namespaces/${namespace}/pods`, runnable(file, DOCKER_IMAGE));
    expect(status).toBe(201);
    let exits: readonly number[] = [];
    while (exits.length === 0) {
      await sleep(500); // the test's own timeout ends it
      exits = await exitsOf(tenant, namespace);
    }
    expect(exits).not.toEqual([0]);
    const { stdout } = await tenant.kubectl(['logs', `--namespace=${namespace}`, 'workspace', '--container=block-cloud-metadata']);
    expect(stdout).toContain('Permission denied');
    await tenant.kubectl(['delete', 'pod', `--namespace=${namespace}`, 'workspace', '--now']);
  });

  /** The workspace image as the Dockerfile of a page changes it. */
  async function imageOf(id: string): Promise<string> {
    const [dockerfile = ''] = codeOf(id, 'Dockerfile');
    const [, command = ''] = /^RUN (.+)$/m.exec(dockerfile) ?? [];
    const user = [...dockerfile.matchAll(/^USER (.+)$/gm)].at(-1)?.[1] ?? '';
    const name = `localhost/workspace-${id}:test`;
    await importImage(ground.node, await changedWorkspaceImage(name, { command, user }));
    return name;
  }

  /** A namespace under the profile, with what the pod refers to. */
  async function prepare(namespace: string, profile: string, level: string, spec: PodSpecManifest) {
    const { serviceAccountName, initContainers = [], volumes = [] } = spec;
    await ground.apiServer.createNamespace(namespace, { 'cloister.dev/enforce': profile, 'pod-security.kubernetes.io/enforce': level });
    const post = async (path: string, body: object): Promise<void> => {
      const { status } = await ground.apiServer.admin.request('POST', `/api/v1/namespaces/${namespace}/${path}`, body);
      expect(status).toBe(201);
    };
    if (serviceAccountName !== undefined) await post('serviceaccounts', { metadata: { name: serviceAccountName } });
    const secrets = initContainers.flatMap(({ envFrom = [] }) =>
      (envFrom as readonly { secretRef: { name: string } }[]).map((each) => each.secretRef.name),
    );
    for (const name of new Set(secrets)) await post('secrets', { metadata: { name }, stringData: { GL_TOOLS_DIR: '/projects/.gl-tools' } });
    for (const { configMap } of volumes as readonly Volume[])
      if (configMap !== undefined) await post('configmaps', { metadata: { name: configMap.name } });
    return ground.apiServer.createTenant(namespace, namespace);
  }
});

/** The pod of a file, as far as a node without its platform can run it. */
function runnable(file: string, image: string) {
  const object = podOf(file);
  const spec = Object.fromEntries(
    Object.entries(podSpecOf(object)).filter(([field]) => !LEFT_OUT.includes(field)),
  ) as unknown as PodSpecManifest;
  const asRun = ({ imagePullPolicy: _, resources: __, ...container }: ContainerManifest, command: readonly string[]) =>
    RUNNABLE.includes(container.name) ? { ...container, image } : { ...container, image, command, args: [] };
  const volumes = ((spec.volumes ?? []) as readonly Volume[]).map((each) =>
    each.persistentVolumeClaim === undefined ? each : { name: each.name, emptyDir: {} },
  );
  return {
    apiVersion: 'v1' as const,
    kind: 'Pod' as const,
    metadata: { name: 'workspace' },
    spec: {
      ...spec,
      terminationGracePeriodSeconds: 1,
      initContainers: (spec.initContainers ?? []).map((each) => asRun(each, ['id'])),
      containers: spec.containers.map((each) => asRun(each, ['sleep', 'infinity'])),
      volumes,
    },
  };
}

interface Statuses {
  readonly status: {
    readonly initContainerStatuses?: readonly {
      readonly state?: { readonly terminated?: { readonly exitCode: number } };
      readonly lastState?: { readonly terminated?: { readonly exitCode: number } };
    }[];
  };
}

/** The exit codes of the init containers that ended. */
async function exitsOf(
  tenant: { request<Body>(method: 'GET', path: string): Promise<{ readonly body: Body }> },
  namespace: string,
): Promise<readonly number[]> {
  const { body } = await tenant.request<Statuses>('GET', `/api/v1/namespaces/${namespace}/pods/workspace`);
  return (body.status.initContainerStatuses ?? []).flatMap(({ state, lastState }) => {
    const ended = state?.terminated ?? lastState?.terminated;
    return ended === undefined ? [] : [ended.exitCode];
  });
}
