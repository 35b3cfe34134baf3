import fc from 'fast-check';
import type { Exemption } from '../../src/core/exemptions.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import type { PolicyConfig } from '../../src/core/policy.ts';
import { backendById } from '../../src/core/profiles/index.ts';
import { makeProfile } from '../../src/core/profiles/profile.ts';
import { NAMESPACE } from './oracle.ts';

/** A document that any user may write. */
export type Doc = { [key: string]: unknown };
type Place = readonly (string | number)[];

/** One change of a pod: this value at this path. Paths in a container start with its list and a number that picks an element. */
export interface Stroke {
  readonly at: Place;
  readonly value: unknown;
}

/** What the operator configured, in the words of the configuration file, so that a failing case can be read and an oracle can read it. */
export interface Setting {
  /** The id of the profile; `own` by default. */
  readonly id?: string;
  readonly backend: string;
  readonly grant: 'none' | 'sudo' | 'containers';
  readonly grantTo?: readonly string[];
  readonly nesting?: 'seccomp' | 'sysadmin';
  readonly seccompProfile?: string;
  readonly appArmorProfile?: string;
  readonly seLinuxType?: string;
  readonly storage?: readonly string[];
  readonly devices?: readonly string[];
  readonly csiDrivers?: readonly string[];
  readonly deniedTolerations?: readonly string[];
  readonly deniedNodeLabels?: readonly string[];
  readonly runtimeClassScheduling?: { readonly nodeSelector: Readonly<Record<string, string>>; readonly tolerations: readonly Doc[] };
  readonly runtimeClassName?: string;
  readonly runtimeClasses?: readonly string[];
  readonly idsPerPod?: number;
  readonly identity?: 'host-users' | 'crio-annotation';
  readonly guestPrivileged?: boolean;
  readonly storageMedium?: 'memory' | 'disk';
  readonly storageSize?: string;
  readonly serviceAccountToken?: 'keep' | 'remove';
  readonly antiAffinity?: 'own-namespace' | 'all-namespaces';
  readonly maxTerminationGracePeriodSeconds?: number;
  /** Whether a pod may ask for the profile `other` instead. */
  readonly mayChoose?: readonly string[];
  /** By rule id; for every namespace and service account. */
  readonly exempt?: Readonly<Record<string, readonly string[]>>;
  /** The containers that the exemption is for. */
  readonly exemptIn?: readonly string[];
}

export const NOW = new Date('2026-11-21T10:00:00Z');
export { NAMESPACE };

const capability = fc.constantFrom(
  ...['ALL', 'all', 'CAP_ALL', 'CHOWN', 'chown', 'CAP_CHOWN', 'cap_Chown', 'CAP_CAP_CHOWN', 'SETUID', 'SETGID', 'FOWNER', 'DAC_OVERRIDE'],
  ...['FSETID', 'SETFCAP', 'SETPCAP', 'KILL', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'AUDIT_WRITE', 'MKNOD', 'SYS_ADMIN', 'sys_admin'],
  ...['CAP_SYS_ADMIN', 'NET_ADMIN', 'NET_RAW', 'SYS_PTRACE', 'SYS_MODULE', 'BPF', 'DAC_READ_SEARCH', '', ' SYS_ADMIN', 'SYS_ADMIN\n'],
  ...['\u017fYS_ADMIN', '\u017fETUID', 'SYS\u200b_ADMIN', 'NO_SUCH_CAPABILITY', '__proto__', 'constructor'],
);
const SUDO = ['SETUID', 'SETGID', 'CHOWN', 'FOWNER', 'DAC_OVERRIDE'];

