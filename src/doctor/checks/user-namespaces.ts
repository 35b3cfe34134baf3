import type { NodeFacts } from '../../live/facts.ts';
import { isBefore, kernelVersionOf, kubeletSupportOf, type ProgramVersion, runtimeVersionOf } from '../../live/versions.ts';
import { checkProfiles, LEFT_OUT, type Problem } from '../check.ts';
import { FAILURE_FACTS, failuresOf } from '../failures.ts';
import { nodesProblem, podsProblem } from '../grouping.ts';
import { type Landing, landingsOf } from '../landings.ts';
import { needsHostUsers, seccompProfileOf, unmasksProc } from '../profiles.ts';
import { checkLandings } from './nodes.ts';

/** What a node says about user namespaces of the handler. */
const featureOf = ({ handlers }: NodeFacts, { handler }: Landing): boolean | undefined => handlers.get(handler);

/** Where the handler itself is missing, `runtime-handler` says so. */
const hasHandler = ({ handlers }: NodeFacts, { handler }: Landing): boolean => handlers.size === 0 || handlers.has(handler);

export const usernsFeature = checkLandings({
  id: 'userns-feature',
  summary: 'Each node that says whether its runtime has user namespaces has them.',
  levels: ['error'],
  appliesTo: needsHostUsers,
  concerns: (node, landing) => featureOf(node, landing) !== undefined,
  judge: (landing) =>
    nodesProblem({
      level: 'error',
      found: landing.nodes.filter((node) => featureOf(node, landing) === false),
      of: landing.nodes.length,
      what: 'report that their runtime has no user namespaces: pods of the profile do not start there',
      remedy:
        'Give them Linux 6.3 or later, and containerd 2.0 or later with runc 1.2 or later, or CRI-O with crun 1.9 or later: `kernel-userns` and `runtime-version` narrow it down.',
    }),
});

export const usernsUnknown = checkLandings({
  id: 'userns-unknown',
  summary: 'Each node says whether its runtime has user namespaces.',
  levels: ['warning'],
  appliesTo: needsHostUsers,
  concerns: hasHandler,
  judge(landing) {
    const silent = landing.nodes.filter((node) => featureOf(node, landing) === undefined);
    const isOld = ({ kubelet }: NodeFacts): boolean => ['before', 'gated'].includes(kubeletSupportOf(kubelet) ?? '');
    const of = landing.nodes.length;
    return [
      ...nodesProblem({
        level: 'warning',
        found: silent.filter(isOld),
        of,
        what: 'do not say whether their runtime has user namespaces, and their kubelets may start a pod without one',
        remedy: 'Upgrade the kubelets to 1.33 or later: these give a pod its user namespace, or do not start it.',
      }),
      ...nodesProblem({
        level: 'unknown',
        found: silent.filter((node) => !isOld(node)),
        of,
        what: 'do not say whether their runtime has user namespaces',
        remedy: 'Upgrade the runtime to containerd 2.0 or later, or CRI-O 1.31 or later: these report it.',
      }),
    ];
  },
});

export const kubeletUserns = checkLandings({
  id: 'kubelet-userns',
  summary: 'The kubelets give a pod its user namespace, or do not start it.',
  levels: ['error', 'warning'],
  appliesTo: needsHostUsers,
  judge({ nodes }) {
    const of = nodes.length;
    const withSupport = (support: string | undefined): readonly NodeFacts[] =>
      nodes.filter(({ kubelet }) => kubeletSupportOf(kubelet) === support);
    return [
      ...nodesProblem({
        level: 'error',
        found: withSupport('before'),
        of,
        what: 'have a kubelet before 1.30, which ignores hostUsers: pods run there without their wall, and nothing says so',
        remedy: 'Upgrade the kubelets to 1.33 or later, or keep workspaces from these nodes by a taint.',
      }),
      ...nodesProblem({
        level: 'warning',
        found: withSupport('gated'),
        of,
        what: 'have a kubelet before 1.33, where the feature gate UserNamespacesSupport is off by default',
        remedy: 'Upgrade the kubelets to 1.33 or later, or check `featureGates` in their configuration.',
      }),
      ...nodesProblem({
        level: 'unknown',
        found: withSupport(undefined),
        of,
        what: 'have a kubelet whose version cannot be read',
        remedy: 'Check in `kubectl get nodes` that their kubelets are 1.33 or later.',
      }),
    ];
  },
});

