import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** A pod that people really submit, and what is right about it. The pods are rebuilt from public reports. */
export interface Case {
  /** A file of this folder. */
  readonly file: string;
  readonly profile: string;
  /** The escapes that only a person can end, as `rule path`. None: the pod is repaired. */
  readonly left: readonly string[];
  /** Rules about which the author is warned, each with words of the warning. */
  readonly warns: readonly (readonly [rule: string, says: RegExp])[];
  /** Rules that must not speak. */
  readonly silent?: readonly string[];
  /** The repaired pod, as far as it matters. */
  readonly repaired?: object;
  /** Whether the repaired pod fits Pod Security baseline. */
  readonly isBaseline?: boolean;
}

const granted = (name: string, rest: object = {}): object => ({ name, ...rest });
const TRUE = { name: 'SYSBOX_SYSCONT_MODE', value: 'TRUE' };
const FALSE = { name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE' };

export const CASES: readonly Case[] = [
  {
    file: 'runner-with-dind-sidecar.yaml',
    profile: 'sysbox-docker',
    left: [],
    warns: [['privileged', /takes away privileged \(privileged is true\) \(container dind\)/]],
    silent: ['rootful-engine'],
    repaired: {
      spec: {
        initContainers: [
          { name: 'copy-externals', env: [FALSE] },
          granted('dind', { env: [TRUE], securityContext: { privileged: false, allowPrivilegeEscalation: true } }),
        ],
        containers: [granted('runner', {})],
      },
    },
  },
  {
    file: 'runner-with-dind-sidecar.yaml',
    profile: 'sysbox-runner',
    left: [],
    warns: [
      ['privileged', /gets no grant in its place, because grantTo does not match its name.*\(container dind\)/],
      ['rootful-engine', /starts dockerd as root, which needs the grant containers.*add its name to grantTo/],
    ],
    repaired: { spec: { initContainers: [{ name: 'copy-externals' }, { name: 'dind', env: [FALSE] }] } },
  },
  {
    file: 'runner-with-dind-sidecar.yaml',
    profile: 'userns',
    left: [],
    warns: [['rootful-engine', /will not work under this profile; use rootless Docker.*sysbox/]],
    isBaseline: true,
  },
  {
    file: 'openshift-scc.yaml',
    profile: 'userns',
    left: [],
    warns: [
      [
        'runtime-annotations',
        /Devices brings devices of the node into the pod.*exemption \(runtime-annotations: \[io\.kubernetes\.cri-o\.Devices\]\)/,
      ],
      ['seccomp', /the pod's seccompProfile is RuntimeDefault, under which builds and nested containers will not work; remove it/],
    ],
    silent: ['selinux', 'user-ids'],
    repaired: {
      metadata: { annotations: { 'openshift.io/scc': 'nested-workspace' } },
      spec: {
        securityContext: { seLinuxOptions: { type: 'container_engine_t', level: 's0:c24,c27' } },
        containers: [
          {
            securityContext: {
              capabilities: {
                drop: ['KILL', 'MKNOD', 'ALL'],
                add: [
                  ...[
                    'SETUID',
                    'SETGID',
                    'CHOWN',
                    'DAC_OVERRIDE',
                    'FOWNER',
                    'FSETID',
                    'SETFCAP',
                    'SETPCAP',
                    'NET_BIND_SERVICE',
                    'SYS_CHROOT',
                  ],
                ],
              },
            },
          },
        ],
      },
    },
    isBaseline: true,
  },
  {
    file: 'openshift-build.yaml',
    profile: 'userns',
    left: ['user-ids spec.securityContext.fsGroup'],
    warns: [
      [
        'user-ids',
        /id 1001140000 is not among the pod's 65536 ids; use an id below 65536; the SCC pipelines-scc assigned it: choose an SCC/,
      ],
    ],
    silent: ['image-storage', 'selinux'],
  },
  {
    file: 'buildkit-daemonless.yaml',
    profile: 'userns',
    left: [],
    warns: [
      ['privileged', /takes away privileged/],
      ['rootful-engine', /starts buildctl-daemonless\.sh as root, which will not work under this profile; use rootless Docker/],
    ],
    repaired: { spec: { containers: [{ securityContext: { privileged: false, procMount: 'Unmasked' } }] } },
    isBaseline: true,
  },
  {
    file: 'kata-dind.yaml',
    profile: 'kata-guest',
    left: [],
    warns: [
      [
        'image-storage',
        /the volume at \/var\/lib\/docker reaches the guest by virtio-fs, which cannot hold an overlay.*mount an emptyDir of medium Memory/,
      ],
    ],
    silent: ['privileged', 'rootful-engine', 'runtime-class'],
    repaired: { spec: { containers: [{ name: 'desktop' }, { name: 'dind', securityContext: { privileged: true } }] } },
  },
  {
    file: 'jupyterhub-iptables.yaml',
    profile: 'userns-notebook',
    left: [],
    warns: [
      [
        'capabilities',
        /NET_ADMIN is added, and this init container will probably fail without it; .*exemption \(capabilities: \[NET_ADMIN\]\)\) \(container block-cloud-metadata\)/,
      ],
      ['privileged', /no grant in its place, because it ends before the workspace starts/],
    ],
    repaired: {
      spec: {
        initContainers: [{ securityContext: { privileged: false, capabilities: { add: [] } } }],
        containers: [{ securityContext: { allowPrivilegeEscalation: true, procMount: 'Unmasked' } }],
      },
    },
    isBaseline: true,
  },
  {
    file: 'mesh-and-gpu.yaml',
    profile: 'userns-gpu',
    left: ['extended-resources spec.containers[0].resources.limits["nvidia.com/mig-1g.5gb"]'],
    warns: [
      ['extended-resources', /nvidia\.com\/mig-1g\.5gb is a device of the node; .*list it in the devices of the profile/],
      ['capabilities', /NET_RAW is added, and this init container will probably fail without it/],
    ],
  },
  {
    file: 'fuse-device.yaml',
    profile: 'userns',
    left: ['extended-resources spec.containers[0].resources.limits["smarter-devices/fuse"]'],
    warns: [['extended-resources', /smarter-devices\/fuse .*devices of the profile/]],
  },
  {
    file: 'fuse-device.yaml',
    profile: 'userns-fuse',
    left: [],
    warns: [
      ['capabilities', /SYS_ADMIN is added; .*exemption \(capabilities: \[SYS_ADMIN\]\)/],
      ['apparmor', /Unconfined; .*exemption \(apparmor: \[Unconfined\]\)/],
    ],
    isBaseline: true,
  },
  {
    file: 'ping-without-capability.yaml',
    profile: 'userns-sudo',
    left: [],
    warns: [['sysctls', /group 2147483647 of ping_group_range is not among the pod's 65536 ids/]],
    repaired: {
      spec: {
        securityContext: {
          sysctls: [
            { name: 'net.ipv4.ping_group_range', value: '0 65535' },
            { name: 'net.ipv4.ip_unprivileged_port_start', value: '0' },
            { name: 'kernel.shm_rmid_forced', value: '1' },
          ],
        },
      },
    },
    isBaseline: true,
  },
  {
    file: 'defaults-written-out.yaml',
    profile: 'userns-sudo',
    left: [],
    warns: [['windows', /sets or grants .*windows/]],
    silent: ['extended-resources', 'host-ports', 'user-ids', 'selinux', 'node-selection', 'tolerations', 'proc-mount', 'mount-propagation'],
    isBaseline: true,
  },
  {
    file: 'vpn-sidecar.yaml',
    profile: 'userns',
    left: [],
    warns: [
      ['privileged', /privileged is true, and this init container will probably fail without it; .*\(container sysctler\)/],
      ['capabilities', /capability NET_ADMIN is added; .*exemption \(capabilities: \[NET_ADMIN\]\)\) \(container tailscale\)/],
    ],
    repaired: {
      spec: {
        initContainers: [{ securityContext: { privileged: false } }],
        containers: [granted('dev', { securityContext: { allowPrivilegeEscalation: true } }), granted('tailscale')],
      },
    },
    isBaseline: true,
  },
  {
    file: 'search-engine.yaml',
    profile: 'userns',
    left: ['sysctls spec.securityContext.sysctls[0]'],
    warns: [
      ['sysctls', /vm\.max_map_count belongs to the whole node, not to a pod; remove it, and ask the operator to set it on the nodes/],
      ['privileged', /this init container will probably fail without it/],
      ['capability-grant', /drops ALL capabilities, so it stays without sudo/],
    ],
  },
  {
    file: 'machine-in-pod.yaml',
    profile: 'userns',
    left: [
      'volume-types spec.volumes[0].hostPath',
      'volume-types spec.volumes[1].hostPath',
      'extended-resources spec.containers[0].resources.limits["devices.kubevirt.io/kvm"]',
    ],
    warns: [
      [
        'volume-types',
        /"tun" is the node's \/dev\/net\/tun; ask for the resource of a device plugin, .*devices of the profile.*hostPath:\/dev\/net\/tun/,
      ],
      ['extended-resources', /devices\.kubevirt\.io\/kvm .*devices of the profile/],
    ],
  },
  {
    file: 'gitlab-dind-host-paths.yaml',
    profile: 'sysbox-docker',
    left: ['volume-types spec.volumes[1].hostPath', 'volume-types spec.volumes[2].hostPath'],
    warns: [
      ['volume-types', /\/lib\/modules; remove it and its mounts: the pod loads no modules into the kernel of the node/],
      ['volume-types', /\/sys\/fs\/cgroup; remove it and its mounts: each container has a \/proc and a \/sys of its own/],
      ['runtime-annotations', /userns-mode .*remove it: the field hostUsers replaces it\)/],
    ],
    silent: ['rootful-engine', 'runtime-class'],
  },
  {
    file: 'docker-socket.yaml',
    profile: 'userns',
    left: ['volume-types spec.volumes[0].hostPath'],
    warns: [['volume-types', /docker\.sock; run an engine in the pod \(every caller of the node's engine is root on the node\), or ask/]],
  },
  {
    file: 'sidecars-as-root.yaml',
    profile: 'sysbox-docker',
    left: [],
    warns: [
      ['host-ports', /hostPort 2222 is a port of the node/],
      ['capability-grant', /drops ALL capabilities.*remove that line if this container is the workspace \(container ssh-server\)/],
    ],
    silent: ['rootful-engine', 'user-ids', 'capabilities'],
    repaired: {
      spec: {
        securityContext: { runAsNonRoot: true, runAsUser: 1000 },
        containers: [
          granted('ide', { securityContext: { allowPrivilegeEscalation: true } }),
          granted('dind', { securityContext: { privileged: false, runAsUser: 0, runAsNonRoot: false } }),
          granted('ssh-server', { ports: [{ containerPort: 22 }], env: [FALSE] }),
        ],
      },
    },
  },
  {
    file: 'sidecars-as-root.yaml',
    profile: 'userns',
    left: [],
    warns: [['rootful-engine', /starts dockerd as root, which will not work under this profile; .*\(container dind\)/]],
    isBaseline: true,
  },
  {
    file: 'buildkit-rootless.yaml',
    profile: 'userns',
    left: [],
    warns: [
      ['user-ids', /maps ids 100000 to 165535, which are not among the pod's 65536 ids, so it will not start; .*workspace image/],
      ['apparmor', /annotation sets AppArmor to unconfined/],
    ],
    silent: ['rootful-engine', 'proc-mount'],
    repaired: {
      spec: {
        hostUsers: false,
        containers: [
          {
            securityContext: {
              procMount: 'Unmasked',
              seccompProfile: { type: 'Localhost', localhostProfile: 'cloister/workspace.json' },
              runAsUser: 1000,
            },
          },
        ],
      },
    },
    isBaseline: true,
  },
  {
    file: 'agent-with-docker.yaml',
    profile: 'sysbox-docker',
    left: [],
    warns: [['privilege-escalation', /stays without sudo, builds and nested containers; .*\(container worker\)/]],
    silent: ['rootful-engine', 'service-account-token'],
    repaired: {
      spec: {
        containers: [
          granted('worker', { env: [{ name: 'DOCKER_HOST' }, FALSE], securityContext: { allowPrivilegeEscalation: false } }),
          granted('docker', { env: [TRUE], securityContext: { privileged: false, allowPrivilegeEscalation: true } }),
        ],
      },
    },
  },
  {
    file: 'agent-with-docker.yaml',
    profile: 'userns',
    left: [],
    warns: [['rootful-engine', /starts dockerd-entrypoint\.sh as root, .*use rootless Docker.*\(container docker\)/]],
    isBaseline: true,
  },
  {
    file: 'coder-sysbox.yaml',
    profile: 'sysbox-docker',
    left: [],
    warns: [['runtime-annotations', /remove it: the field hostUsers replaces it/]],
    silent: ['rootful-engine', 'runtime-class', 'user-ids'],
    repaired: { spec: { hostUsers: false, runtimeClassName: 'sysbox-runc', containers: [{ env: [TRUE] }] } },
  },
  {
    file: 'coder-sysbox.yaml',
    profile: 'userns',
    left: [],
    warns: [['rootful-engine', /starts dockerd as root, which will not work under this profile/]],
    isBaseline: true,
  },
  { file: 'wait-for-docker.yaml', profile: 'userns', left: [], warns: [], silent: ['rootful-engine'], isBaseline: true },
  {
    file: 'ray-worker.yaml',
    profile: 'userns-sudo',
    left: [],
    warns: [
      [
        'capabilities',
        /SYS_PTRACE is added; remove it, or ask .*exemption \(capabilities: \[SYS_PTRACE\]\)\) \(containers wait-gcs-ready, ray-worker\)/,
      ],
    ],
    silent: ['volume-types', 'image-storage'],
    isBaseline: true,
  },
  {
    file: 'injected-agent-socket.yaml',
    profile: 'userns',
    left: ['volume-types spec.volumes[0].hostPath', 'volume-types spec.volumes[1].csi'],
    warns: [
      ['volume-types', /\/var\/run\/datadog; use the network, or a csi volume of a driver that the operator lists in csiDrivers, or ask/],
      ['volume-types', /CSI driver k8s\.csi\.datadoghq\.com; .*list the driver in the csiDrivers/],
    ],
  },
  {
    file: 'gpu-runtime-class.yaml',
    profile: 'userns-gpu',
    left: ['extended-resources spec.containers[0].resources.limits["nvidia.com/gpu.shared"]'],
    warns: [
      ['extended-resources', /nvidia\.com\/gpu\.shared .*devices of the profile/],
      ['runtime-class', /"nvidia" does not belong to this profile .*runtimeClasses of the profile/],
    ],
    silent: ['tolerations', 'node-selection'],
  },
  {
    file: 'envbuilder-gpu.yaml',
    profile: 'userns-gpu',
    left: [],
    warns: [['privileged', /privileged is true\) \(container dev\)/]],
    silent: ['extended-resources', 'user-ids', 'rootful-engine'],
    repaired: { spec: { containers: [{ securityContext: { privileged: false, runAsUser: 0, procMount: 'Unmasked' } }] } },
    isBaseline: true,
  },
  {
    file: 'traffic-agent.yaml',
    profile: 'userns',
    left: [],
    warns: [
      ['capabilities', /NET_ADMIN is added, and this init container will probably fail without it.*\(container tel-agent-init\)/],
      ['seccomp', /the pod's seccompProfile is RuntimeDefault/],
    ],
    silent: ['user-ids'],
    isBaseline: true,
  },
  {
    file: 'browser-tests.yaml',
    profile: 'userns-sudo',
    left: ['volume-types spec.volumes[0].hostPath'],
    warns: [
      ['volume-types', /\/dev\/shm; use an emptyDir of medium Memory, or/],
      ['host-namespaces', /hostIPC is true; remove it; for shared memory, mount an emptyDir of medium Memory at \/dev\/shm/],
      ['seccomp', /Localhost playwright\.json; .*exemption \(seccomp: \[playwright\.json\]\)/],
    ],
  },
  {
    file: 'database-huge-pages.yaml',
    profile: 'userns-sudo',
    left: ['sysctls spec.securityContext.sysctls[0]', 'huge-pages spec.volumes[0].emptyDir.medium'],
    warns: [['sysctls', /kernel\.shmmax is not a safe one; remove it$/m]],
    silent: ['extended-resources', 'priority-class', 'volume-types'],
  },
  {
    file: 'podman-privileged.yaml',
    profile: 'userns',
    left: ['volume-types spec.volumes[1].hostPath'],
    warns: [['volume-types', /\/dev\/fuse; ask for the resource of a device plugin/]],
    silent: ['rootful-engine', 'user-ids'],
  },
  {
    file: 'cluster-in-pod.yaml',
    profile: 'userns',
    left: ['volume-types spec.volumes[2].hostPath', 'volume-types spec.volumes[3].hostPath'],
    warns: [
      ['volume-types', /\/lib\/modules; remove it and its mounts/],
      ['rootful-engine', /starts k3s as root, which will not work under this profile; use a profile of sysbox .*\(container server\)/],
      ['rootful-engine', /starts kubelet as root, .*\(container node\)/],
    ],
  },
  {
    file: 'cluster-in-pod.yaml',
    profile: 'sysbox-docker',
    left: ['volume-types spec.volumes[2].hostPath', 'volume-types spec.volumes[3].hostPath'],
    warns: [['volume-types', /\/lib\/modules; remove it and its mounts/]],
    silent: ['rootful-engine'],
  },
  {
    file: 'machine-launcher.yaml',
    profile: 'userns',
    left: [
      'block-devices spec.containers[0].volumeDevices[0]',
      ...['kvm', 'tun', 'vhost-net'].map(
        (device) => `extended-resources spec.containers[0].resources.limits["devices.kubevirt.io/${device}"]`,
      ),
    ],
    warns: [
      ['block-devices', /mount the claim as a file system/],
      ['capabilities', /SYS_NICE is added/],
    ],
    silent: ['grace-period', 'rootful-engine', 'unknown-fields'],
  },
  {
    file: 'devcontainer.yaml',
    profile: 'userns',
    left: ['volume-types spec.volumes[0].hostPath'],
    warns: [
      ['volume-types', /the node's \/data; use an emptyDir, a persistentVolumeClaim/],
      ['tolerations', /a toleration without a key tolerates every taint/],
    ],
    silent: ['pod-size', 'unknown-fields', 'rootful-engine'],
  },
  {
    file: 'agent-sandbox.yaml',
    profile: 'userns',
    left: [],
    warns: [['capabilities', /SYS_ADMIN is added; .*exemption \(capabilities: \[SYS_ADMIN\]\).*SYSLOG is added/]],
    silent: ['volume-types'],
    isBaseline: true,
  },
];

export const textOf = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');

export const podOf = (file: string): { readonly metadata: { readonly name: string }; readonly spec: object } => parse(textOf(file));