const seccompProfile = fc.constantFrom(
  ...[null, {}, { type: 'RuntimeDefault' }, { type: 'Unconfined' }, { type: 'unconfined' }, { type: '' }, { type: null }],
  ...[
    { type: 'Localhost', localhostProfile: 'cloister/workspace.json' },
    { type: 'Localhost', localhostProfile: 'open.json' },
  ],
  ...[
    { type: 'Localhost' },
    { type: 'Localhost', localhostProfile: '' },
    { type: 'Localhost', localhostProfile: './cloister/workspace.json' },
  ],
);
const appArmorProfile = fc.constantFrom(
  ...[null, {}, { type: 'RuntimeDefault' }, { type: 'Unconfined' }, { type: 'unconfined' }, { type: 'Localhost' }],
  ...[
    { type: 'Localhost', localhostProfile: 'cloister-workspace' },
    { type: 'Localhost', localhostProfile: 'open' },
  ],
);
const seLinuxOptions = fc.constantFrom(
  ...[null, {}, { type: 'container_t' }, { type: 'container_engine_t' }, { type: 'spc_t' }, { type: 'custom_engine_t' }, { type: '' }],
  ...[{ user: 'system_u' }, { role: 'sysadm_r' }, { user: '', role: '' }, { level: 's0:c1,c2' }, { level: 's0:c0.c1023' }, { level: '' }],
);
const id = fc.constantFrom<unknown>(null, 0, 1, 1000, 65534, 65535, 65536, 131071, 131072, 2147483647, 1e300, 2 ** 53 + 2, 65535.5);
const flag = fc.constantFrom(true, false, null);
const handler = fc.constantFrom<unknown>(
  ...[null, {}, { exec: { command: ['true'] } }, { httpGet: { port: 80 } }, { httpGet: { host: '', port: 80 } }],
  ...[{ httpGet: { host: '169.254.169.254', port: 80 } }, { tcpSocket: { host: 'localhost', port: 22 } }, { tcpSocket: null }],
  ...[{ tcpSocket: { port: 22 }, terminationGracePeriodSeconds: 1e9 }, { terminationGracePeriodSeconds: 60 }],
);
const mount = fc.record(
  {
    name: fc.constantFrom('data', 'kube-api-access-x', 'cloister-storage-0', 'home'),
    mountPath: fc.constantFrom('/', '/data', '/var/lib/containers', '/var/lib/containers/', '/var/lib', '/var/lib/docker', '/tmp', ''),
    mountPropagation: fc.constantFrom(null, '', 'None', 'HostToContainer', 'Bidirectional', 'none'),
  },
  { requiredKeys: ['name', 'mountPath'] },
);
const environment = fc.constantFrom<Doc>(
  ...[
    { name: 'HOME', value: '/root' },
    { name: 'SYSBOX_SYSCONT_MODE', value: 'TRUE' },
    { name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE' },
  ],
  ...[{ name: 'SYSBOX_SYSCONT_MODE' }, { name: 'SYSBOX_SYSCONT_MODE', value: 'true' }, { name: 'sysbox_syscont_mode', value: 'TRUE' }],
  ...[
    { name: 'SYSBOX_SYSCONT_MODE', valueFrom: { fieldRef: { fieldPath: 'metadata.labels' } } },
    { name: 'NVIDIA_VISIBLE_DEVICES', value: 'all' },
  ],
  ...[{ name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE', valueFrom: { configMapKeyRef: { name: 'a', key: 'b' } } }],
);
const volume = fc.constantFrom<Doc>(
  ...[
    { name: 'data', emptyDir: {} },
    { name: 'home', persistentVolumeClaim: { claimName: 'home' } },
    { name: 'c', configMap: { name: 'c' } },
  ],
  ...[
    { name: 's', secret: { secretName: 's' } },
    { name: 'd', downwardAPI: {} },
    { name: 'e', ephemeral: {} },
    { name: 'i', image: {} },
  ],
  ...[
    { name: 'k', csi: { driver: 'secrets-store.csi.k8s.io' } },
    { name: 'bare' },
    { name: 'nothing', hostPath: null },
    { name: 'data', emptyDir: { medium: 'Memory' } },
  ],
  ...[{ name: 'kube-api-access-x', projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'ca' } }] } }],
  ...[
    { name: 'kube-api-access-y', emptyDir: {} },
    { name: 'cloister-storage-0', emptyDir: {} },
    { name: 'p', projected: { sources: null } },
  ],
);
const badVolume = fc.constantFrom<Doc>(
  ...[
    { name: 'h', hostPath: { path: '/' } },
    { name: 'h', hostPath: {} },
    { name: 'sock', hostPath: { path: '/run/containerd.sock' } },
  ],
  ...[
    { name: 'both', emptyDir: {}, hostPath: { path: '/etc' } },
    { name: 'n', nfs: { server: 'x', path: '/' } },
    { name: 'f', flexVolume: {} },
  ],
  ...[
    { name: 'g', gitRepo: { repository: 'x' } },
    { name: 'new', futureKind: {} },
    { name: 'odd', HostPath: { path: '/' } },
    { name: 'r', rbd: {} },
  ],
  ...[
    { name: 'h2', emptyDir: { medium: 'HugePages' } },
    { name: 'h3', emptyDir: { medium: 'HugePages-2Mi' } },
  ],
  ...['nfs.csi.k8s.io', 'smb.csi.k8s.io', 'CSI.spiffe.io', '', null].map((driver) => ({ name: 'k', csi: { driver } })),
  ...[{ name: 'mine', projected: { sources: [{ serviceAccountToken: { audience: 'vault' } }] } }],
  ...[{ name: 'identity', projected: { sources: [{ podCertificate: { signerName: 'x.y/z', keyType: 'ED25519' } }] } }],
);
const RUNTIME_ANNOTATIONS = [
  ...['io.kubernetes.cri-o.userns-mode', 'io.kubernetes.cri-o.Devices', 'userns-mode.crio.io', 'seccomp-profile.kubernetes.cri-o.io/dev'],
  ...['cpu-quota.crio.io', 'io.kubernetes.cri.untrusted-workload', 'io.kubernetes.cri.rdt-class', 'rdt.resources.intel.com/pod'],
  ...['blockio.resources.beta.kubernetes.io/pod', 'io.containers.trace-syscall', 'run.oci.hooks.stderr', 'org.systemd.property.X'],
  ...['module.wasm.image/variant', 'bundle', 'org.criu.config', 'io.katacontainers.config.hypervisor.kernel_params', 'cdi.k8s.io/gpu'],
  ...['io.katacontainers.config.runtime.disable_new_netns', 'devices.nri.io/container.dev', 'mounts.nri.io', 'x.nri.containerd.io/y'],
  ...['dev.gvisor.spec.mount.x', 'seccomp.security.alpha.kubernetes.io/pod', 'container.seccomp.security.alpha.kubernetes.io/dev'],
  ...['nri.io', 'crio.io/dev', 'io.katacontainers.pkg.oci.bundle_path', 'krun.cpus', 'com.github.containers.virtcontainers.KernelPath'],
  ...['target.workload.openshift.io/management', 'resources.workload.openshift.io/dev', 'cri-resource-manager.intel.com/affinity'],
  ...['k8s.v1.cni.cncf.io/networks', 'v1.multus-cni.io/default-network', 'networking.gke.io/interfaces', 'ipam.cilium.io/ip-pool'],
  ...['k8s.ovn.org/routing-namespaces', 'k8s.ovn.org/pod-networks', 'ovn.kubernetes.io/ip_address', 'a.b.ovn.kubernetes.io/mac_address'],
  ...['cni.projectcalico.org/ipAddrs', 'cni.projectcalico.org/podIP', 'vpc.amazonaws.com/pod-eni'],
];
const HARMLESS_ANNOTATIONS = [
  'note',
  'k8s.v1.cni.cncf.io/network-status',
  'projectcalico.org/podIP',
  'openshift.io/scc',
  'prototype',
  'constructor',
  'toString',
  'hasOwnProperty',
];
const annotation = fc.constantFrom('true', '', 'auto:size=65536', 'auto:size=65536;map-to-root=true', 'unconfined', '\u202e\u0000\n');
/** What the runtime class of some settings brings. */
const BROUGHT_TOLERATION = { operator: 'Exists', effect: 'NoExecute' };
const BROUGHT_LABELS = { 'kubernetes.io/hostname': 'kata-1', 'kubernetes.azure.com/mode': 'system' };
const toleration = fc.constantFrom<Doc>(
  ...[{ key: 'team', operator: 'Exists' }, { operator: 'Exists' }, { key: '', operator: 'Exists' }, { key: null }, {}],
  ...[
    { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' },
    { key: 'node-role.kubernetes.io/etcd', operator: 'Exists' },
    { key: 'node-role.kubernetes.io/master', effect: 'NoSchedule' },
  ],
  ...[
    { key: 'CriticalAddonsOnly', operator: 'Exists' },
    { key: 'node-role.kubernetes.io/infra', value: '' },
    { key: 'components.gke.io/gke-managed-components', value: 'true' },
  ],
  ...['system', 'spare', ''].flatMap((value) => [
    { key: 'dedicated', value },
    { key: 'dedicated', operator: 'Equal', value, effect: 'NoSchedule' },
  ]),
  ...[{ key: 'dedicated', operator: 'Exists' }, { key: 'dedicated', operator: 'Gt', value: '1' }, BROUGHT_TOLERATION],
  ...[
    { ...BROUGHT_TOLERATION, tolerationSeconds: 5 },
    { ...BROUGHT_TOLERATION, effect: 'NoSchedule' },
  ],
);
const term = fc.constantFrom<Doc>(
  ...[{}, { matchExpressions: null }, { matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }],
  ...[{ matchExpressions: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'DoesNotExist' }] }],
  ...[{ matchExpressions: [{ key: 'kubernetes.azure.com/mode', operator: 'In', values: ['user'] }] }],
  ...[{ matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['node-1'] }] }],
  ...[{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'NotIn', values: ['node-1'] }], matchFields: null }],
);
const badTerm = fc.constantFrom<Doc>(
  ...[{ matchExpressions: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' }] }],
  ...[{ matchExpressions: [{ key: 'zone' }, { key: 'node-role.kubernetes.io/master', operator: 'In', values: [''] }] }],
  ...[{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-1'] }] }, { matchFields: [{ key: 'metadata.name' }] }],
  ...[{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['node-1'] }] }],
  ...[{ matchExpressions: [{ key: 'kubernetes.azure.com/mode', operator: 'In', values: ['user', 'system'] }] }],
  ...[{ matchExpressions: [{ key: 'pool', operator: 'In', values: ['spare', 'build'] }] }],
  ...[{ matchExpressions: [{ key: 'pool', operator: 'Exists' }] }, { matchExpressions: [{ key: 'karpenter.sh/nodepool' }] }],
);
const antiAffinityTerm = fc.record(
  {
    topologyKey: fc.constant('topology.kubernetes.io/zone'),
    labelSelector: fc.constantFrom(null, {}, { matchLabels: { app: 'dev' } }),
    namespaces: fc.constantFrom<unknown>(null, [], [NAMESPACE], ['team-b'], [NAMESPACE, 'kube-system'], ['']),
    namespaceSelector: fc.constantFrom(null, {}, { matchLabels: { team: 'b' } }),
  },
  { requiredKeys: ['topologyKey'] },
);
const resource = fc.constantFrom('cpu', 'memory', 'hugepages-2Mi', 'ephemeral-storage');
const amount = fc.constantFrom<unknown>('1', '1', '4Gi', '0.75Gi', '3e9', '500M', '0', 'much', 1, {});
const badResource = fc.constantFrom(
  'nvidia.com/gpu',
  'devices.kubevirt.io/kvm',
  'github.com/fuse',
  'a/b',
  'kubernetes.io.evil/x',
  '__proto__/x',
);

type Field = readonly [at: Place, value: fc.Arbitrary<unknown>];

/** Values that a mutating entry repairs or leaves. */
const POD_FIELDS: readonly Field[] = [
  ...(['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers', 'automountServiceAccountToken', 'shareProcessNamespace'] as const).map(
    (field): Field => [['spec', field], flag],
  ),
  [['spec', 'dnsPolicy'], fc.constantFrom(null, 'ClusterFirst', 'ClusterFirstWithHostNet', 'Default')],
  [
    ['spec', 'runtimeClassName'],
    fc.constantFrom(null, '', 'runc', 'sysbox-runc', 'kata-qemu', 'kata-clh', 'gvisor', 'custom', 'other', 'Gvisor'),
  ],
  [['spec', 'overhead'], fc.constantFrom(null, {}, { cpu: '250m' })],
  [['spec', 'securityContext'], fc.constantFrom(null, {})],
  [['spec', 'securityContext', 'seccompProfile'], seccompProfile],
  [['spec', 'securityContext', 'appArmorProfile'], appArmorProfile],
  [
    ['spec', 'securityContext', 'sysctls'],
    fc.array(
      fc.constantFrom<Doc>(
        ...['0 65535', '0 65536', '1000\t2147483647', '1 0', '0 131072', '0 many', ''].map((value) => ({
          name: 'net.ipv4.ping_group_range',
          value,
        })),
        ...[
          { name: 'net/ipv4/ping_group_range', value: '0 2147483647' },
          { name: 'kernel/shm_rmid_forced', value: '1' },
          { name: 'kernel.shm_rmid_forced', value: '0' },
          { name: 'net.ipv4.tcp_slow_start_after_idle', value: '0' },
          { name: 'net/ipv4/tcp_notsent_lowat', value: '1' },
        ],
      ),
      { maxLength: 2 },
    ),
  ],
  [['spec', 'tolerations'], fc.array(toleration, { maxLength: 4 })],
  [['spec', 'volumes'], fc.array(volume, { maxLength: 4 })],
  [['spec', 'schedulingGates'], fc.constantFrom(null, [], [{ name: 'a/wait' }], [{ name: 'a/wait' }, { name: 'b/wait' }])],
  [
    ['spec', 'affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution'],
    term.map((each) => ({ nodeSelectorTerms: [each] })),
  ],
  [['spec', 'terminationGracePeriodSeconds'], fc.constantFrom(null, 0, -1, 30, 61, 3600, 3601, 1e9, 2 ** 53)],
  [
    ['spec', 'evictionResponders'],
    fc.constantFrom(null, [], [{ name: 'acme.io/a', priority: 1 }], [{ name: 'acme.io/a', priority: 1 }, {}]),
  ],
  [['spec', 'affinity', 'podAntiAffinity', 'requiredDuringSchedulingIgnoredDuringExecution'], fc.array(antiAffinityTerm, { maxLength: 3 })],
  [['spec', 'priorityClassName'], fc.constantFrom(null, '', 'high', 'System-cluster-critical')],
  [['spec', 'priority'], fc.constantFrom(null, 0, -1, 1_000_000_000)],
  [['spec', 'nodeName'], fc.constantFrom(null, '')],
  [['spec', 'os'], fc.constantFrom(null, {}, { name: 'linux' })],
  [['metadata', 'annotations', 'cloister.dev/profile-applied'], fc.constantFrom('own/containers', '', 'userns/none')],
  ...['dev', 'init', 'sidecar', 'absent', ''].map(
    (name): Field => [
      ['metadata', 'annotations', `container.apparmor.security.beta.kubernetes.io/${name}`],
      fc.constantFrom('runtime/default', 'unconfined', 'localhost/cloister-workspace', 'localhost/open', 'Unconfined', ''),
    ],
  ),
  ...[...RUNTIME_ANNOTATIONS, ...HARMLESS_ANNOTATIONS].map((key): Field => [['metadata', 'annotations', key], annotation]),
];

/** Values that only a person can change. */
const REFUSED_POD_FIELDS: readonly Field[] = [
  [['spec', 'volumes'], fc.constantFrom('HugePages', 'HugePages-2Mi').map((medium) => [{ name: 'huge', emptyDir: { medium } }])],
  [['spec', 'volumes'], fc.array(fc.oneof(volume, badVolume), { minLength: 1, maxLength: 3 })],
  [['spec', 'securityContext', 'seLinuxOptions'], seLinuxOptions],
  ...['runAsUser', 'runAsGroup', 'fsGroup'].map((field): Field => [['spec', 'securityContext', field], id]),
  [
    ['spec', 'securityContext', 'supplementalGroups'],
    fc.array(
      id.filter((each) => each !== null),
      { maxLength: 3 },
    ),
  ],
  [
    ['spec', 'securityContext', 'sysctls'],
    fc.array(
      fc.constantFrom(
        ...[
          { name: 'net.ipv4.tcp_rmem', value: '1' },
          { name: 'net/ipv4/tcp_wmem' },
          { name: 'kernel.core_pattern', value: '|x' },
          { name: 'kernel/shm_rmid_forced' },
          { name: 'net.ipv4/tcp_syncookies', value: '1' },
          { name: 'net.ipv4.ping_group_range', value: '70000 80000' },
          { name: 'net.ipv4.ping_group_range', value: '200000 200001' },
          {},
        ],
      ),
      { maxLength: 2 },
    ),
  ],
  [['spec', 'securityContext', 'futureField'], fc.constantFrom(null, true, {})],
  [['spec', 'futureContainers'], fc.constantFrom(null, [], [{ name: 'x', image: 'y', securityContext: { privileged: true } }])],
  [['spec', 'securityContext', 'windowsOptions'], fc.constantFrom(null, {}, { hostProcess: true })],
  [['spec', 'os'], fc.constantFrom({ name: 'windows' }, { name: '' }, { name: 'Linux' })],
  [['spec', 'nodeName'], fc.constantFrom('control-plane-0', ' ')],
  [
    ['spec', 'nodeSelector'],
    fc.constantFrom<unknown>(
      ...[null, {}, { zone: 'a' }, { 'node-role.kubernetes.io/control-plane': '' }, { 'kubernetes.io/hostname': 'node-1' }],
      ...[{ 'kubernetes.azure.com/mode': 'user' }, { 'kubernetes.azure.com/mode': 'system' }, { 'node-role.kubernetes.io/infra': '' }],
      ...[{ pool: 'build' }, { pool: 'spare' }, BROUGHT_LABELS, { ...BROUGHT_LABELS, 'kubernetes.io/hostname': 'kata-2' }],
    ),
  ],
  [
    ['spec', 'affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution'],
    badTerm.map((each) => ({ nodeSelectorTerms: [{}, each] })),
  ],
  [
    ['spec', 'affinity', 'nodeAffinity', 'preferredDuringSchedulingIgnoredDuringExecution'],
    fc.oneof(term, badTerm).map((preference) => [{ weight: 1, preference }, { weight: 2 }]),
  ],
  [['spec', 'priorityClassName'], fc.constantFrom('system-node-critical', 'system-')],
  [['spec', 'priority'], fc.constantFrom(1_000_000_001, 2_000_001_000, 1e300)],
  [
    ['spec', 'resourceClaims'],
    fc.constantFrom<unknown>(null, [], [{ name: 'gpu', resourceClaimName: 'mine' }], [{ name: 'gpu', resourceClaimTemplateName: 'gpu' }]),
  ],
  [['spec', 'resources', 'limits'], fc.dictionary(fc.oneof(resource, badResource), amount, { maxKeys: 2 })],
  [['metadata', 'annotations', 'kubernetes.io/config.mirror'], fc.constant('x')],
  [['metadata', 'annotations', 'kubernetes.io/config.source'], fc.constant('file')],
  [['metadata', 'labels', 'cloister.dev/grant'], fc.constantFrom('none', 'sudo', 'containers', 'root', '', 'constructor', '__proto__')],
  [['metadata', 'labels', 'cloister.dev/profile'], fc.constantFrom('own', 'other', 'none', '', 'toString')],
];

const CONTAINER_FIELDS: readonly Field[] = [
  [['securityContext'], fc.constantFrom(null, {})],
  [['securityContext', 'privileged'], flag],
  [['securityContext', 'allowPrivilegeEscalation'], flag],
  [['restartPolicy'], fc.constantFrom('Always', 'OnFailure', null)],
  [['image'], fc.constantFrom(null, '', 'registry.example.com/workspace', 'registry.example.com/workspace:2')],
  [['securityContext', 'procMount'], fc.constantFrom(null, '', 'Default', 'Unmasked', 'unmasked')],
  [
    ['securityContext', 'capabilities'],
    fc.constantFrom<unknown>(null, {}, { drop: ['ALL'] }, { drop: ['all'], add: SUDO }, { add: null, drop: null }),
  ],
  [['securityContext', 'capabilities', 'add'], fc.array(capability, { maxLength: 5 })],
  [['securityContext', 'capabilities', 'drop'], fc.array(capability, { maxLength: 4 })],
  [['securityContext', 'seccompProfile'], seccompProfile],
  [['securityContext', 'appArmorProfile'], appArmorProfile],
  [
    ['ports'],
    fc.array(
      fc.constantFrom<Doc>(
        ...[
          { containerPort: 80 },
          { containerPort: 80, hostPort: 80 },
          { containerPort: 80, hostPort: 0 },
          { hostPort: 1, hostIP: '' },
          { hostIP: '::1' },
        ],
        ...[{ containerPort: 22, hostPort: 22, hostIP: '0.0.0.0', protocol: 'TCP', name: 'ssh' }],
      ),
      { maxLength: 3 },
    ),
  ],
  [['volumeMounts'], fc.array(mount, { maxLength: 4 })],
  [['env'], fc.array(environment, { maxLength: 3 })],
  ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((field): Field => [[field], handler]),
  ...['postStart', 'preStop'].map((field): Field => [['lifecycle', field], handler]),
  [['resources', 'limits'], fc.dictionary(resource, amount, { maxKeys: 2 })],
];

const REFUSED_CONTAINER_FIELDS: readonly Field[] = [
  [['securityContext', 'seLinuxOptions'], seLinuxOptions],
  ...['runAsUser', 'runAsGroup'].map((field): Field => [['securityContext', field], id]),
  [['securityContext', 'windowsOptions'], fc.constantFrom(null, {}, { hostProcess: true })],
  [['securityContext', 'cgroupOptions'], fc.constantFrom(null, { mountMode: 'Writable' })],
  [['volumeDevices'], fc.constantFrom(null, [], [{ name: 'disk', devicePath: '/dev/sda' }])],
  [['env'], fc.constantFrom([{ name: 'SYSBOX_HONOR_CAPS', value: 'FALSE' }], [{ name: 'SYSBOX_', value: '' }])],
  [
    ['envFrom'],
    fc.constantFrom(null, [{ prefix: '' }], [{ prefix: 'SYS' }], [{ prefix: 'SYSBOX_SYSCONT' }], [{ prefix: 'A', secretRef: {} }]),
  ],
  [['resources', 'limits'], fc.dictionary(fc.oneof(resource, badResource), amount, { maxKeys: 2 })],
  [['resources', 'requests'], fc.dictionary(badResource, fc.constant('1'), { maxKeys: 1 })],
];

const inContainer = ([at, value]: Field, list: string, index: number): Field => [['spec', list, index, ...at], value];
const LISTS = ['initContainers', 'containers', 'ephemeralContainers'] as const;
const everywhere = (fields: readonly Field[], lists: readonly string[]): Field[] =>
  fields.flatMap((field) => lists.flatMap((list) => [0, 1].map((index) => inContainer(field, list, index))));
const strokeOf = (fields: readonly Field[]): fc.Arbitrary<Stroke> =>
  fc.oneof(...fields.map(([at, value]) => value.map((each): Stroke => ({ at, value: each }))));

const repairable = fc.oneof(strokeOf(POD_FIELDS), { arbitrary: strokeOf(everywhere(CONTAINER_FIELDS, LISTS)), weight: 2 });
const refused = fc.oneof(strokeOf(REFUSED_POD_FIELDS), strokeOf(everywhere(REFUSED_CONTAINER_FIELDS, LISTS)));

/** Any single thing that can be right or wrong with a pod. */
export const stroke: fc.Arbitrary<Stroke> = fc.oneof({ arbitrary: repairable, weight: 3 }, { arbitrary: refused, weight: 2 });

/** Any single thing that can be right or wrong with one container. */
export const containerStroke: fc.Arbitrary<Stroke> = strokeOf([...CONTAINER_FIELDS, ...REFUSED_CONTAINER_FIELDS]);

const names = fc.shuffledSubarray(['dev', 'sidecar', 'dev-2'], { minLength: 1 });
const plainPod: fc.Arbitrary<Doc> = fc.record({ names, inits: fc.nat(2), ephemerals: fc.constantFrom(0, 0, 0, 1) }).map((given) => {
  const named = (name: string): Doc => ({ name, image: 'registry.example.com/workspace' });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'workspace', namespace: NAMESPACE },
    spec: {
      containers: given.names.map(named),
      ...(given.inits > 0
        ? { initContainers: [named('init'), { ...named('dev-init'), restartPolicy: 'Always' }].slice(0, given.inits) }
        : {}),
      ...(given.ephemerals > 0 ? { ephemeralContainers: [named('debug')] } : {}),
    },
  };
});

