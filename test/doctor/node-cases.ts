import type { Context } from '../../src/doctor/check.ts';
import type { FactValues } from '../../src/doctor/facts.ts';
import type { ClassFacts, EventFacts, NodeFacts } from '../../src/live/facts.ts';
import {
  binding,
  contextWith,
  daysFromNow,
  failing,
  governedPod,
  HEALTHY,
  installerPod,
  NOW,
  namespace,
  role,
} from '../support/doctor-facts.ts';
import { nodeWith } from '../support/live-facts.ts';
import type { Case } from './cases.ts';

/** Of the checks of nodes, RuntimeClasses and the workspaces on them. */

const of = (backend: string, options = ''): Context => contextWith(`profiles: {${backend}: {${options}}}`);
const kata = of('kata-qemu');
const sysbox = of('sysbox');
const gvisor = of('gvisor');
const sudo = of('userns');

const ok = (context: Context): Case => ({ title: 'a healthy cluster', context, answers: [['ok', /./]] });
const userns: Case = { title: 'a healthy cluster', answers: [['ok', /./]] };
const leftOut = (title: string, context: Context, facts: Partial<FactValues> = {}): Case => ({ title, context, facts, answers: [] });

/** Two nodes, and the first is different. */
const oneOfTwo = (more: Partial<NodeFacts>): Partial<FactValues> => ({ nodes: [nodeWith(more), nodeWith({ name: 'worker-2' })] });
const both = (more: Partial<NodeFacts>): Partial<FactValues> => ({ nodes: [nodeWith(more), nodeWith({ name: 'worker-2', ...more })] });
const classes = (name: string, more: Partial<ClassFacts>): Partial<FactValues> => ({
  classes: HEALTHY.classes.map((each) => (each.name === name ? { ...each, ...more } : each)),
});
const without = (name: string): Partial<FactValues> => ({ classes: HEALTHY.classes.filter((each) => each.name !== name) });
const handlers = (userNamespaces: boolean | undefined, ...names: readonly string[]) =>
  new Map(['', ...names].map((name) => [name, userNamespaces] as const));
const RUNNING = { governedPods: [governedPod({ node: 'worker-1' })] };
const noCandidates: Case = { title: 'no node for the profile', facts: both({ isSchedulable: false }), answers: [] };
const enforced = (profile: string, more: Parameters<typeof namespace>[2] = {}): Partial<FactValues> => ({
  namespaces: [namespace('team-a', profile, more)],
});
const event = (more: Partial<EventFacts>): EventFacts => ({
  namespace: 'team-a',
  kind: 'ReplicaSet',
  object: 'web',
  uid: 'r1',
  reason: 'FailedCreate',
  message: 'pods "a" is forbidden: violates PodSecurity "restricted:latest"',
  time: NOW,
  ...more,
});
const IMAGE_IDS = ['Failed', 'container ID 70000 cannot be mapped to a host ID'] as const;
const NO_KVM = ['FailedCreatePodSandBox', 'failed to add any hypervisor device'] as const;
const NO_PROFILE = ['Failed', 'cannot load seccomp profile "/x/cloister/workspace.json": no such file or directory'] as const;
const KATA_POD = { walls: ['kata-qemu'], applied: { profile: 'kata-qemu', grant: 'sudo' } } as const;

