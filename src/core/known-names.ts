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
 * Taints of the nodes that run the cluster's own components, beside the control plane's. Each is a `key` or a `key=value`, as kubectl prints it.
 * Sources, in the order of the list: AKS, EKS Auto Mode, K3s and RKE2 (https://learn.microsoft.com/azure/aks/use-system-pools,
 * https://docs.aws.amazon.com/eks/latest/userguide/critical-workload.html, https://docs.k3s.io/installation/configuration), GKE
 * (https://cloud.google.com/kubernetes-engine/docs/how-to/isolate-workloads-dedicated-nodes), OpenShift's hosted control planes (the next two:
 * https://pkg.go.dev/github.com/openshift/hypershift/pkg/scheduler), AKS egress gateways (https://github.com/Azure/kube-egress-gateway),
 * OpenShift Data Foundation, OpenShift (https://docs.openshift.com, "Creating infrastructure machine sets").
 */
export const SYSTEM_TAINTS = [
  'CriticalAddonsOnly',
  'components.gke.io/gke-managed-components',
  'hypershift.openshift.io/control-plane',
  'hypershift.openshift.io/request-serving-component',
  'kubeegressgateway.azure.com/mode',
  'node.ocs.openshift.io/storage',
  'node-role.kubernetes.io/infra',
] as const;

/** Labels of the same nodes, from the same sources. */
export const SYSTEM_NODE_LABELS = [
  'cluster.ocs.openshift.io/openshift-storage',
  'components.gke.io/gke-managed-components',
  'hypershift.openshift.io/control-plane',
  'hypershift.openshift.io/request-serving-component',
  'karpenter.sh/nodepool=system',
  'kubeegressgateway.azure.com/mode',
  'kubernetes.azure.com/mode=gateway',
  'kubernetes.azure.com/mode=system',
  'node-role.kubernetes.io/infra',
] as const;

/** The field and the labels whose value names one node: Kubernetes' own, eksctl's, and that of old versions of K3s. */
export const NODE_IDENTITIES: ReadonlySet<string> = new Set([
  'metadata.name',
  'kubernetes.io/hostname',
  'alpha.eksctl.io/instance-id',
  'k3s.io/hostname',
]);

/**
 * CSI drivers whose inline volumes bring only secrets or identities, from a place that the operator configured.
 * Sources: https://secrets-store-csi-driver.sigs.k8s.io, https://cert-manager.io/docs/usage/csi-driver/,
 * https://cert-manager.io/docs/usage/csi-driver-spiffe/, https://github.com/spiffe/spiffe-csi
 */
export const SECRET_CSI_DRIVERS = [
  'csi.cert-manager.io',
  'csi.spiffe.io',
  'secrets-store.csi.k8s.io',
  'spiffe.csi.cert-manager.io',
] as const;

/** Keys of annotations: whole names, beginnings, and domains. The part of a key before its slash is a domain, or below one. */
export interface AnnotationKeys {
  readonly names: readonly string[];
  readonly prefixes: readonly string[];
  readonly domains: readonly string[];
}

/**
 * Annotations that container runtimes and their plugins execute, as root on the node: which hypervisor to run, which devices to add, which
 * hooks to call, which networks to attach, which address to take. The rule `runtime-annotations` removes them; the in-tree policy built from
 * the same list keeps them from being added later.
 */
export const RUNTIME_ANNOTATIONS: AnnotationKeys = {
  names: [
    'bundle',
    'io.containers.trace-syscall',
    'k8s.v1.cni.cncf.io/networks',
    'networking.gke.io/default-interface',
    'networking.gke.io/interfaces',
    'networking.gke.io/pod-ips',
    'v1.multus-cni.io/default-network',
    'vpc.amazonaws.com/pod-eni',
    'vpc.amazonaws.com/pod-ips',
  ],
  prefixes: [
    'blockio.resources.',
    'com.github.containers.virtcontainers.',
    'container.seccomp.security.alpha.kubernetes.io/',
    'dev.gvisor.',
    'io.katacontainers.',
    'io.kubernetes.cri-o.',
    'io.kubernetes.cri.',
    'krun.',
    'module.wasm.image/',
    'org.criu.',
    'org.systemd.property.',
    'rdt.resources.',
    'run.oci.',
    'seccomp-profile.kubernetes.cri-o.io',
    'seccomp.security.alpha.kubernetes.io/',
  ],
  domains: [
    'cdi.k8s.io',
    'cni.cilium.io',
    'cni.projectcalico.org',
    'cri-resource-manager.intel.com',
    'crio.io',
    'ipam.antrea.io',
    'ipam.cilium.io',
    'ipam.spidernet.io',
    'k8s.ovn.org',
    'noderesource.dev',
    'nri.containerd.io',
    'nri.io',
    'ovn.kubernetes.io',
    'resources.workload.openshift.io',
    'target.workload.openshift.io',
  ],
};

/**
 * Runtime annotations that a network plugin itself adds while the pod starts: the addresses and ports that it assigned. Adding them later is
 * allowed, because a pod would otherwise get no network.
 * Sources: Calico (libcalico-go/lib/backend/k8s/conversion/constants.go), OVN-Kubernetes (go-controller/pkg/util), Kube-OVN (pkg/util/const.go),
 * the VPC CNI plugin of AWS, GKE.
 */
export const NETWORK_STATUS_ANNOTATIONS: AnnotationKeys = {
  names: [
    'cni.projectcalico.org/containerID',
    'cni.projectcalico.org/podIP',
    'cni.projectcalico.org/podIPs',
    'k8s.ovn.org/dpu.connection-details',
    'k8s.ovn.org/dpu.connection-status',
    'k8s.ovn.org/pod-networks',
    'networking.gke.io/pod-ips',
    'vpc.amazonaws.com/pod-eni',
    'vpc.amazonaws.com/pod-ips',
  ],
  prefixes: [],
  domains: ['ovn.kubernetes.io'],
};

/**
 * Storage whose file system the kernel cannot mount with mapped ids, so that no pod with a user namespace starts with it: NFS, SMB, and what serves
 * them. A name is a kind of volume, a CSI driver or a provisioner.
 * Sources: runc#3949, crun#1382, nebius/soperator#1510
 */
export const UNMAPPABLE_STORAGE =
  /(?:^|[./-])(?:nfs|smb)(?:$|[./-])|^(?:azureFile|kubernetes\.io\/azure-file|file\.csi\.azure\.com|efs\.csi\.aws\.com|filestore\.csi\.storage\.gke\.io)$/;