const painted = (strokes: fc.Arbitrary<Stroke>, maxLength: number): fc.Arbitrary<Doc> =>
  fc.tuple(plainPod, fc.array(strokes, { maxLength })).map(([pod, all]) => all.reduce(put, copyOf(pod)));

/** Pods in which every finding can be repaired under their profile, and some in which none can. */
export const hostilePod: fc.Arbitrary<Doc> = fc.oneof(
  { arbitrary: painted(repairable, 10), weight: 4 },
  { arbitrary: painted(stroke, 8), weight: 1 },
);

/** A copy in which no two places share a value, as in a document that was read. */
export const copyOf = <T>(document: T): T => JSON.parse(JSON.stringify(document)) as T;

/** Puts a value into a copy of a document. What does not fit the document is left out. */
export const paint = (document: Doc, stroke: Stroke): Doc => put(copyOf(document), stroke);

/** Many of them, in their order, into one copy. */
export const paintAll = (document: Doc, strokes: readonly Stroke[]): Doc =>
  strokes.length === 0 ? document : strokes.reduce(put, copyOf(document));

function put(document: Doc, { at, value }: Stroke): Doc {
  let parent: unknown = document;
  for (const [depth, step] of at.slice(0, -1).entries()) {
    if (!isContainer(parent)) return document;
    if (parent[step] == null) {
      // Containers are not made up; everything else on the way is.
      if (typeof at[depth + 1] === 'number' || typeof step === 'number') return document;
      parent[step] = {};
    }
    parent = parent[step];
  }
  if (isContainer(parent)) define(parent, at.at(-1) ?? '', copyOf(value));
  return document;
}