export const nodeCases: Readonly<Record<string, readonly Case[]>> = {
  'claim-shared': [
    userns,
    {
      title: 'a claim that a pod without a wall may write to',
      facts: {
        governedPods: [governedPod({ claims: ['home'] }), governedPod({ name: 'old', uid: 'x', claims: ['home'], walls: [] })],
      },
      answers: [['warning', /1 \(team-a\/home with pod old\); files cross the wall/]],
    },
    {
      title: 'a neighbour of a pod that opted in',
      facts: {
        governedPods: [governedPod({ namespace: 'lab', claims: ['data'], labels: { 'cloister.dev/profile': 'userns' } })],
        neighbours: [{ namespace: 'lab', name: 'db', claims: ['data'], walls: [] }],
        namespaces: [namespace('lab')],
      },
      answers: [['warning', /lab\/data with pod db/]],
    },
    {
      title: 'a claim that two workspaces share',
      facts: { governedPods: [governedPod({ claims: ['home'] }), governedPod({ name: 'workspace-2', uid: 'x', claims: ['home'] })] },
      answers: [['ok', /./]],
    },
    {
      title: 'a claim of the same name in another namespace',
      facts: {
        governedPods: [governedPod({ claims: ['home'] })],
        neighbours: [{ namespace: 'lab', name: 'db', claims: ['home'], walls: [] }],
      },
      answers: [['ok', /./]],
    },
    {
      title: 'a claim that the workspace only reads',
      facts: {
        governedPods: [governedPod({ readOnlyClaims: ['home'] }), governedPod({ name: 'old', uid: 'x', claims: ['home'], walls: [] })],
      },
      answers: [['ok', /./]],
    },
  ],
  'image-ids': [
    userns,
    leftOut('Kata', kata),
    {
      title: 'an image with large ids',
      facts: failing(...IMAGE_IDS),
      answers: [['error', /files of ids that their user namespace does not have: 1 \(team-a\/workspace-1\)/]],
    },
    { title: 'the event of a pod that runs now', facts: { ...failing(...IMAGE_IDS), ...RUNNING }, answers: [['ok', /./]] },
    {
      title: 'the event of another pod of the name',
      facts: { ...failing(...IMAGE_IDS, { uid: 'new' }), events: failing(...IMAGE_IDS, { uid: 'old' }).events },
      answers: [['ok', /./]],
    },
    { title: 'another event', facts: failing('Failed', 'error mounting "proc"'), answers: [['ok', /./]] },
  ],
  'init-netadmin': [
    userns,
    {
      title: 'an init container without the capability',
      facts: { governedPods: [governedPod({ powerlessInits: ['block-cloud-metadata'] })] },
      answers: [['warning', /block-cloud-metadata in team-a sets up a firewall, and has no NET_ADMIN: it fails in workspace-1/]],
    },
    {
      title: 'a pod that Cloister has not seen',
      facts: { governedPods: [governedPod({ powerlessInits: ['istio-init'], applied: undefined })] },
      answers: [['ok', /./]],
    },
  ],
  events: [
    userns,
    {
      title: 'a pod that does not start',
      facts: failing('Failed', 'error mounting "proc" to rootfs at "/proc": operation not permitted'),
      answers: [['error', /^the node is a container itself, and does not let pods mount \/proc: 1 \(team-a\/workspace-1\)$/]],
    },
    {
      title: 'a pod that is not ready',
      facts: {
        ...failing('Failed', 'error mounting "proc"'),
        governedPods: [governedPod({ unreadySince: daysFromNow(-0.1) })],
      },
      answers: [['error', /the node is a container itself/]],
    },
    {
      title: 'a workload that cannot create its pods',
      facts: { events: [event({})] },
      answers: [['error', /refuses what the profile grants: 1 \(ReplicaSet team-a\/web\)/]],
    },
    { title: 'an old event of a workload', facts: { events: [event({ time: daysFromNow(-1) })] }, answers: [['ok', /./]] },
    { title: 'an event of a workload without a time', facts: { events: [event({ time: undefined })] }, answers: [['ok', /./]] },
    { title: 'a cause that image-ids reports', facts: failing(...IMAGE_IDS), answers: [['ok', /./]] },
    { title: 'a cause that seccomp-profile reports', facts: failing(...NO_PROFILE), answers: [['ok', /./]] },
    {
      title: 'a missing seccomp profile under another grant',
      facts: failing(...NO_PROFILE),
      context: sudo,
      answers: [['error', /the node does not have the seccomp profile/]],
    },
  ],
  'dra-claims': [
    userns,
    {
      title: 'a device that the profile does not list',
      facts: oneOfTwo({ devices: ['nvidia.com/gpu'] }),
      answers: [['info', /does not list, .*: nvidia\.com\/gpu$/]],
    },
    {
      title: 'a device that the profile lists',
      facts: oneOfTwo({ devices: ['nvidia.com/gpu'] }),
      context: of('userns', 'devices: [nvidia.com/gpu]'),
      answers: [['ok', /./]],
    },
    {
      title: 'a claim for a device',
      facts: { deviceClaims: [{ kind: 'ResourceClaimTemplate', namespace: 'team-a', name: 'gpu' }] },
      answers: [['info', /pods that name one are refused: team-a\/gpu/]],
    },
    {
      title: 'a claim in another namespace',
      facts: { deviceClaims: [{ kind: 'ResourceClaim', namespace: 'team-b', name: 'gpu' }] },
      answers: [['ok', /./]],
    },
    {
      title: 'a claim that is exempt',
      facts: { deviceClaims: [{ kind: 'ResourceClaim', namespace: 'team-a', name: 'gpu' }] },
      context: contextWith(`profiles: {userns: {}}
exemptions: [{reason: gpu, expires: 2031-01-01, namespaces: [team-*], serviceAccounts: ['*'], allow: {resource-claims: [gpu]}}]`),
      answers: [['ok', /./]],
    },
  ],
  'no-candidate': [
    userns,
    { title: 'no nodes', facts: { nodes: [] }, answers: [['error', /land on no node: the cluster has no nodes/]] },
    {
      title: 'nodes for others',
      facts: {
        nodes: [
          nodeWith({ isSchedulable: false }),
          nodeWith({ name: 'gpu', taints: [{ key: 'gpu', value: '', effect: 'NoSchedule' }] }),
          nodeWith({ name: 'win', os: 'windows' }),
        ],
      },
      answers: [['error', /worker-1 is cordoned; gpu has the taint gpu; win runs Windows/]],
    },
    {
      title: 'a taint that the class tolerates',
      facts: {
        ...both({ taints: [{ key: 'kata', value: '', effect: 'NoSchedule' }] }),
        ...classes('kata-qemu', { tolerations: [{ key: 'kata', operator: 'Exists' }] }),
      },
      context: kata,
      answers: [['ok', /./]],
    },
    {
      title: 'a taint of a node that is not ready',
      facts: both({ taints: [{ key: 'node.kubernetes.io/not-ready', value: '', effect: 'NoSchedule' }] }),
      answers: [['ok', /./]],
    },
    {
      title: 'a node selector of the namespace that matches no node',
      facts: enforced('userns', { annotations: { 'openshift.io/node-selector': 'pool=ws, zone=a' } }),
      answers: [['error', /no node in team-a: its node selector is pool=ws,zone=a/]],
    },
    {
      title: 'a node selector of the namespace that matches a node',
      facts: {
        ...enforced('userns', { annotations: { 'scheduler.alpha.kubernetes.io/node-selector': 'pool=ws' } }),
        ...oneOfTwo({ labels: { pool: 'ws' } }),
      },
      answers: [['ok', /./]],
    },
    leftOut('a missing class', kata, without('kata-qemu')),
    leftOut('a class whose selector matches no node', kata, classes('kata-qemu', { nodeSelector: { kata: 'yes' } })),
  ],
  'runtime-handler': [
    ok(kata),
    leftOut('userns without a class', sudo),
    noCandidates,
    {
      title: 'a node without the handler',
      facts: oneOfTwo({ handlers: handlers(true, 'runc') }),
      context: kata,
      answers: [
        ['error', /^1 of 2 nodes that pods of RuntimeClass kata-qemu can land on do not have handler "kata-qemu", .* \(worker-1\)$/],
      ],
    },
    {
      title: 'a node without the handler that the class keeps its pods from',
      facts: oneOfTwo({ handlers: handlers(true), labels: {} }),
      context: kata,
      answers: [['ok', /./]],
    },
    leftOut('nodes that list no handlers', kata, both({ handlers: new Map() })),
    {
      title: 'a further class',
      facts: both({ handlers: handlers(true, 'kata-qemu') }),
      context: of('kata-qemu', 'runtimeClasses: [kata-clh]'),
      answers: [['error', /2 of 2 nodes that pods of RuntimeClass kata-clh/]],
    },
  ],
  'handlers-unknown': [
    ok(kata),
    leftOut('userns without a class', sudo),
    {
      title: 'a node that lists no handlers',
      facts: oneOfTwo({ handlers: new Map() }),
      context: kata,
      answers: [['unknown', /1 of 2 nodes do not list .*"kata-qemu".* \(worker-1\)/]],
    },
  ],
  'userns-feature': [
    userns,
    leftOut('Kata', kata),
    noCandidates,
    {
      title: 'a node without user namespaces',
      facts: oneOfTwo({ handlers: handlers(false) }),
      answers: [['error', /1 of 2 nodes report that their runtime has no user namespaces.* \(worker-1\)/]],
    },
    {
      title: 'a handler without user namespaces',
      facts: both({ handlers: new Map([...handlers(true), ['sysbox-runc', false]]) }),
      context: sysbox,
      answers: [['error', /2 of 2 nodes/]],
    },
    leftOut('nodes that do not say', sudo, both({ handlers: handlers(undefined) })),
  ],
  'userns-unknown': [
    userns,
    leftOut('Kata', kata),
    {
      title: 'a node that does not say',
      facts: oneOfTwo({ handlers: handlers(undefined) }),
      answers: [['unknown', /1 of 2 nodes do not say .* \(worker-1\)/]],
    },
    {
      title: 'an old kubelet that lists no handlers',
      facts: oneOfTwo({ handlers: new Map(), kubelet: 'v1.32.9-eks-1234567' }),
      answers: [['warning', /may start a pod without one \(worker-1\)/]],
    },
    leftOut('a missing handler, which runtime-handler reports', sysbox, both({ handlers: handlers(true) })),
  ],
  'kernel-userns': [
    userns,
    leftOut('Kata', kata),
    leftOut('Sysbox', sysbox),
    {
      title: 'Linux 5.15 where the runtime does not say',
      facts: oneOfTwo({ kernel: '5.15.0-1075-azure', handlers: handlers(undefined) }),
      answers: [['error', /before 5\.19, .* \(worker-1\)/]],
    },
    {
      title: 'Linux 6.1, although the runtime says that it can',
      facts: oneOfTwo({ kernel: '6.1.29-47.49.amzn2023.x86_64' }),
      answers: [['warning', /before 6\.3, .* service account token do not start \(worker-1\)/]],
    },
    { title: 'Linux 5.14 of Red Hat with the feature', facts: both({ kernel: '5.14.0-687.39.1.el9_8.x86_64' }), answers: [['ok', /./]] },
    {
      title: 'Linux 5.14 of Red Hat without it',
      facts: both({ kernel: '5.14.0-687.39.1.el9_8.x86_64', handlers: handlers(undefined) }),
      answers: [['error', /2 of 2 nodes/]],
    },
    { title: 'no kernel', facts: oneOfTwo({ kernel: undefined }), answers: [['unknown', /cannot be read \(worker-1\)/]] },
  ],
  'kernel-sysbox': [
    ok(sysbox),
    leftOut('userns', sudo),
    { title: 'Linux 5.4', facts: oneOfTwo({ kernel: '5.4.0-1067-azure' }), context: sysbox, answers: [['error', /before 5\.12/]] },
    { title: 'Linux 5.15', facts: oneOfTwo({ kernel: '5.15.122' }), context: sysbox, answers: [['warning', /before 5\.19/]] },
    { title: 'an unknown kernel', facts: oneOfTwo({ kernel: 'linux' }), context: sysbox, answers: [['unknown', /cannot be read/]] },
  ],
  'runtime-version': [
    userns,
    leftOut('Kata', kata),
    ...['containerd://1.7.20-k3s1', 'cri-o://1.24.6', 'docker://20.10.9'].map(
      (runtime): Case => ({
        title: `${runtime} that does not say`,
        facts: oneOfTwo({ runtime, handlers: handlers(undefined) }),
        answers: [['error', /1 of 2 nodes have a runtime without user namespaces.* \(worker-1\)/]],
      }),
    ),
    { title: 'an old runtime that says that it can', facts: oneOfTwo({ runtime: 'containerd://1.7.30' }), answers: [['ok', /./]] },
    { title: 'CRI-O', facts: both({ runtime: 'cri-o://1.33.4', handlers: handlers(undefined) }), answers: [['ok', /./]] },
    {
      title: 'a runtime that is not known',
      facts: oneOfTwo({ runtime: 'frakti://2.0', handlers: handlers(undefined) }),
      answers: [['unknown', /name or version is not known \(worker-1\)/]],
    },
    {
      title: 'containerd 2.0.4 with Sysbox',
      facts: oneOfTwo({ runtime: 'containerd://2.0.4' }),
      context: sysbox,
      answers: [['warning', /mounts of sysfs fail/]],
    },
    { title: 'containerd 2.0.4 with userns', facts: oneOfTwo({ runtime: 'containerd://2.0.4' }), answers: [['ok', /./]] },
    { title: 'containerd 2.0.5 with Sysbox', facts: both({ runtime: 'containerd://2.0.5' }), context: sysbox, answers: [['ok', /./]] },
  ],
  'kubelet-userns': [
    userns,
    leftOut('Kata', kata),
    leftOut('Sysbox with the annotation of CRI-O', of('sysbox', 'identity: crio-annotation')),
    { title: 'a kubelet 1.29', facts: oneOfTwo({ kubelet: 'v1.29.14' }), answers: [['error', /ignores hostUsers.* \(worker-1\)/]] },
    { title: 'a kubelet 1.32', facts: oneOfTwo({ kubelet: 'v1.32.4-gke.100' }), answers: [['warning', /off by default \(worker-1\)/]] },
    { title: 'an unknown kubelet', facts: oneOfTwo({ kubelet: undefined }), answers: [['unknown', /cannot be read \(worker-1\)/]] },
  ],
  'os-bottlerocket': [
    userns,
    leftOut('Kata', kata),
    noCandidates,
    ...['Bottlerocket OS 1.15.0 (vmware-k8s-1.24)', 'Bottlerocket (EKS Auto) 2025.3.14 (aws-k8s-1.32-standard)', 'Talos (v1.11.2)'].map(
      (osImage): Case => ({
        title: osImage,
        facts: { ...oneOfTwo({ osImage }), governedPods: [] },
        answers: [['warning', /1 of 2 nodes run Bottlerocket or Talos.* \(worker-1\)/]],
      }),
    ),
    {
      title: 'Talos with gVisor',
      facts: oneOfTwo({ osImage: 'Talos (v1.11.2)' }),
      context: gvisor,
      answers: [['warning', /no space left/]],
    },
    {
      title: 'Talos, on which a pod of the profile runs',
      facts: { ...oneOfTwo({ osImage: 'Talos (v1.11.2)' }), ...RUNNING },
      answers: [['ok', /./]],
    },
    {
      title: 'Talos, on which a pod without the wall runs',
      facts: { ...oneOfTwo({ osImage: 'Talos (v1.11.2)' }), governedPods: [governedPod({ walls: [] })] },
      answers: [['warning', /Talos/]],
    },
  ],
  'os-container': [
    userns,
    leftOut('Kata', kata),
    ...(
      [
        ['kind', { providerId: 'kind://docker/kind/kind-worker' }],
        ['k3d', { name: 'k3d-lab-server-0' }],
        ['k3s in Docker', { osImage: 'K3s v1.27.10-rc2+k3s1' }],
        ['OrbStack', { kernel: '6.12.15-orbstack-00304-gd0ddcf70447d' }],
        ['Docker Desktop', { osImage: 'Docker Desktop', kernel: '6.12.5-linuxkit' }],
      ] as const
    ).map(
      ([title, node]): Case => ({
        title,
        facts: { ...oneOfTwo(node), governedPods: [] },
        answers: [['warning', /1 of 2 nodes are containers/]],
      }),
    ),
    {
      title: 'kind, on which a pod of the profile runs',
      facts: { ...oneOfTwo({ providerId: 'kind://docker/kind/kind-worker' }), ...RUNNING },
      answers: [['ok', /./]],
    },
  ],
  'virtual-nodes': [
    userns,
    ...(
      [
        ['a label of virtual-kubelet', { labels: { type: 'virtual-kubelet' } }],
        ['a kubelet of ACI', { kubelet: 'v1.33.0-vk-azure-aci-1.6.2' }],
      ] as const
    ).map(([title, node]): Case => ({ title, facts: oneOfTwo(node), answers: [['error', /1 of 2 nodes are virtual.* \(worker-1\)/]] })),
    {
      title: 'Fargate, on which a pod of the profile is',
      facts: {
        nodes: [
          nodeWith(),
          nodeWith({ name: 'fargate-ip-1', taints: [{ key: 'eks.amazonaws.com/compute-type', value: 'fargate', effect: 'NoSchedule' }] }),
        ],
        governedPods: [governedPod({ node: 'fargate-ip-1' })],
      },
      answers: [['error', /\(fargate-ip-1\)/]],
    },
    {
      title: 'a virtual node that no pod of the profile can land on',
      facts: oneOfTwo({ name: 'vk', taints: [{ key: 'virtual-kubelet.io/provider', value: 'azure', effect: 'NoSchedule' }] }),
      answers: [['ok', /./]],
    },
    {
      title: 'GKE Autopilot, where a seccomp profile is needed',
      facts: oneOfTwo({ name: 'gk3-lab-pool-1' }),
      answers: [['warning', /GKE Autopilot, .* \(gk3-lab-pool-1\)/]],
    },
    { title: 'GKE Autopilot with grant sudo', facts: oneOfTwo({ name: 'gk3-lab-pool-1' }), context: sudo, answers: [['ok', /./]] },
    { title: 'GKE Autopilot with gVisor', facts: oneOfTwo({ name: 'gk3-lab-pool-1' }), context: gvisor, answers: [['ok', /./]] },
  ],
  kvm: [
    ok(kata),
    leftOut('userns', sudo),
    {
      title: 'a node without a sign of virtualisation',
      facts: { ...oneOfTwo({ labels: {} }), ...classes('kata-qemu', { nodeSelector: {} }) },
      context: kata,
      answers: [['warning', /1 of 2 nodes .* neither the label katacontainers\.io\/kata-runtime=true .* \(worker-1\)/]],
    },
    ...(
      [
        ['the flag of Intel', { labels: { 'feature.node.kubernetes.io/cpu-cpuid.VMX': 'true' } }],
        ['the flag of AMD', { labels: { 'feature.node.kubernetes.io/cpu-cpuid.SVM': 'true' } }],
        ['the device of KubeVirt', { labels: {}, devices: ['devices.kubevirt.io/kvm'] }],
      ] as const
    ).map(
      ([title, node]): Case => ({
        title,
        facts: { ...oneOfTwo(node), ...classes('kata-qemu', { nodeSelector: {} }) },
        context: kata,
        answers: [['ok', /./]],
      }),
    ),
    {
      title: 'an event that says that /dev/kvm is missing',
      facts: { ...failing(...NO_KVM, KATA_POD), ...enforced('kata-qemu') },
      context: kata,
      answers: [['error', /1 of 2 nodes have no \/dev\/kvm.* \(worker-1\)/]],
    },
  ],
  'kata-backend': [
    ok(of('kata-clh')),
    leftOut('QEMU', kata),
    {
      title: 'Kata without Cloud Hypervisor',
      facts: oneOfTwo({ handlers: handlers(false, 'kata-qemu') }),
      context: of('kata-clh'),
      answers: [['error', /1 of 2 nodes have Kata Containers without clh \(worker-1\)/]],
    },
    {
      title: 'a node without Kata, which runtime-handler reports',
      facts: oneOfTwo({ handlers: handlers(true) }),
      context: of('kata-clh'),
      answers: [['ok', /./]],
    },
    { title: 'ACRN', context: of('kata-acrn'), answers: [['warning', /dropped ACRN/]] },
    { title: 'Firecracker', context: of('kata-fc'), answers: [['info', /block-device snapshotter/]] },
  ],
  'gvisor-suid': [
    ok(of('gvisor', 'grant: none')),
    leftOut('userns', sudo),
    leftOut('a missing class', gvisor, without('gvisor')),
    { title: 'grant sudo', context: gvisor, answers: [['info', /allow-suid.*grants sudo/]] },
  ],
  'sysbox-state': [
    ok(sysbox),
    leftOut('userns', sudo),
    {
      title: 'a node on which Sysbox is being removed',
      facts: { ...oneOfTwo({ labels: { 'sysbox-runtime': 'removing' } }), ...classes('sysbox-runc', { nodeSelector: {} }) },
      context: sysbox,
      answers: [['error', /1 of 2 nodes have the state sysbox-runtime=removing \(worker-1\)/]],
    },
    {
      title: 'the taint of the installer, which the class tolerates',
      facts: {
        ...oneOfTwo({ taints: [{ key: 'sysbox-runtime', value: 'not-running', effect: 'NoSchedule' }] }),
        ...classes('sysbox-runc', { tolerations: [{ operator: 'Exists' }] }),
      },
      context: sysbox,
      answers: [['error', /sysbox-runtime=not-running/]],
    },
    {
      title: 'a node without label and handler',
      facts: { ...oneOfTwo({ labels: {}, handlers: handlers(true) }), ...classes('sysbox-runc', { nodeSelector: {} }) },
      context: sysbox,
      answers: [['error', /do not have the label sysbox-runtime \(worker-1\)/]],
    },
    {
      title: 'a node with Sysbox that was installed by hand',
      facts: { ...oneOfTwo({ labels: {} }), ...classes('sysbox-runc', { nodeSelector: {} }) },
      context: sysbox,
      answers: [['ok', /./]],
    },
  ],
  'sysbox-k8s': [
    ok(sysbox),
    leftOut('userns', sudo),
    ...['v1.31.2', 'v1.36.0'].map(
      (kubelet): Case => ({ title: kubelet, facts: oneOfTwo({ kubelet }), context: sysbox, answers: [['warning', /1\.32 to 1\.35/]] }),
    ),
    { title: 'an unknown kubelet', facts: oneOfTwo({ kubelet: 'latest' }), context: sysbox, answers: [['unknown', /cannot be read/]] },
  ],
  'sysbox-annotation': [
    { ...ok(of('sysbox', 'identity: crio-annotation')), facts: both({ runtime: 'cri-o://1.33.4' }) },
    leftOut('Sysbox with hostUsers', sysbox),
    {
      title: 'a node with containerd',
      facts: { nodes: [nodeWith(), nodeWith({ name: 'worker-2', runtime: 'cri-o://1.33.4' })] },
      context: of('sysbox', 'identity: crio-annotation'),
      answers: [['error', /1 of 2 nodes do not run CRI-O.* \(worker-1\)/]],
    },
    {
      title: 'a runtime that is not known',
      facts: both({ runtime: undefined }),
      context: of('sysbox', 'identity: crio-annotation'),
      answers: [['unknown', /2 of 2 nodes have a runtime that is not known/]],
    },
  ],
  'seccomp-profile': [
    userns,
    leftOut('grant sudo', sudo),
    leftOut('nesting sysadmin', of('userns', 'grant: containers, nesting: sysadmin')),
    noCandidates,
    {
      title: 'a node without a ready pod',
      facts: { installerPods: [installerPod('worker-1', { isReady: false }), installerPod('worker-2')] },
      answers: [['error', /1 of 2 nodes .* cloister\/workspace\.json may be missing there \(worker-1\)/]],
    },
    {
      title: 'a pod of another version',
      facts: { installerPods: [installerPod('worker-1', { image: 'registry.example.com/cloister:0.0.9' }), installerPod('worker-2')] },
      answers: [['warning', /1 of 2 nodes have the seccomp profile of another version than 0\.1\.0 \(worker-1\)/]],
    },
    {
      title: 'a pod with a digest, which does not say its version',
      facts: {
        installerPods: ['worker-1', 'worker-2'].map((node) => installerPod(node, { image: 'registry.example.com/cloister@sha256:0a' })),
      },
      answers: [['ok', /./]],
    },
    { title: 'no pod of the chart', facts: { installerPods: [] }, answers: [['unknown', /no node-profile pod of the chart exists/]] },
    {
      title: "the operator's own seccomp profile",
      context: of('userns', 'grant: containers, seccompProfile: ours.json'),
      answers: [['unknown', /have the seccomp profile ours\.json: the chart does not install this one/]],
    },
    {
      title: 'an event of a pod',
      facts: failing(...NO_PROFILE),
      answers: [['error', /the node lacks the seccomp profile cloister\/workspace\.json: 1 \(team-a\/workspace-1\)/]],
    },
  ],
  apparmor: [
    userns,
    leftOut('grant sudo', sudo),
    leftOut('Kata', of('kata-qemu', 'grant: containers')),
    {
      title: 'a kubelet that says so',
      facts: oneOfTwo({ hasAppArmor: true }),
      answers: [['warning', /1 of 2 nodes have AppArmor.* \(worker-1\)/]],
    },
    { title: 'Ubuntu', facts: oneOfTwo({ osImage: 'Ubuntu 24.04.3 LTS' }), answers: [['warning', /AppArmor/]] },
    {
      title: 'Ubuntu with a setting of the profile',
      facts: oneOfTwo({ osImage: 'Ubuntu 24.04.3 LTS' }),
      context: of('userns', 'grant: containers, appArmorProfile: Unconfined'),
      answers: [['ok', /./]],
    },
  ],
  selinux: [
    userns,
    leftOut('grant sudo', sudo),
    ...['Red Hat Enterprise Linux CoreOS 9.8.20260817-0 (Plow)', 'CentOS Stream 9', 'Fedora CoreOS 42.20250623.3.1'].map(
      (osImage): Case => ({
        title: osImage,
        facts: oneOfTwo({ osImage }),
        answers: [['warning', /1 of 2 nodes .*SELinux.* \(worker-1\)/]],
      }),
    ),
    { title: 'Amazon Linux, where SELinux is permissive', facts: both({ osImage: 'Amazon Linux 2023' }), answers: [['ok', /./]] },
    {
      title: 'RHEL with a setting of the profile',
      facts: oneOfTwo({ osImage: 'Red Hat Enterprise Linux 9.4 (Plow)' }),
      context: of('userns', 'grant: containers, seLinuxType: container_engine_t'),
      answers: [['ok', /./]],
    },
  ],
  'class-there': [
    ok(kata),
    leftOut('userns without a class', sudo),
    { title: 'no class', facts: without('kata-qemu'), context: kata, answers: [['error', /there is no RuntimeClass kata-qemu/]] },
    {
      title: 'no further class',
      facts: without('kata-clh'),
      context: of('kata-qemu', 'runtimeClasses: [kata-clh]'),
      answers: [['error', /no RuntimeClass kata-clh/]],
    },
  ],
  'class-handler': [
    ok(kata),
    { ...ok(gvisor), title: 'gVisor' },
    leftOut('userns', of('userns', 'runtimeClassName: kata-qemu')),
    leftOut('no class', kata, without('kata-qemu')),
    ...['runc', 'crun', 'io.containerd.runc.v2'].map(
      (handler): Case => ({
        title: `handler ${handler}`,
        facts: classes('kata-qemu', { handler }),
        context: kata,
        answers: [['error', /ordinary containers: pods of the profile run without their wall/]],
      }),
    ),
    {
      title: 'the default handler',
      facts: classes('gvisor', { handler: '' }),
      context: gvisor,
      answers: [['error', /the default handler/]],
    },
    {
      title: 'another backend',
      facts: classes('kata-qemu', { handler: 'runsc' }),
      context: kata,
      answers: [['warning', /not one of kata-qemu/]],
    },
    {
      title: 'another hypervisor',
      facts: classes('kata-qemu', { handler: 'kata-clh' }),
      context: kata,
      answers: [['warning', /another hypervisor than kata-qemu/]],
    },
    {
      title: 'a handler with the name of the class',
      facts: classes('kata-qemu', { name: 'kata-qemu', handler: 'kata' }),
      context: kata,
      answers: [['ok', /./]],
    },
  ],
  'class-selector': [
    ok(kata),
    leftOut('userns without a class', sudo),
    leftOut('no class', kata, without('kata-qemu')),
    {
      title: 'a selector that matches no node',
      facts: both({ labels: {} }),
      context: kata,
      answers: [['error', /no node matches katacontainers\.io\/kata-runtime=true/]],
    },
    {
      title: 'no selector, and a node without the handler',
      facts: { ...oneOfTwo({ handlers: handlers(true) }), ...classes('kata-qemu', { nodeSelector: {} }) },
      context: kata,
      answers: [['warning', /1 of 2 nodes do not have the handler of RuntimeClass kata-qemu, which has no scheduling.nodeSelector/]],
    },
    { title: 'no selector, and every node has the handler', context: gvisor, answers: [['ok', /./]] },
  ],
  'class-overhead-size': [
    ok(kata),
    leftOut('gVisor', gvisor),
    leftOut('no class', kata, without('kata-qemu')),
    {
      title: 'no overhead',
      facts: classes('kata-qemu', { podFixed: undefined }),
      context: kata,
      answers: [['warning', /no overhead\.podFixed\.memory/]],
    },
    {
      title: 'a small overhead',
      facts: classes('kata-qemu', { podFixed: { memory: '160Mi' } }),
      context: kata,
      answers: [['warning', /an overhead of 160Mi of memory/]],
    },
    {
      title: 'a hypervisor that needs less',
      facts: classes('kata-clh', { podFixed: { memory: '130Mi' } }),
      context: of('kata-clh'),
      answers: [['ok', /./]],
    },
  ],
  'class-writable': [
    ok(kata),
    leftOut('no profile with a class', sudo),
    {
      title: 'a writer of RuntimeClasses',
      facts: {
        rbac: { roles: [role('r', 'node.k8s.io', 'runtimeclasses', ['update'])], bindings: [binding('r', 'User anna')] },
      },
      context: kata,
      answers: [['warning', /RuntimeClasses can be written, .* User anna/]],
    },
    {
      title: 'a reader',
      facts: { rbac: { roles: [role('r', 'node.k8s.io', 'runtimeclasses', ['list'])], bindings: [binding('r', 'User anna')] } },
      context: kata,
      answers: [['ok', /./]],
    },
  ],
};