/** Problems of kernels before two versions, and of those that cannot be read. */
interface KernelCheck {
  readonly nodes: readonly NodeFacts[];
  readonly error: { readonly before: readonly [major: number, minor: number]; readonly what: string };
  readonly warning: { readonly before: readonly [major: number, minor: number]; readonly what: string };
  /** Nodes that are excused, by level. */
  isExcused(node: NodeFacts, level: 'error' | 'warning'): boolean;
  readonly remedy: string;
}

function kernelProblems({ nodes, error, warning, isExcused, remedy }: KernelCheck): readonly Problem[] {
  const of = nodes.length;
  const isOlder = (node: NodeFacts, [major, minor]: readonly [number, number]): boolean => {
    const version = kernelVersionOf(node.kernel);
    return version !== undefined && isBefore(version, major, minor);
  };
  const failing = nodes.filter((node) => isOlder(node, error.before) && !isExcused(node, 'error'));
  const limited = nodes.filter((node) => isOlder(node, warning.before) && !failing.includes(node) && !isExcused(node, 'warning'));
  return [
    ...nodesProblem({ level: 'error', found: failing, of, what: error.what, remedy }),
    ...nodesProblem({ level: 'warning', found: limited, of, what: warning.what, remedy }),
    ...nodesProblem({
      level: 'unknown',
      found: nodes.filter(({ kernel }) => kernelVersionOf(kernel) === undefined),
      of,
      what: 'have a kernel whose version cannot be read',
      remedy: 'Check the kernels in `kubectl get nodes -o wide`.',
    }),
  ];
}

/** Red Hat backports features to the kernels of its distributions: their numbers say less than what the runtime reports. */
const isBackported = ({ kernel }: NodeFacts): boolean => /\.el\d/.test(kernel ?? '');

export const kernelUserns = checkLandings({
  id: 'kernel-userns',
  summary: 'The kernels mount the file systems of a pod with mapped ids.',
  levels: ['error', 'warning'],
  appliesTo: (profile) => profile.backend.id === 'userns',
  concerns: hasHandler,
  judge: (landing) =>
    kernelProblems({
      nodes: landing.nodes,
      error: { before: [5, 19], what: 'have a kernel before 5.19, which cannot mount images (overlayfs) with mapped ids' },
      warning: {
        before: [6, 3],
        what: 'have a kernel before 6.3, which cannot mount tmpfs with mapped ids: pods with a Secret or a service account token do not start',
      },
      isExcused: (node, level) => featureOf(node, landing) === true && (level === 'error' || isBackported(node)),
      remedy: 'Upgrade the kernels to 6.3 or later.',
    }),
});

export const kernelSysbox = checkLandings({
  id: 'kernel-sysbox',
  summary: 'The kernels have what Sysbox needs for mapped ids.',
  levels: ['error', 'warning'],
  appliesTo: (profile) => profile.backend.id === 'sysbox',
  judge: ({ nodes }) =>
    kernelProblems({
      nodes,
      error: { before: [5, 12], what: 'have a kernel before 5.12, which has no mapped mounts: Sysbox needs the module shiftfs there' },
      warning: {
        before: [5, 19],
        what: 'have a kernel before 5.19, which cannot mount images (overlayfs) with mapped ids: Sysbox needs the module shiftfs, or changes the owner of every file',
      },
      isExcused: () => false,
      remedy: 'Upgrade the kernels to 5.19 or later.',
    }),
});