const isContainer = (value: unknown): value is Doc => typeof value === 'object' && value !== null;

/** The key `__proto__` is data here. */
function define(parent: Doc, key: string | number, value: unknown): void {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
}

const optional = <T>(value: T): fc.Arbitrary<T | undefined> => fc.constantFrom(undefined, undefined, value);
const BACKENDS = ['userns', 'sysbox', 'kata-qemu', 'kata-clh', 'kata-fc', 'kata-acrn', 'gvisor'] as const;

/** Every backend with every grant and the options that it has. */
export const setting: fc.Arbitrary<Setting> = fc
  .record({
    backend: fc.oneof({ arbitrary: fc.constantFrom('userns', 'sysbox', 'kata-qemu', 'gvisor'), weight: 3 }, fc.constantFrom(...BACKENDS)),
    grant: fc.constantFrom('none', 'sudo', 'containers', 'containers'),
    grantTo: fc.constantFrom(undefined, undefined, ['dev*'], ['dev'], ['*'], ['absent']),
    appArmorProfile: fc.constantFrom(undefined, undefined, 'Unconfined', 'cloister-workspace'),
    seLinuxType: fc.constantFrom(undefined, undefined, 'container_engine_t', 'custom_engine_t'),
    storage: fc.constantFrom(undefined, undefined, [], ['/data', '/var/lib/docker']),
    devices: optional(['nvidia.com/gpu']),
    csiDrivers: fc.constantFrom(undefined, undefined, ['nfs.csi.k8s.io'], []),
    deniedTolerations: optional(['dedicated=system', 'team']),
    deniedNodeLabels: optional(['pool=build', 'zone']),
    runtimeClassScheduling: optional({ nodeSelector: BROUGHT_LABELS, tolerations: [BROUGHT_TOLERATION] }),
    runtimeClassName: optional('custom'),
    runtimeClasses: optional(['other']),
    serviceAccountToken: fc.constantFrom(undefined, 'keep', 'remove'),
    antiAffinity: fc.constantFrom(undefined, undefined, 'own-namespace', 'all-namespaces'),
    maxTerminationGracePeriodSeconds: optional(60),
    mayChoose: optional(['other']),
    exemptIn: optional(['dev*']),
    own: fc.record({
      nesting: fc.constantFrom(undefined, 'seccomp', 'sysadmin'),
      seccompProfile: optional('open.json'),
      idsPerPod: optional(131072),
      identity: fc.constantFrom(undefined, 'host-users', 'crio-annotation'),
      guestPrivileged: flag.map((each) => each ?? undefined),
      storageMedium: fc.constantFrom(undefined, undefined, 'memory', 'disk'),
      storageSize: optional('8Gi'),
    }),
    exempt: fc.constantFrom(
      ...[undefined, undefined, undefined, undefined],
      ...[
        { capabilities: ['NET_ADMIN', 'SYS_PTRACE'] },
        { 'volume-types': ['nfs', 'hostPath:/etc'], seccomp: ['open.json', 'Unconfined'] },
      ],
      ...[{ apparmor: ['open'], 'runtime-annotations': ['io.kubernetes.cri-o.Devices'], 'unknown-fields': ['futureField'] }],
      ...[{ 'extended-resources': ['devices.kubevirt.io/kvm'], 'resource-claims': ['gpu'] }],
      ...[
        {
          'node-selection': ['metadata.name', 'kubernetes.io/hostname'],
          'runtime-annotations': ['k8s.v1.cni.cncf.io/networks'],
          'volume-types': ['csi:smb.csi.k8s.io'],
        },
      ],
    ),
  })
  .map(({ own, ...common }) => {
    const has = backendById.get(common.backend)?.options ?? [];
    const written = Object.entries({ ...common, ...own }).filter(
      ([key, value]) => value !== undefined && (key in common || (has as readonly string[]).includes(key)),
    );
    return Object.fromEntries(written) as unknown as Setting;
  });

