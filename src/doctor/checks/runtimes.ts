import type { Profile } from '../../core/profiles/profile.ts';
import type { NodeFacts } from '../../live/facts.ts';
import { HYPERVISORS, isKataHandler } from '../../live/handlers.ts';
import { runtimeVersionOf, versionOf } from '../../live/versions.ts';
import { checkProfiles, LEFT_OUT } from '../check.ts';
import { FAILURE_FACTS, failuresOf } from '../failures.ts';
import { nodesProblem } from '../grouping.ts';
import { classesOf, landingsOf } from '../landings.ts';
import { isKata } from '../profiles.ts';
import { checkLandings } from './nodes.ts';

/** Signs that a node can run virtual machines: the label of kata-deploy, the CPU flags of Node Feature Discovery, and the device of KubeVirt. */
const KVM_LABELS = [
  'katacontainers.io/kata-runtime',
  'feature.node.kubernetes.io/cpu-cpuid.VMX',
  'feature.node.kubernetes.io/cpu-cpuid.SVM',
];
const KVM_DEVICE = 'devices.kubevirt.io/kvm';
const hasKvmSign = ({ labels, devices }: NodeFacts): boolean =>
  KVM_LABELS.some((label) => labels[label] === 'true') || devices.includes(KVM_DEVICE);

export const kvm = checkProfiles({
  id: 'kvm',
  summary: 'The nodes show signs of hardware virtualisation, and no event says that /dev/kvm is missing.',
  reads: ['nodes', 'classes', ...FAILURE_FACTS],
  levels: ['error', 'warning'],
  appliesTo: isKata,
  run(profile, values, context) {
    const failing = failuresOf(values, context).filter((each) => each.profile === profile && each.cause.id === 'no-kvm');
    const broken = [...new Set(failing.map(({ pod }) => pod.node ?? ''))].map((name) => ({ name }));
    const nodes = [...new Set(landingsOf(profile, values, context).flatMap((landing) => landing.nodes))];
    if (nodes.length === 0 && broken.length === 0) return LEFT_OUT;
    return [
      ...nodesProblem({
        level: 'error',
        found: broken,
        of: Math.max(nodes.length, broken.length),
        what: 'have no /dev/kvm, as events of pods say: no virtual machine starts there',
        remedy: 'Use machines with hardware virtualisation, or with nested virtualisation switched on.',
      }),
      ...nodesProblem({
        level: 'warning',
        found: nodes.filter((node) => !hasKvmSign(node) && !broken.some(({ name }) => name === node.name)),
        of: nodes.length,
        what: `that pods can land on have neither the label ${KVM_LABELS[0]}=true nor a sign of hardware virtualisation`,
        remedy:
          'Install Kata with kata-deploy, or run Node Feature Discovery, which labels nodes with VMX or SVM; check /dev/kvm on the others.',
      }),
    ];
  },
});

export const kataBackend = checkProfiles({
  id: 'kata-backend',
  summary: 'Kata is installed with the hypervisor of the profile.',
  reads: ['nodes', 'classes', 'namespaces'],
  levels: ['error', 'warning', 'info'],
  // QEMU is there wherever Kata is.
  appliesTo: (profile) => isKata(profile) && profile.backend.id !== 'kata-qemu',
  run(profile, values, context) {
    const { id } = profile.backend;
    const hypervisor = HYPERVISORS.get(id);
    const without = landingsOf(profile, values, context)
      .flatMap(({ handler, nodes }) => nodes.filter(({ handlers }) => !handlers.has(handler)))
      .filter(({ handlers }) => handlers.keys().some(isKataHandler));
    return [
      ...(id === 'kata-acrn'
        ? [
            {
              level: 'warning',
              message: 'Kata Containers dropped ACRN in release 3.10',
              remedy: 'Move to kata-qemu or kata-clh, or stay with Kata Containers 3.9.',
            } as const,
          ]
        : []),
      ...nodesProblem({
        level: 'error',
        found: without,
        of: values.nodes.length,
        what: `have Kata Containers without ${hypervisor}`,
        remedy: `Add ${hypervisor} to the shims of kata-deploy, or move to the profile of a hypervisor that the nodes have.`,
      }),
      ...(id === 'kata-fc'
        ? [
            {
              level: 'info',
              message: 'Firecracker needs a block-device snapshotter, such as devmapper, on each node, which the nodes do not publish',
              remedy: 'Check the snapshotter of the handler in the configuration of containerd.',
            } as const,
          ]
        : []),
    ];
  },
});

