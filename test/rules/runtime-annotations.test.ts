import { runtimeAnnotations } from '../../src/core/rules/runtime-annotations.ts';
import { type Failing, type Sketch, testRule } from '../support/test-rule.ts';

const noted = (...keys: string[]): Sketch => ({ metadata: { annotations: Object.fromEntries(keys.map((key) => [key, 'x'])) } });
const path = (key: string): string =>
  /^[A-Za-z_][\w-]*$/.test(key) ? `metadata.annotations.${key}` : `metadata.annotations[${JSON.stringify(key)}]`;

const ORDERS = [
  'io.kubernetes.cri-o.userns-mode',
  'io.kubernetes.cri-o.Devices',
  'io.kubernetes.cri-o.seccompNotifierAction',
  'userns-mode.crio.io',
  'devices.crio.io/main',
  'cpu-quota.crio.io',
  'irq-load-balancing.crio.io',
  'seccomp-profile.kubernetes.cri-o.io',
  'seccomp-profile.kubernetes.cri-o.io/main',
  'io.kubernetes.cri.rdt-class',
  'io.kubernetes.cri.untrusted-workload',
  'rdt.resources.beta.kubernetes.io/pod',
  'blockio.resources.beta.kubernetes.io/pod',
  'io.katacontainers.config.hypervisor.path',
  'io.katacontainers.config.hypervisor.kernel_params',
  'io.katacontainers.config.runtime.disable_new_netns',
  'io.katacontainers.config.agent.kernel_modules',
  'io.katacontainers.pkg.oci.bundle_path',
  'cdi.k8s.io/gpu',
  'devices.nri.io/container.main',
  'mounts.nri.io',
  'ulimits.nri.containerd.io/container.main',
  'run.oci.hooks.stderr',
  'run.oci.keep_original_groups',
  'org.systemd.property.DeviceAllow',
  'org.criu.config',
  'module.wasm.image/variant',
  'bundle',
  'dev.gvisor.spec.mount.data.type',
  'dev.gvisor.flag.debug-log',
  'io.containers.trace-syscall',
  'seccomp.security.alpha.kubernetes.io/pod',
  'container.seccomp.security.alpha.kubernetes.io/main',
  // No key of a stored pod, but a review may hold it.
  'a\nb.crio.io',
];

testRule(runtimeAnnotations, {
  passes: {
    none: {},
    null: { metadata: { annotations: null } },
    'those of the network, which are not judged': noted('k8s.v1.cni.cncf.io/networks', 'v1.multus-cni.io/default-network'),
    'the choice of OpenShift': noted('openshift.io/scc'),
    'what other webhooks, tools and people write': noted(
      'sidecar.istio.io/inject',
      'kubectl.kubernetes.io/default-container',
      'cloister.dev/profile-applied',
      'prometheus.io/scrape',
      'checksum/config',
    ),
    'domains that only end alike': noted('henri.io/owner', 'macrio.io/build', 'my-noderesource.dev/x'),
    'names that only begin alike': noted('bundle-id', 'bundle/x', 'io.kubernetes.crisis', 'run.ocinema/x'),
    'an exempt one': { exempt: { 'runtime-annotations': ['cpu-quota.crio.io'] }, pod: noted('cpu-quota.crio.io') },
    "the wall's own": {
      profile: 'sysbox',
      options: { identity: 'crio-annotation' },
      pod: noted('io.kubernetes.cri-o.userns-mode'),
    },
    'an old one on a pod that is updated': { old: noted('run.oci.hooks'), pod: noted('run.oci.hooks', 'note') },
  },
  fails: {
    ...Object.fromEntries(
      ORDERS.map((key): [string, Failing] => [
        `${key} goes, its neighbour stays`,
        { pod: noted(key, 'note'), finds: [path(key)], fixed: noted('note') },
      ]),
    ),
    'one that is added later, which cannot be repaired': {
      old: noted('note'),
      pod: noted('note', 'devices.nri.io/pod'),
      finds: [path('devices.nri.io/pod')],
      fixed: 'nothing',
    },
    'one beside an exempt one': {
      exempt: { 'runtime-annotations': ['cpu-quota.crio.io'] },
      pod: noted('cpu-quota.crio.io', 'devices.crio.io'),
      finds: [path('devices.crio.io')],
      fixed: noted('cpu-quota.crio.io'),
    },
    'orders to the kernel of a guest, whatever an operator exempts': {
      profile: 'kata-qemu',
      exempt: { 'runtime-annotations': ['io.katacontainers.config.hypervisor.kernel_params'] },
      pod: noted('io.katacontainers.config.hypervisor.kernel_params'),
      finds: [path('io.katacontainers.config.hypervisor.kernel_params')],
      fixed: noted(),
    },
    "the wall's own, where hostUsers is the wall": {
      profile: 'sysbox',
      pod: noted('io.kubernetes.cri-o.userns-mode'),
      finds: [path('io.kubernetes.cri-o.userns-mode')],
      fixed: noted(),
    },
    "the wall's own by its newer name": {
      profile: 'sysbox',
      options: { identity: 'crio-annotation' },
      pod: noted('userns-mode.crio.io'),
      finds: [path('userns-mode.crio.io')],
      fixed: noted(),
    },
  },
});