/** A profile beside the one under test; a pod may choose it where the setting says so. */
export const OTHER: Setting = { id: 'other', backend: 'userns', grant: 'sudo' };

/** The configuration in which the setting is the profile `own`, beside the profile `other`. */
export function configOf({ id: _, backend, exempt, exemptIn, ...options }: Setting): PolicyConfig {
  const found = backendById.get(backend);
  const other = backendById.get(OTHER.backend);
  if (found === undefined || other === undefined) throw new Error(`no backend ${backend}`);
  const { grantTo } = options;
  const exemption: Exemption = {
    reason: 'test',
    expires: new Date(NOW.getTime() + 1),
    namespaces: [makeNamePattern('*')],
    serviceAccounts: [makeNamePattern('*')],
    containers: exemptIn?.map(makeNamePattern),
    allow: new Map(Object.entries(exempt ?? {}).map(([rule, values]) => [rule, new Set(values)])),
  };
  return {
    profiles: new Map([
      ['own', makeProfile('own', found, { ...options, grantTo: grantTo?.map(makeNamePattern) })],
      ['other', makeProfile('other', other, { grant: OTHER.grant })],
    ]),
    exemptions: exempt === undefined ? [] : [exemption],
  };
}

export interface ReviewOf {
  readonly operation?: string;
  readonly old?: unknown;
  readonly subresource?: string | undefined;
  readonly username?: string;
  readonly groups?: readonly string[];
}