export const gvisorSuid = checkProfiles({
  id: 'gvisor-suid',
  summary: 'The profile grants nothing that needs setuid files.',
  reads: ['classes'],
  levels: ['info'],
  appliesTo: (profile) => profile.backend.id === 'gvisor',
  run(profile, { classes }) {
    if (classesOf(profile, classes).length === 0) return LEFT_OUT;
    if (profile.grant === 'none') return [];
    return [
      {
        level: 'info',
        message: `sudo needs allow-suid in the configuration of runsc, which no object of the cluster shows; the profile grants ${profile.grant}`,
        remedy: 'Set allow-suid = "true" in runsc.toml of each node, and try sudo in a workspace.',
      },
    ];
  },
});

const STATE_LABEL = 'sysbox-runtime';

export const sysboxState = checkLandings({
  id: 'sysbox-state',
  summary: 'Sysbox is installed on each node, as the installer of Sysbox or the runtime says.',
  levels: ['error'],
  appliesTo: (profile) => profile.backend.id === 'sysbox',
  judge({ handler, nodes }) {
    const stateOf = ({ labels, handlers, taints }: NodeFacts): string | undefined => {
      if (taints.some(({ key, value }) => key === STATE_LABEL && value === 'not-running')) return 'not-running';
      return labels[STATE_LABEL] ?? (handlers.has(handler) ? 'running' : undefined);
    };
    const unready = nodes.filter((node) => stateOf(node) !== 'running');
    return [...Map.groupBy(unready, stateOf)].flatMap(([state, found]) =>
      nodesProblem({
        level: 'error',
        found,
        of: nodes.length,
        what: state === undefined ? `do not have the label ${STATE_LABEL}` : `have the state ${STATE_LABEL}=${state}`,
        remedy: `Wait for the DaemonSet sysbox-deploy-k8s, see its logs, or give the RuntimeClass the node selector ${STATE_LABEL}=running.`,
      }),
    );
  },
});

/** Of Sysbox 0.7. Source: nestybox/sysbox, docs/user-guide/install-k8s.md. */
const SYSBOX_MINORS = [32, 35] as const;

export const sysboxK8s = checkLandings({
  id: 'sysbox-k8s',
  summary: 'Sysbox supports the Kubernetes version of each node.',
  levels: ['warning'],
  appliesTo: (profile) => profile.backend.id === 'sysbox',
  judge({ nodes }) {
    const minorOf = ({ kubelet }: NodeFacts): number | undefined => versionOf(kubelet)?.minor;
    const [oldest, newest] = SYSBOX_MINORS;
    const isOutside = (minor: number | undefined): boolean => minor !== undefined && (minor < oldest || minor > newest);
    return [
      ...nodesProblem({
        level: 'warning',
        found: nodes.filter((node) => isOutside(minorOf(node))),
        of: nodes.length,
        what: `have a kubelet outside 1.${oldest} to 1.${newest}, which Sysbox 0.7 supports`,
        remedy: 'Compare the table of versions of your Sysbox release before you upgrade the cluster.',
      }),
      ...nodesProblem({
        level: 'unknown',
        found: nodes.filter((node) => minorOf(node) === undefined),
        of: nodes.length,
        what: 'have a kubelet whose version cannot be read',
        remedy: `Check in \`kubectl get nodes\` that their kubelets are 1.${oldest} to 1.${newest}.`,
      }),
    ];
  },
});

const isAnnotated = ({ backend, grant, requirementsFor }: Profile): boolean =>
  backend.id === 'sysbox' && requirementsFor(grant).wall.annotations.length > 0;

export const sysboxAnnotation = checkLandings({
  id: 'sysbox-annotation',
  summary: 'Each node for a Sysbox profile with `identity: crio-annotation` runs CRI-O.',
  levels: ['error'],
  appliesTo: isAnnotated,
  judge: ({ nodes }) => [
    ...nodesProblem({
      level: 'error',
      found: nodes.filter(({ runtime }) => ['containerd', 'docker'].includes(runtimeVersionOf(runtime)?.name ?? '')),
      of: nodes.length,
      what: 'do not run CRI-O, which alone reads the annotation of the profile: pods fail there with /proc/0/uid_map',
      remedy: 'Remove `identity: crio-annotation` from the profile, so that pods get hostUsers: false.',
    }),
    ...nodesProblem({
      level: 'unknown',
      found: nodes.filter(({ runtime }) => !['containerd', 'docker', 'cri-o'].includes(runtimeVersionOf(runtime)?.name ?? '')),
      of: nodes.length,
      what: 'have a runtime that is not known',
      remedy: 'Check the runtimes in `kubectl get nodes -o wide`.',
    }),
  ],
});