/** The oldest versions of runtimes that give a pod a user namespace. Sources: KEP-127; containerd, docs/user-namespaces; CRI-O. */
const OLDEST: ReadonlyMap<string, readonly [major: number, minor: number]> = new Map([
  ['containerd', [2, 0]],
  ['cri-o', [1, 25]],
]);
const isTooOld = (name: string, version: ProgramVersion): boolean => {
  const oldest = OLDEST.get(name);
  return oldest !== undefined && isBefore(version, ...oldest);
};

export const runtimeVersion = checkLandings({
  id: 'runtime-version',
  summary: 'The runtimes of the nodes give a pod a user namespace.',
  levels: ['error', 'warning'],
  appliesTo: needsHostUsers,
  judge(landing, { backend }) {
    const of = landing.nodes.length;
    const runtimes = landing.nodes.map((node) => ({
      name: node.name,
      isKnownToWork: featureOf(node, landing) === true,
      ...describeRuntime(node),
    }));
    const doubtful = runtimes.filter(({ isKnownToWork }) => !isKnownToWork);
    return [
      ...nodesProblem({
        level: 'error',
        found: doubtful.filter(({ is }) => is === 'too old'),
        of,
        what: 'have a runtime without user namespaces: containerd before 2.0, CRI-O before 1.25, or Docker',
        remedy: 'Upgrade to containerd 2.0 or later with runc 1.2 or later, or to CRI-O with crun 1.9 or later.',
      }),
      ...nodesProblem({
        level: 'warning',
        found: backend.id === 'sysbox' ? runtimes.filter(({ isFaulty }) => isFaulty) : [],
        of,
        what: 'have containerd 2.0.0 to 2.0.4, with which mounts of sysfs fail in Sysbox pods',
        remedy: 'Upgrade to containerd 2.0.5 or later.',
      }),
      ...nodesProblem({
        level: 'unknown',
        found: doubtful.filter(({ is }) => is === 'unknown'),
        of,
        what: 'have a runtime whose name or version is not known',
        remedy: 'Check the runtimes in `kubectl get nodes -o wide`.',
      }),
    ];
  },
});

function describeRuntime({ runtime }: NodeFacts): { readonly is: 'too old' | 'unknown' | 'new enough'; readonly isFaulty: boolean } {
  const { name, version } = runtimeVersionOf(runtime) ?? {};
  if (name === 'docker') return { is: 'too old', isFaulty: false };
  if (name === undefined || version === undefined || !OLDEST.has(name)) return { is: 'unknown', isFaulty: false };
  const isFaulty = name === 'containerd' && !isBefore(version, 2, 0) && isBefore(version, 2, 0, 5);
  return { is: isTooOld(name, version) ? 'too old' : 'new enough', isFaulty };
}

/** Where the chart installs the seccomp profile. */
const SHIPPED_PROFILE = 'cloister/workspace.json';

