import { posix } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { ApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { type Doc, hostilePod } from '../support/hostile-pods.ts';
import { SEED } from '../support/seed.ts';
import { BUSYBOX } from './fixture/bench.ts';
import { type Node, runOn } from './fixture/node.ts';
import { onNode, useNode } from './fixture/use.ts';

/** Generated hostile pods as Cloister repaired them: they start, and their root is confined. The tests check this in the kernel. */

const GENERATED = 400;
const PODS_EACH = 12;
const NAMESPACES = ['pid', 'net', 'ipc', 'uts', 'mnt', 'user'] as const;
/** What runtimes give by default, by number, as linux/capability.h has them. */
const DEFAULT = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];
const SYS_ADMIN = 21;
/** Of the sysctls that the generator writes: those that the kubelet here allows, with the values that the kernel takes. */
const STARTABLE_SYSCTLS: ReadonlyMap<string, RegExp> = new Map([
  ['kernel.shm_rmid_forced', /^[01]$/],
  ['net.ipv4.ping_group_range', /^\d+\s\d+$/],
]);

interface Container extends Doc {
  readonly name: string;
}

interface Created {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly containers: readonly { readonly name: string }[] };
}

onNode('hostile pods', () => {
  let apiServer: ApiServer;
  let node: Node;
  beforeAll(async () => {
    ({ apiServer, node } = await useNode());
  });

  test.each([
    ['userns', DEFAULT],
    ['userns-containers', DEFAULT],
    ['userns-sysadmin', [...DEFAULT, SYS_ADMIN]],
  ] as const)(`${PODS_EACH} hostile pods start under %s, each confined (seed ${SEED})`, async (profile, capabilities) => {
    const namespace = `hostile-${profile}`;
    await apiServer.createNamespace(namespace, { 'cloister.dev/enforce': profile });
    const tenant = await apiServer.createTenant(namespace, namespace);
    const created = await createWorst(tenant, namespace);
    expect(created).toHaveLength(PODS_EACH);

    const { stdout } = await runOn(node, ['readlink', ...NAMESPACES.map((each) => `/proc/1/ns/${each}`)]);
    const nodes = new Set(stdout.trim().split('\n'));
    for (const { metadata, spec } of created) {
      const { code, stderr } = await tenant.kubectl([
        'wait',
        `--namespace=${namespace}`,
        '--for=condition=Ready',
        `pod/${metadata.name}`,
        '--timeout=300s',
      ]);
      expect(code, `${stderr}${await story(namespace, metadata.name)}`).toBe(0);
      for (const { name } of spec.containers)
        expect(await confinementOf(namespace, metadata.name, name, { nodes, capabilities })).toEqual(CONFINED);
    }
    await apiServer.kubectl(['delete', 'pods', '--all', '--now', `--namespace=${namespace}`]);
  });

  /** What a container is to the kernel. */
  async function confinementOf(namespace: string, pod: string, container: string, { nodes, capabilities }: Expected): Promise<object> {
    const links = `for each in ${NAMESPACES.join(' ')}; do readlink /proc/self/ns/$each; done`;
    const ask = `cat /proc/self/uid_map; grep -E '^(CapBnd|Seccomp):' /proc/self/status; ${links}`;
    const { stdout, stderr } = await apiServer.kubectl([
      'exec',
      `--namespace=${namespace}`,
      pod,
      `--container=${container}`,
      '--',
      'sh',
      '-c',
      ask,
    ]);
    const [map = '', bounds = '', seccomp = '', ...namespaces] = stdout.trim().split('\n');
    const [inside, outside = 0, count] = map.trim().split(/\s+/).map(Number);
    const held = BigInt(`0x${bounds.split(/\s+/)[1] ?? 'ffff'}`);
    const beyond = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (held >> BigInt(bit)) & 1n && !capabilities.includes(bit));
    return {
      error: stderr,
      ids: [inside, outside >= 65536, count],
      filtered: seccomp,
      beyond,
      shared: namespaces.filter((each) => nodes.has(each)),
      namespaces: namespaces.length,
    };
  }

  /** The pod as stored, on one line, and then its events: a log that is cut at its start still has the events. */
  async function story(namespace: string, pod: string): Promise<string> {
    const { stdout: stored } = await apiServer.kubectl(['get', 'pod', pod, `--namespace=${namespace}`, '--output=jsonpath={@}']);
    const { stdout: events } = await apiServer.kubectl([
      'get',
      'events',
      `--namespace=${namespace}`,
      `--field-selector=involvedObject.name=${pod}`,
    ]);
    return `${stored}\n${events}`;
  }
});

