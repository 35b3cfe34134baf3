import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiServer, useApiServer } from '../support/api-server.ts';
import type { Client } from '../support/client.ts';
import { goldenFiles } from '../support/golden.ts';
import { differences, tested } from '../support/kubernetes.ts';
import { type ContainerManifest, type PodManifest, plainPod } from '../support/pod-manifests.ts';

/** What no repair keeps the intent of is refused by us, with everything that is wrong at once; and never by the API server, with less. */

/** Rule and field of a finding, as `status.details.causes` says it. */
type Cause = readonly [rule: string, field: string];

interface Case {
  /** The namespace's profile. */
  readonly profile: 'userns' | 'sysbox' | 'gvisor';
  readonly pod: Parts;
  /** What the author must change. */
  readonly finds: readonly Cause[];
  /** What it cannot be without, and would be repaired. */
  readonly brings?: readonly Cause[];
}

interface Parts {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: object;
  /** Of the one container. */
  readonly container?: { readonly volumeMounts?: readonly object[]; readonly [field: string]: unknown };
}

const volume = (source: object): Parts => ({
  spec: { volumes: [{ name: 'data', ...source }] },
  container: { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
});
const CONTROL_PLANE = 'node-role.kubernetes.io/control-plane';
const nodeTerm = { matchExpressions: [{ key: CONTROL_PLANE, operator: 'Exists' }] };
const workspace = 'spec.containers[0]';

const rawBlock: Pick<Case, 'pod' | 'finds'> = {
  pod: {
    spec: { volumes: [{ name: 'disk', persistentVolumeClaim: { claimName: 'disk' } }] },
    container: { volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }] },
  },
  finds: [['block-devices', `${workspace}.volumeDevices[0]`]],
};

const largeIds: Pick<Case, 'pod' | 'finds'> = {
  pod: {
    spec: { securityContext: { runAsUser: 65536, runAsGroup: 70000, fsGroup: 1000650000, supplementalGroups: [1000, 65536] } },
    container: { securityContext: { runAsUser: 1000650000, runAsGroup: 65535 } },
  },
  finds: [
    ['user-ids', 'spec.securityContext.runAsUser'],
    ['user-ids', 'spec.securityContext.runAsGroup'],
    ['user-ids', 'spec.securityContext.fsGroup'],
    ['user-ids', 'spec.securityContext.supplementalGroups[1]'],
    ['user-ids', `${workspace}.securityContext.runAsUser`],
  ],
};

