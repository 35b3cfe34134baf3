/** Names that Kubernetes distributions and container runtimes give a meaning, where more than one file needs them. */

/**
 * The last two are RKE's.
 * Sources: https://kubernetes.io/docs/reference/labels-annotations-taints/, https://github.com/rancher/rke (services/workerplane.go)
 */
export const CONTROL_PLANE_LABELS: ReadonlySet<string> = new Set([
  'node-role.kubernetes.io/control-plane',
  'node-role.kubernetes.io/master',
  'node-role.kubernetes.io/controlplane',
  'node-role.kubernetes.io/etcd',
]);

/**
 * Annotations that container runtimes and their plugins execute, as root on the node: which hypervisor to run, which devices to add, which
 * hooks to call. The rule `runtime-annotations` removes them; the in-tree policy built from the same list keeps them from being added later.
 */
export const RUNTIME_ANNOTATIONS = {
  names: ['bundle', 'io.containers.trace-syscall'],
  prefixes: [
    'blockio.resources.',
    'container.seccomp.security.alpha.kubernetes.io/',
    'dev.gvisor.',
    'io.katacontainers.',
    'io.kubernetes.cri-o.',
    'io.kubernetes.cri.',
    'module.wasm.image/',
    'org.criu.',
    'org.systemd.property.',
    'rdt.resources.',
    'run.oci.',
    'seccomp-profile.kubernetes.cri-o.io',
    'seccomp.security.alpha.kubernetes.io/',
  ],
  /** The part before the slash is one of these, or below one. */
  domains: ['cdi.k8s.io', 'crio.io', 'noderesource.dev', 'nri.containerd.io', 'nri.io'],
} as const;