/** An AdmissionReview around a pod, as the API server sends it. */
export function reviewOf(
  object: unknown,
  { operation = 'CREATE', old, subresource, username = 'tenant', groups = [] }: ReviewOf = {},
): Doc {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'b5ac5a42-ff23-4a01-b3ae-4a1bbd8e6d3c',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      ...(subresource === undefined ? {} : { subResource: subresource }),
      name: 'workspace',
      namespace: NAMESPACE,
      operation,
      userInfo: { username, groups: [...groups, 'system:authenticated'] },
      object,
      oldObject: old ?? null,
      dryRun: false,
    },
  };
}

/** JSON that JSON.stringify cannot write stands in strings of this form, and is put in by `bytesOf`. */
const raw = (text: string): string => `@raw:${text}@`;
const deep = (open: string, close: string, depth: number): string => raw(`deep ${open} ${close} ${depth}`);

export function bytesOf(document: unknown): Buffer {
  const text = JSON.stringify(document).replace(/"@raw:((?:[^@"\\]|\\.)*)@"/g, (_, found: string) => {
    const parts = /^deep (\S+) (\S+) (\d+)$/.exec(found.replaceAll('\\"', '"'));
    if (parts === null) return found;
    const [, open = '', close = '', depth = '0'] = parts;
    return open.repeat(Number(depth)) + (open.endsWith(':') ? '1' : '') + close.repeat(Number(depth));
  });
  return Buffer.from(text);
}