const cases: Readonly<Record<string, Case>> = {
  'host-path': {
    profile: 'userns',
    pod: volume({ hostPath: { path: '/var/run/docker.sock' } }),
    finds: [['volume-types', 'spec.volumes[0].hostPath']],
  },
  'flex-volume': {
    profile: 'userns',
    pod: volume({ flexVolume: { driver: 'example.com/mount' } }),
    finds: [['volume-types', 'spec.volumes[0].flexVolume']],
  },
  'git-repo': {
    profile: 'userns',
    pod: volume({ gitRepo: { repository: 'https://git.example/workspace' } }),
    finds: [['volume-types', 'spec.volumes[0].gitRepo']],
  },
  'network-volume': {
    profile: 'userns',
    pod: volume({ nfs: { server: 'files.example', path: '/' } }),
    finds: [['volume-types', 'spec.volumes[0].nfs']],
  },
  'raw-block-userns': { profile: 'userns', ...rawBlock },
  'raw-block-sysbox': { profile: 'sysbox', ...rawBlock },
  'raw-block-gvisor': { profile: 'gvisor', ...rawBlock },
  'huge-pages': {
    profile: 'userns',
    pod: volume({ emptyDir: { medium: 'HugePages-2Mi' } }),
    finds: [['huge-pages', 'spec.volumes[0].emptyDir.medium']],
  },
  'node-name': { profile: 'userns', pod: { spec: { nodeName: 'control-plane-1' } }, finds: [['node-name', 'spec.nodeName']] },
  'control-plane-selector': {
    profile: 'userns',
    pod: { spec: { nodeSelector: { [CONTROL_PLANE]: '' } } },
    finds: [['node-selection', `spec.nodeSelector["${CONTROL_PLANE}"]`]],
  },
  'control-plane-affinity': {
    profile: 'userns',
    pod: {
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [nodeTerm] },
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: nodeTerm }],
          },
        },
      },
    },
    finds: [
      [
        'node-selection',
        'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]',
      ],
      ['node-selection', 'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0]'],
    ],
  },
  'system-priority': {
    profile: 'userns',
    pod: { spec: { priorityClassName: 'system-node-critical' } },
    finds: [['priority-class', 'spec.priorityClassName']],
  },
  'selinux-user-role-type': {
    profile: 'userns',
    pod: { container: { securityContext: { seLinuxOptions: { user: 'system_u', role: 'system_r', type: 'spc_t' } } } },
    finds: [
      ['selinux', `${workspace}.securityContext.seLinuxOptions.user`],
      ['selinux', `${workspace}.securityContext.seLinuxOptions.role`],
      ['selinux', `${workspace}.securityContext.seLinuxOptions.type`],
    ],
  },
  'selinux-level-range': {
    profile: 'userns',
    pod: { spec: { securityContext: { seLinuxOptions: { level: 's0:c0.c1023' } } } },
    finds: [['selinux', 'spec.securityContext.seLinuxOptions.level']],
  },
  sysctls: {
    profile: 'userns',
    pod: {
      spec: {
        securityContext: {
          sysctls: [
            { name: 'vm.swappiness', value: '1' },
            { name: 'fs/file-max', value: '1' },
          ],
        },
      },
    },
    finds: [
      ['sysctls', 'spec.securityContext.sysctls[0]'],
      ['sysctls', 'spec.securityContext.sysctls[1]'],
    ],
  },
  'resource-claim': {
    profile: 'userns',
    pod: {
      spec: { resourceClaims: [{ name: 'gpu', resourceClaimName: 'all-gpus' }] },
      container: { resources: { claims: [{ name: 'gpu' }] } },
    },
    // An API server without the feature drops the claims, and the denial says so.
    finds: [['resource-claims', differences.keepsResourceClaims ? 'spec.resourceClaims[0]' : 'spec.resourceClaims']],
  },
  'extended-resource': {
    profile: 'userns',
    pod: { container: { resources: { limits: { 'nvidia.com/gpu': '1' } } } },
    finds: [['extended-resources', `${workspace}.resources.limits["nvidia.com/gpu"]`]],
  },
  'large-ids-userns': { profile: 'userns', ...largeIds },
  'large-ids-sysbox': { profile: 'sysbox', ...largeIds },
  'sysbox-variable': {
    profile: 'sysbox',
    pod: {
      container: {
        env: [
          { name: 'SYSBOX_SKIP_UID_SHIFT', value: '/mnt' },
          { name: 'SYSBOX_HONOR_CAPS', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        envFrom: [{ prefix: 'SYS', configMapRef: { name: 'settings' } }],
      },
    },
    finds: [
      ['sysbox-mode', `${workspace}.env[0]`],
      ['sysbox-mode', `${workspace}.env[1]`],
      ['sysbox-mode', `${workspace}.envFrom[0].prefix`],
    ],
  },
  'unknown-profile': {
    profile: 'userns',
    pod: { labels: { 'cloister.dev/profile': 'firecracker' } },
    finds: [['pod-labels', 'metadata.labels["cloister.dev/profile"]']],
  },
  'other-profile': {
    profile: 'userns',
    pod: { labels: { 'cloister.dev/profile': 'gvisor' } },
    finds: [['pod-labels', 'metadata.labels["cloister.dev/profile"]']],
  },
  'unknown-grant': {
    profile: 'userns',
    pod: { labels: { 'cloister.dev/grant': 'root' } },
    finds: [['pod-labels', 'metadata.labels["cloister.dev/grant"]']],
  },
  'larger-grant': {
    profile: 'userns',
    pod: { labels: { 'cloister.dev/grant': 'containers' } },
    finds: [['pod-labels', 'metadata.labels["cloister.dev/grant"]']],
  },
  'mirror-pod': {
    profile: 'userns',
    pod: { annotations: { 'kubernetes.io/config.mirror': 'mine' }, spec: { nodeName: 'worker-1', automountServiceAccountToken: false } },
    finds: [
      ['mirror-pod', 'metadata.annotations["kubernetes.io/config.mirror"]'],
      ['node-name', 'spec.nodeName'],
    ],
  },
  windows: { profile: 'userns', pod: { spec: { os: { name: 'windows' } } }, finds: [['windows', 'spec.os.name']] },
  'windows-host-process': {
    profile: 'userns',
    pod: {
      spec: { os: { name: 'windows' }, hostNetwork: true },
      container: { securityContext: { windowsOptions: { hostProcess: true, runAsUserName: 'NT AUTHORITY\\SYSTEM' } } },
    },
    finds: [
      ['windows', 'spec.os.name'],
      ['windows', `${workspace}.securityContext.windowsOptions`],
    ],
    brings: [['host-namespaces', 'spec.hostNetwork']],
  },
};

/** Ten that are repaired where nothing else is wrong. */
const LINUX_FAULTS: Parts = {
  spec: {
    hostNetwork: true,
    hostPID: true,
    hostIPC: true,
    tolerations: [{ operator: 'Exists' }],
    volumes: [{ name: 'scratch', emptyDir: {} }],
  },
  container: {
    ports: [{ containerPort: 8080 }],
    securityContext: {
      privileged: true,
      capabilities: { add: ['SYS_ADMIN'] },
      seccompProfile: { type: 'Unconfined' },
      appArmorProfile: { type: 'Unconfined' },
    },
    volumeMounts: [{ name: 'scratch', mountPath: '/scratch', mountPropagation: 'Bidirectional' }],
  },
};
const linuxFinds = (mounts: number): readonly Cause[] => [
  ['host-namespaces', 'spec.hostNetwork'],
  ['host-namespaces', 'spec.hostPID'],
  ['host-namespaces', 'spec.hostIPC'],
  ['tolerations', 'spec.tolerations[0]'],
  ['host-ports', `${workspace}.ports[0].hostPort`],
  ['privileged', `${workspace}.securityContext.privileged`],
  ['capabilities', `${workspace}.securityContext.capabilities.add[0]`],
  ['seccomp', `${workspace}.securityContext.seccompProfile`],
  ['apparmor', `${workspace}.securityContext.appArmorProfile`],
  ['mount-propagation', `${workspace}.volumeMounts[${mounts}].mountPropagation`],
];

/** The API server takes none of the above from a Windows pod. */
const elsewhere = { httpGet: { host: 'metadata.internal', port: 80 } };
const WINDOWS_FAULTS: Parts = {
  annotations: { 'io.katacontainers.config.hypervisor.path': '/bin/sh' },
  spec: { hostNetwork: true, tolerations: [{ operator: 'Exists' }, { key: CONTROL_PLANE, operator: 'Exists' }] },
  container: {
    ports: [{ containerPort: 8080 }],
    livenessProbe: elsewhere,
    readinessProbe: elsewhere,
    startupProbe: { tcpSocket: elsewhere.httpGet },
    lifecycle: { postStart: elsewhere, preStop: elsewhere },
  },
};
const WINDOWS_FINDS: readonly Cause[] = [
  ['runtime-annotations', 'metadata.annotations["io.katacontainers.config.hypervisor.path"]'],
  ['host-namespaces', 'spec.hostNetwork'],
  ['tolerations', 'spec.tolerations[0]'],
  ['tolerations', 'spec.tolerations[1]'],
  ['host-ports', `${workspace}.ports[0].hostPort`],
  ['probe-hosts', `${workspace}.livenessProbe.httpGet.host`],
  ['probe-hosts', `${workspace}.readinessProbe.httpGet.host`],
  ['probe-hosts', `${workspace}.startupProbe.tcpSocket.host`],
  ['probe-hosts', `${workspace}.lifecycle.postStart.httpGet.host`],
  ['probe-hosts', `${workspace}.lifecycle.preStop.httpGet.host`],
];

interface Denial {
  readonly reason: string;
  readonly message: string;
  readonly details: { readonly causes?: readonly { readonly reason: string; readonly field: string; readonly message: string }[] };
}

const golden = goldenFiles('denials');
const profiles = ['userns', 'sysbox', 'gvisor'] as const;
let apiServer: ApiServer;
let tenant: Client;

beforeAll(async () => {
  apiServer = await useApiServer();
  for (const profile of profiles) {
    await apiServer.createNamespace(`refused-${profile}`, { 'cloister.dev/enforce': profile });
    tenant = await apiServer.createTenant(`refused-${profile}`, 'author');
  }
});

test('every golden file is compared with a denial', async () => {
  const names = Object.keys(cases).flatMap((name) => [name, `${name}.with-ten`]);
  expect(
    await golden.orphans([...names, ...names.map(withoutClaims).filter((each) => each !== undefined)].map((name) => `${name}.txt`)),
  ).toEqual([]);
});

describe.each(Object.entries(cases))('%s', (name, { profile, pod, finds, brings = [] }) => {
  const isWindows = name.startsWith('windows');

  test('T08, T13, T34: the pod is refused for this finding alone', async () => {
    await isRefused(name, { profile, pod, finds }, brings);
  });

  test('the pod is refused together with ten repairable findings, and the denial lists all of them', async () => {
    const more = isWindows ? WINDOWS_FINDS : linuxFinds(pod.container?.volumeMounts?.length ?? 0);
    await isRefused(`${name}.with-ten`, { profile, pod: merged(isWindows ? WINDOWS_FAULTS : LINUX_FAULTS, pod), finds }, more);
  });
});

/** What every pod lacks whose author has never heard of walls; repaired with the rest. */
const UNWALLED = ['user-namespace', 'runtime-class', 'seccomp', 'capability-grant', 'sysbox-mode'];

/** @param repairable findings that would end by themselves, were it not for the others */
async function isRefused(name: string, { profile, pod: parts, finds }: Case, repairable: readonly Cause[]): Promise<void> {
  const namespace = `refused-${profile}`;
  const pod = podOf(name.replace('.', '-'), parts);
  const { code, stdout, stderr } = await tenant.kubectl(['create', '--namespace', namespace, '--filename=-'], {
    input: JSON.stringify(pod),
  });
  expect(stderr).toContain(`admission webhook "${profile}.namespace.enforce.cloister.dev" denied the request: `);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const file = (differences.keepsResourceClaims ? undefined : withoutClaims(name)) ?? name;
  expect(comparable(stderr)).toBe(comparable(await golden.text(`${file}.txt`, stderr)));

  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const { status, body } = await tenant.request<Denial>('POST', pods, pod);
  expect({ status, reason: body.reason }).toEqual({ status: 403, reason: 'Forbidden' });
  const causes = body.details.causes ?? [];
  const reported = causes.map(({ reason, field }): Cause => [reason, field]);
  expect(sorted(reported.slice(0, finds.length)), 'findings that the author must fix come first').toEqual(sorted(finds));
  const isOld = ([rule, field]: Cause): boolean =>
    differences.writesAppArmorAnnotation && rule === 'apparmor' && field.startsWith('metadata.');
  const rest = reported.slice(finds.length).filter((each) => !isOld(each));
  expect(rest).toEqual(expect.arrayContaining([...repairable]));
  const unforeseen = rest.filter(([rule, field]) => !repairable.some((each) => each[0] === rule && each[1] === field));
  expect(UNWALLED).toEqual(expect.arrayContaining(unforeseen.map(([rule]) => rule)));
  expect(linesOf(body.message), 'the message lists the same findings as the causes').toEqual(causes);
  expect((await tenant.request('GET', `${pods}/${pod.metadata.name}`)).status, 'nothing is stored').toBe(404);
}

/** The golden file of a denial where the API server drops claims; undefined: it is the same. */
const withoutClaims = (name: string): string | undefined => (name.startsWith('resource-claim') ? `${name}.dropped` : undefined);

/** The field comes with the annotation that it replaces, before Kubernetes 1.34, and then both are listed. */
const APPARMOR_LINE = /^- apparmor: metadata\.annotations.*\n/m;

/** What an API server says of its own differs between versions. */
function comparable(stderr: string): string {
  const withoutWarnings =
    tested.minor === tested.programMinor && differences.hasPinnedFields ? stderr : stderr.replaceAll(/^Warning: spec\..*\n/gm, '');
  return differences.writesAppArmorAnnotation ? withoutWarnings.replace(APPARMOR_LINE, '') : withoutWarnings;
}

const sorted = (causes: readonly Cause[]): readonly string[] => causes.map((each) => each.join(' ')).sort();

/** `- rule: path (container "name"): what was found; what to do` */
function linesOf(message: string): readonly object[] {
  return message.split('\n').flatMap((line) => {
    const found = /^- ([a-z-]+): (.+?)(?: \(container "[^"]*"\))?: (.+)$/.exec(line);
    return found === null ? [] : [{ reason: found[1], field: found[2], message: found[3] }];
  });
}

function podOf(name: string, { labels, annotations, spec, container }: Parts): PodManifest {
  const pod = plainPod(name);
  const { metadata, spec: plain } = pod;
  return {
    ...pod,
    metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: { ...plain, ...spec, containers: plain.containers.map((each) => ({ ...each, ...container }) as ContainerManifest) },
  };
}

/** Objects key by key, lists one after the other, the second's first: what must be changed keeps its place. */
function merged<T>(faults: T, pod: T): T {
  if (pod === undefined) return faults;
  if (faults === undefined) return pod;
  if (Array.isArray(faults) && Array.isArray(pod)) return [...pod, ...faults] as T;
  if (typeof faults !== 'object' || typeof pod !== 'object') return pod;
  const keys = [...new Set([...Object.keys(pod as object), ...Object.keys(faults as object)])];
  const field = (object: unknown, key: string): unknown => (object as Record<string, unknown>)[key];
  return Object.fromEntries(keys.map((key) => [key, merged(field(faults, key), field(pod, key))])) as T;
}
