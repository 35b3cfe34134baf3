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
      ['user-ids', /id 1001140000 is not among the pod's 65536 ids; use an id below 65536; the SCC pipelines-scc assigned it: choose one/],
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
        /the volume at \/var\/lib\/docker reaches the guest by virtio-fs, which holds no overlay.*mount an emptyDir of medium Memory/,
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
        /NET_ADMIN is added, without which this init container will probably fail; .*exemption \(capabilities: \[NET_ADMIN\]\)\) \(container block-cloud-metadata\)/,
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
      ['capabilities', /NET_RAW is added, without which this init container will probably fail/],
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
];

export const textOf = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');

export const podOf = (file: string): { readonly metadata: { readonly name: string }; readonly spec: object } => parse(textOf(file));