const PROTOTYPE_NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'length', '0', '-', '~1', ''];

/** A map whose keys are names that every object inherits. */
const prototypeMap: fc.Arbitrary<unknown> = fc
  .dictionary(fc.constantFrom(...PROTOTYPE_NAMES), fc.constantFrom<unknown>('x', null, {}, { privileged: true }, ['x'], true, 1))
  .map((each) => Object.assign(Object.create(null), each));

const strange: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(...[null, true, false, 0, 1, -1, '', 'x', [], {}, [null], [[]], [{}], { x: null }, ['x', null], [1, 2]]),
  fc.constantFrom(...['1e400', '-1e400', '-0', '9007199254740993', '1e-400', '0.1e1', '123456789012345678901234567890'].map(raw)),
  fc.constantFrom(
    '\ud800',
    '\udfff\ud800',
    '\u0000',
    '\ufeff',
    '\u202eevil',
    'zero\u200bwidth',
    '\u2028',
    '\x7f\x9b',
    '\u{1f469}\u200d\u{1f4bb}',
    '@raw',
  ),
  fc.constantFrom(deep('[', ']', 50), deep('[', ']', 10_000), deep('{"a":', '}', 10_000), deep('{"__proto__":', '}', 1000)),
  prototypeMap,
);

/** A place in a document, found by walking down it as the numbers say. */
function somewhere(document: unknown, walk: readonly number[]): Place {
  const place: (string | number)[] = [];
  let value = document;
  for (const step of walk) {
    if (typeof value !== 'object' || value === null) return place;
    const keys = Object.keys(value);
    const key = keys[step % Math.max(1, keys.length)];
    if (key === undefined) return place;
    place.push(Array.isArray(value) ? Number(key) : key);
    value = (value as Doc)[key];
  }
  return place;
}

/** Documents that are almost pods: a strange value in place of a value, or beside it under a strange name. */
export const malformed: fc.Arbitrary<Doc> = fc
  .tuple(
    hostilePod,
    fc.array(
      fc.record({
        walk: fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }),
        name: fc.option(fc.constantFrom(...PROTOTYPE_NAMES, 'managedFields', 'annotations', 'labels', 'unknown', '\ud800', '\u202e\u0000')),
        value: strange,
      }),
      { minLength: 1, maxLength: 3 },
    ),
  )
  .map(([pod, faults]) =>
    faults.reduce((document, { walk, name, value }) => {
      const place = somewhere(document, walk);
      const at = name === null ? place : [...place.slice(0, -1), name];
      return at.length === 0 ? document : paintAnywhere(document, at, value);
    }, copyOf(pod)),
  );

function paintAnywhere(document: Doc, at: Place, value: unknown): Doc {
  let parent: unknown = document;
  for (const step of at.slice(0, -1)) parent = (parent as Doc)[step];
  if (isContainer(parent) && (!Array.isArray(parent) || typeof at.at(-1) === 'number')) define(parent, at.at(-1) ?? '', copyOf(value));
  return document;
}