export const seccompProfile = checkProfiles({
  id: 'seccomp-profile',
  summary:
    'The pod that installs the seccomp profile is ready on each node for the profile, and no event says that the seccomp profile is missing.',
  reads: ['nodes', 'classes', 'installerPods', ...FAILURE_FACTS],
  levels: ['error', 'warning'],
  appliesTo: (profile) => seccompProfileOf(profile) !== undefined,
  run(profile, values, context) {
    const file = seccompProfileOf(profile);
    const failing = failuresOf(values, context).filter((each) => each.profile === profile && each.cause.id === 'no-seccomp-profile');
    const failures = podsProblem({
      found: failing.map(({ pod }) => pod),
      what: `events say that the node lacks the seccomp profile ${file}`,
      remedy: 'See `kubectl describe` of the node-profile pods, or install it with `cloister node-profile install`.',
    });
    const nodes = [...new Set(landingsOf(profile, values, context).flatMap((landing) => landing.nodes))];
    if (nodes.length === 0) return failing.length === 0 ? LEFT_OUT : failures;
    if (file !== SHIPPED_PROFILE || values.installerPods.length === 0) {
      const why = file === SHIPPED_PROFILE ? 'no node-profile pod of the chart exists' : 'the chart does not install this one';
      const message = `nothing publishes whether the nodes have the seccomp profile ${file}: ${why}`;
      const remedy =
        file === SHIPPED_PROFILE
          ? 'Set `nodeProfile.enabled: true` in the chart, or start a workspace: without it, the pod stays in CreateContainerError.'
          : 'Start a workspace: without the seccomp profile, the pod stays in CreateContainerError.';
      return [...failures, { level: 'unknown', message, remedy }];
    }
    const ready = values.installerPods.filter((pod) => pod.isReady);
    const covered = new Set(ready.map(({ node }) => node));
    const stale = new Set(ready.filter(({ image }) => isOtherVersion(image, context.version)).map(({ node }) => node));
    return [
      ...failures,
      ...nodesProblem({
        level: 'error',
        found: nodes.filter(({ name }) => !covered.has(name)),
        of: nodes.length,
        what: `that pods can land on have no ready node-profile pod, so that the seccomp profile ${file} may be missing there`,
        remedy:
          "Compare `nodeProfile.nodeSelector` and `nodeProfile.tolerations` of the chart with these nodes, and see the DaemonSet's events.",
      }),
      ...nodesProblem({
        level: 'warning',
        found: nodes.filter(({ name }) => stale.has(name)),
        of: nodes.length,
        what: `have the seccomp profile of another version than ${context.version}`,
        remedy: 'Wait for the rollout of the DaemonSet cloister-node-profile.',
      }),
    ];
  },
});

/** Whether the tag of an image is another version. A digest does not say. */
function isOtherVersion(image: string, version: string): boolean {
  const tag = /:(?<tag>v?\d+\.\d+\.\d+[^@/]*)$/.exec(image)?.groups?.tag;
  return tag !== undefined && tag.replace(/^v/, '') !== version;
}

/** Security modules of nodes deny what nested containers do, unless the profile names another setting. */
const needsNested = (profile: Parameters<typeof unmasksProc>[0]): boolean => profile.backend.id === 'userns' && unmasksProc(profile);

export const apparmor = checkLandings({
  id: 'apparmor',
  summary: 'No node has AppArmor, whose default profile denies the mounts of nested containers, or the profile names another one.',
  levels: ['warning'],
  appliesTo: needsNested,
  judge: ({ nodes }, profile) =>
    profile.requirementsFor(profile.grant).workspace.appArmorProfile === undefined
      ? nodesProblem({
          level: 'warning',
          found: nodes.filter(({ hasAppArmor, osImage }) => hasAppArmor || /^(?:Ubuntu|Debian)\b/.test(osImage ?? '')),
          of: nodes.length,
          what: 'have AppArmor, as their kubelet or the name of their system says: the default profile of the runtime denies the mounts of nested containers',
          remedy: 'Set `appArmorProfile: Unconfined` in the profile, or the name of a profile that the nodes have loaded.',
        })
      : [],
});

/** Distributions that enforce SELinux by default. */
const WITH_SELINUX = /^(?:Red Hat Enterprise Linux|CentOS|Rocky Linux|AlmaLinux|Oracle Linux|Fedora)\b/;

export const selinux = checkLandings({
  id: 'selinux',
  summary: 'No node enforces SELinux, whose default type denies nested containers, or the profile names another type.',
  levels: ['warning'],
  appliesTo: needsNested,
  judge: ({ nodes }, profile) =>
    profile.requirementsFor(profile.grant).workspace.seLinuxType === undefined
      ? nodesProblem({
          level: 'warning',
          found: nodes.filter(({ osImage }) => WITH_SELINUX.test(osImage ?? '')),
          of: nodes.length,
          what: 'have a distribution that enforces SELinux by default: the type container_t denies nested containers',
          remedy: 'Set `seLinuxType: container_engine_t` in the profile.',
        })
      : [],
});
