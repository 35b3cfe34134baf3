import { printable } from '../core/printable.ts';
import type { Said } from './check.ts';
import type { EventFacts } from './facts.ts';

/** Why a pod does not start, as the message of an event shows it. */
export interface EventCause {
  readonly id: string;
  /** Events with another reason are not meant. */
  readonly reasons: readonly string[];
  /** Every one of them is in the message. */
  readonly patterns: readonly RegExp[];
  readonly meaning: string;
  readonly remedy: string;
  /** A public report of the message. */
  readonly source: string;
}

const SANDBOX = ['FailedCreatePodSandBox'];
const CONTAINER = ['Failed', 'FailedCreatePodSandBox'];
const NOOP = /failed to start noop process for unshare/;
const ISSUES = 'https://github.com/';

/** The first that matches counts: a narrower one is before a wider one. */
export const eventCauses: readonly EventCause[] = [
  {
    id: 'idmap-storage',
    reasons: SANDBOX,
    patterns: [/create mapped mount/, /invalid argument/],
    meaning: "the storage of the node's runtime cannot map user ids",
    remedy: 'put the storage of the runtime on a file system that can: ext4, xfs or btrfs',
    source: `${ISSUES}cri-o/cri-o/issues/6792`,
  },
  {
    id: 'idmap-volume',
    reasons: CONTAINER,
    patterns: [/MOUNT_ATTR_IDMAP|mount_setattr/, /invalid argument/i],
    meaning: 'the file system of a volume cannot map user ids; NFS cannot',
    remedy: 'use a volume of another file system, or a profile with a kernel of its own',
    source: `${ISSUES}opencontainers/runc/issues/3949`,
  },
  {
    id: 'old-kernel',
    reasons: CONTAINER,
    patterns: [/doesn't support idmap mounts on this host/, /slow_chown/],
    meaning: "the node's kernel cannot map the user ids of an image",
    remedy: 'update the kernel of the node to 6.3 or later',
    source: `${ISSUES}containerd/containerd/issues/9920`,
  },
  {
    id: 'no-user-namespaces',
    reasons: SANDBOX,
    patterns: [NOOP, /no space left on device/],
    meaning: 'the node allows no user namespaces',
    remedy: 'set the sysctl user.max_user_namespaces on the node to more than 0',
    source: `${ISSUES}bottlerocket-os/bottlerocket/issues/3328`,
  },
  {
    id: 'id-range-end',
    reasons: SANDBOX,
    patterns: [NOOP, /invalid argument/],
    meaning: 'the range of user ids of the node reaches the largest possible id',
    remedy: "make the range of the kubelet's user in /etc/subuid and /etc/subgid shorter",
    source: `${ISSUES}kubernetes/kubernetes/issues/139916`,
  },
  {
    id: 'id-range-full',
    reasons: SANDBOX,
    patterns: [/could not find an empty slot to allocate a user namespace/],
    meaning: 'the range of user ids of the node is used up',
    remedy: "make the range of the kubelet's user in /etc/subuid and /etc/subgid longer, or run fewer pods on the node",
    source: `${ISSUES}kubernetes/kubernetes/issues/132966`,
  },
  {
    id: 'image-ids',
    reasons: CONTAINER,
    patterns: [/container ID \d+ cannot be mapped to a host ID/],
    meaning: 'the image has files of user ids that the user namespace does not have',
    remedy: 'build the image with ids below 65536, or raise userNamespaces.idsPerPod of the kubelets',
    source: `${ISSUES}bottlerocket-os/bottlerocket/issues/4854`,
  },
  {
    id: 'unknown-handler',
    reasons: SANDBOX,
    patterns: [/no runtime for ".*" is configured|unknown handler|failed to find runtime handler|the handler ".*" is not known/],
    meaning: 'the node has no handler of the RuntimeClass',
    remedy: 'install the runtime on the node, or set scheduling.nodeSelector of the RuntimeClass, so that its pods go to other nodes',
    source: `${ISSUES}kata-containers/kata-containers/issues/10914`,
  },
  {
    id: 'runtime-without-userns',
    reasons: SANDBOX,
    patterns: [/runtime does not support user namespaces|RuntimeClass handler .* does not support user namespaces/],
    meaning: 'the runtime of the node has no user namespaces',
    remedy: 'give the node containerd 2.0 or later with runc 1.2 or later, or CRI-O 1.31 or later with crun',
    source: `${ISSUES}kubernetes/kubernetes/blob/master/pkg/kubelet/userns/userns_manager.go`,
  },
  {
    id: 'no-seccomp-profile',
    reasons: CONTAINER,
    patterns: [/cannot load seccomp profile/, /no such file/],
    meaning: 'the node does not have the seccomp profile',
    remedy: 'wait for the node-profile pod of the node, or install the profile with `cloister node-profile install`',
    source: `${ISSUES}rancher/rke2/issues/8312`,
  },
  {
    id: 'nested-node',
    reasons: CONTAINER,
    patterns: [/error mounting "proc"/],
    meaning: 'the node is a container itself, and does not let pods mount /proc',
    remedy: 'use nodes that are machines, or grant less than containers there',
    source: `${ISSUES}kubernetes-sigs/node-feature-discovery/issues/2397`,
  },
  {
    id: 'sysbox-mapping',
    reasons: SANDBOX,
    patterns: [/reading ID mappings from "\/proc\/0\/uid_map"/],
    meaning: "Sysbox gets the annotation of CRI-O on a node with containerd, where it needs the pod's user namespace",
    remedy: 'remove `identity: crio-annotation` from the profile',
    source: `${ISSUES}nestybox/sysbox/issues/1019`,
  },
  {
    id: 'sysbox-sysfs',
    reasons: CONTAINER,
    patterns: [/mounting "sysfs"/, /operation not permitted/],
    meaning: 'the Sysbox pod has no user namespace, or the node has containerd 2.0.0 to 2.0.4',
    remedy: 'update containerd to 2.0.5 or later, and set hostUsers: false',
    source: `${ISSUES}nestybox/sysbox/issues/958`,
  },
  {
    id: 'no-kvm',
    reasons: SANDBOX,
    patterns: [/failed to add any hypervisor device/],
    meaning: 'the node has no /dev/kvm, so it can run no virtual machines',
    remedy: 'use machines with hardware virtualisation, or with nested virtualisation switched on',
    source: `${ISSUES}kata-containers/kata-containers/blob/main/docs/Developer-Guide.md`,
  },
  {
    id: 'critical-quota',
    reasons: ['FailedCreate'],
    patterns: [/insufficient quota to match these scopes/],
    meaning: 'the namespace has no quota for pods of a system priority class',
    remedy: 'remove priorityClassName, or create a ResourceQuota with the scope PriorityClass',
    source: `${ISSUES}kubernetes/kubernetes/issues/76308`,
  },
  {
    id: 'pod-security',
    reasons: ['FailedCreate'],
    patterns: [/violates PodSecurity/],
    meaning: 'the Pod Security level of the namespace refuses what the profile grants',
    remedy: 'see which level the grant needs on the page of the profile, and label the namespace with it',
    source: `${ISSUES}eclipse-che/che/issues/22807`,
  },
];

/** @returns the cause that the event shows; undefined: none that is known */
export function causeOf({ reason, message }: Pick<EventFacts, 'reason' | 'message'>): EventCause | undefined {
  return eventCauses.find(({ reasons, patterns }) => reasons.includes(reason) && patterns.every((pattern) => pattern.test(message)));
}

/**
 * The newest event with a known cause, or else the newest one with its own message, cut and made printable: a message is data of the node.
 * @param events newest first
 * @returns undefined: there is no event
 */
export function explainEvents(events: readonly EventFacts[] | undefined): Said | undefined {
  const [newest] = events ?? [];
  if (newest === undefined) return undefined;
  for (const event of events ?? []) {
    const cause = causeOf(event);
    if (cause !== undefined) return { message: cause.meaning, remedy: cause.remedy };
  }
  return {
    message: `event ${printable(newest.reason, 64)}: ${printable(newest.message)}`,
    remedy: 'read the events of the pod with `kubectl describe pod`',
  };
}