interface Expected {
  /** The node's own namespaces. */
  readonly nodes: ReadonlySet<string>;
  readonly capabilities: readonly number[];
}

const CONFINED = {
  error: '',
  ids: [0, true, 65536],
  filtered: 'Seccomp:\t2',
  beyond: [],
  shared: [],
  namespaces: NAMESPACES.length,
};

/** Generates many pods that the API server accepts, and stores those with the most repairs by Cloister. */
async function createWorst(tenant: Client, namespace: string): Promise<readonly Created[]> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const trials: { readonly pod: Doc; readonly repairs: number }[] = [];
  for (const [index, generated] of fc.sample(hostilePod, { seed: SEED, numRuns: GENERATED }).entries()) {
    const pod = thatCanStart(generated, `hostile-${index}`);
    const { status, warnings } = await tenant.request('POST', `${path}?dryRun=All`, pod);
    // Two warnings list all repairs: the more there are, the longer they get.
    if (status === 201) trials.push({ pod, repairs: warnings.join('').length });
  }
  const worst = trials.toSorted((a, b) => b.repairs - a.repairs).slice(0, PODS_EACH);
  return Promise.all(worst.map(async ({ pod }) => (await tenant.request<Created>('POST', path, pod)).body));
}

/**
 * With an image that the node has, and without what only fits a world that is not here: claims, probes, devices, other nodes, scheduling gates,
 * which no controller here removes, and AppArmor. A kubelet whose kernel has none refuses every pod that asks for it. And without what the API
 * server stores but no kubelet or runtime starts: a volume in place of the whole root, a sysctl of a newer Kubernetes, or one with a value that
 * the kernel refuses.
 */
function thatCanStart(pod: Doc, name: string): Doc {
  const { metadata, spec } = pod as {
    metadata: Doc;
    spec: Doc & { containers: Container[]; initContainers?: Container[]; volumes?: unknown };
  };
  const { affinity: _affinity, ephemeralContainers: _added, nodeSelector: _selector, schedulingGates: _gates, ...rest } = spec;
  const container = ({
    livenessProbe: _1,
    readinessProbe: _2,
    startupProbe: _3,
    lifecycle: _4,
    resources: _5,
    ...each
  }: Container): Doc => ({ ...each, ...withoutAppArmor(each), ...withoutRootMount(each), image: BUSYBOX });
  const once = (each: Container): Doc => (each.restartPolicy === 'Always' ? container(each) : { ...container(each), command: ['true'] });
  const volumes = Array.isArray(spec.volumes)
    ? spec.volumes.map(({ name: called, emptyDir }) => ({ name: called, emptyDir: emptyDir ?? {} }))
    : spec.volumes;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, annotations: withoutBetaAppArmor(metadata.annotations), namespace: undefined, name },
    spec: {
      ...rest,
      ...withoutAppArmor(rest),
      terminationGracePeriodSeconds: 1,
      containers: spec.containers.map(container),
      ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(once) }),
      ...(volumes == null ? {} : { volumes }),
    },
  };
}

function withoutAppArmor({ securityContext }: Doc): Doc {
  if (typeof securityContext !== 'object' || securityContext === null) return {};
  const { appArmorProfile: _, ...rest } = securityContext as Doc;
  return { securityContext: { ...rest, ...withoutFailingSysctls(rest) } };
}

function withoutFailingSysctls({ sysctls }: Doc): Doc {
  if (!Array.isArray(sysctls)) return {};
  return { sysctls: sysctls.filter((each: Doc) => STARTABLE_SYSCTLS.get(`${each.name}`.replaceAll('/', '.'))?.test(`${each.value}`)) };
}

function withoutRootMount({ volumeMounts }: Doc): Doc {
  if (!Array.isArray(volumeMounts)) return {};
  return { volumeMounts: volumeMounts.filter((mount) => posix.normalize(`${mount?.mountPath}`) !== '/') };
}

function withoutBetaAppArmor(annotations: unknown): unknown {
  if (typeof annotations !== 'object' || annotations === null) return annotations;
  return Object.fromEntries(
    Object.entries(annotations).filter(([key]) => !key.startsWith('container.apparmor.security.beta.kubernetes.io/')),
  );
}
