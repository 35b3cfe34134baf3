import { FIELD_GATES, printOff, SUPPORTED_KUBERNETES, SUPPORTED_MINORS, USER_NAMESPACES_SINCE } from '../../core/kubernetes.ts';
import { plural } from '../../core/plural.ts';
import { versionOf } from '../../live/versions.ts';
import { checkCluster, checkProfiles, type Problem, printObjects } from '../check.ts';
import { needsHostUsers, unmasksProc } from '../profiles.ts';

/** The oldest minor version of Kubernetes 1 with ValidatingAdmissionPolicies that are stable. */
const OLDEST_MINOR = 30;

export const apiVersion = checkCluster({
  id: 'api-version',
  summary: 'The API server is new enough for Cloister and for its profiles.',
  reads: ['serverVersion'],
  levels: ['error', 'warning', 'info'],
  run({ serverVersion: { text, major, minor } }, { profiles }) {
    if (major === 1 && minor < OLDEST_MINOR) {
      return [
        {
          level: 'error',
          message: `the API server is ${text}: Cloister needs Kubernetes 1.${OLDEST_MINOR} or later`,
          remedy: 'Upgrade the cluster.',
        },
      ];
    }
    const tested = `the API server is ${text}: Cloister supports and tests Kubernetes ${SUPPORTED_KUBERNETES}`;
    if (major > 1 || minor > SUPPORTED_MINORS.newest) {
      return [{ level: 'info', message: tested, remedy: 'Upgrade Cloister when a version is released that supports this Kubernetes.' }];
    }
    if (minor >= SUPPORTED_MINORS.oldest) return [];
    if (![...profiles.values()].some(needsHostUsers)) return [{ level: 'warning', message: tested, remedy: 'Upgrade the cluster.' }];
    return [
      {
        level: 'warning',
        message: `${tested}, and user namespaces are off by default before 1.${USER_NAMESPACES_SINCE}`,
        remedy: 'Upgrade the cluster, or turn the feature gate UserNamespacesSupport on in API server and kubelets.',
      },
    ];
  },
});

export const apiGateUserns = checkProfiles({
  id: 'api-gate-userns',
  summary: 'The API server keeps the field hostUsers.',
  reads: ['gates'],
  levels: ['error'],
  appliesTo: needsHostUsers,
  run(_, { gates }) {
    const isOn = gates.get('UserNamespacesSupport');
    if (isOn === undefined) return [unreported('UserNamespacesSupport')];
    if (isOn) return [];
    return [
      {
        level: 'error',
        message: `${printOff(FIELD_GATES.hostUsers)}: the API server drops hostUsers, and ${FIELD_GATES.hostUsers.without}`,
        remedy: 'Turn the feature gate UserNamespacesSupport on in API server and kubelets.',
      },
    ];
  },
});

export const apiGateProcmount = checkProfiles({
  id: 'api-gate-procmount',
  summary: 'The API server keeps procMount where nested containers need it.',
  reads: ['gates'],
  levels: ['error'],
  appliesTo: unmasksProc,
  run(_, { gates }) {
    const isOn = gates.get('ProcMountType');
    if (isOn === undefined) return [unreported('ProcMountType')];
    if (isOn) return [];
    return [
      {
        level: 'error',
        message: `${printOff(FIELD_GATES.procMount)}: the API server drops procMount Unmasked, and ${FIELD_GATES.procMount.without}`,
        remedy: 'Turn the feature gate ProcMountType on in API server and kubelets, or set `grant: sudo`.',
      },
    ];
  },
});

const unreported = (gate: string): Problem => ({
  level: 'unknown',
  message: `the API server does not report the feature gate ${gate}`,
  remedy: `Check the flag --feature-gates of the API server for ${gate}.`,
});

export const apiGateHostnet = checkCluster({
  id: 'api-gate-hostnet',
  summary: 'A pod with a user namespace cannot have the network of its node.',
  reads: ['gates'],
  levels: ['info'],
  run({ gates }) {
    if (gates.get('UserNamespacesHostNetworkSupport') !== true) return [];
    return [
      {
        level: 'info',
        message:
          'the alpha feature gate UserNamespacesHostNetworkSupport is on: a pod may have a user namespace and the network of its node. Cloister removes hostNetwork all the same',
        remedy: 'Turn the gate off if nothing else in the cluster needs it.',
      },
    ];
  },
});

export const apiPolicies = checkCluster({
  id: 'api-policies',
  summary: 'The API server has ValidatingAdmissionPolicies, which protect the labels.',
  reads: ['hasPolicies'],
  levels: ['error'],
  run: ({ hasPolicies }) =>
    hasPolicies
      ? []
      : [
          {
            level: 'error',
            message:
              'the API server has no ValidatingAdmissionPolicy in admissionregistration.k8s.io/v1: everyone who may edit a namespace can remove its label',
            remedy: 'Upgrade the cluster to Kubernetes 1.30 or later, or turn the API on with --runtime-config.',
          },
        ],
});

/** Source: https://kubernetes.io/releases/version-skew-policy/#kubelet */
const MAX_SKEW = 3;

export const apiSkew = checkCluster({
  id: 'api-skew',
  summary: 'The kubelets are within the version skew that Kubernetes supports.',
  reads: ['serverVersion', 'nodes'],
  levels: ['warning'],
  run({ serverVersion, nodes }) {
    const versions = nodes.map(({ name, kubelet }) => ({ name, minor: versionOf(kubelet)?.minor }));
    const old = versions.filter(({ minor }) => minor !== undefined && minor < serverVersion.minor - MAX_SKEW).map(({ name }) => name);
    const newer = versions.filter(({ minor }) => minor !== undefined && minor > serverVersion.minor).map(({ name }) => name);
    const unread = versions.filter(({ minor }) => minor === undefined).map(({ name }) => name);
    const remedy = 'Upgrade API server and kubelets as the version skew policy of Kubernetes says: feature gates differ between versions.';
    const of = nodes.length;
    return [
      ...(old.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: old,
              message: `${old.length} of ${of} kubelets are more than ${MAX_SKEW} minor versions behind the API server ${serverVersion.text} (${printObjects(old)})`,
              remedy,
            } as const,
          ]),
      ...(newer.length === 0
        ? []
        : [
            {
              level: 'warning',
              objects: newer,
              message: `${newer.length} of ${of} kubelets are newer than the API server ${serverVersion.text} (${printObjects(newer)})`,
              remedy,
            } as const,
          ]),
      ...(unread.length === 0
        ? []
        : [
            {
              level: 'unknown',
              objects: unread,
              message: `the versions of ${unread.length} of ${of} kubelets cannot be read (${printObjects(unread)})`,
              remedy: 'Compare `kubectl get nodes` with the version of the API server.',
            } as const,
          ]),
    ];
  },
});

/** The plug-ins without which Cloister, or a check that it relies on, is not called. All of them are on by default. */
const PLUGINS = ['MutatingAdmissionWebhook', 'PodSecurity', 'RuntimeClass', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionWebhook'];

export const apiPlugins = checkCluster({
  id: 'api-plugins',
  summary: 'The admission plug-ins that Cloister relies on have been called.',
  reads: ['admission'],
  levels: [],
  run({ admission: { plugins } }) {
    const absent = PLUGINS.filter((name) => !plugins.has(name));
    if (absent.length === 0) return [];
    return [
      {
        level: 'unknown',
        objects: absent,
        message: `the API server has not reported a call of ${absent.join(', ')}: a plug-in is reported after its first call`,
        remedy: 'Check that --disable-admission-plugins of the API server does not name it.',
      },
    ];
  },
});

export const apiPressure = checkCluster({
  id: 'api-pressure',
  summary: 'No request was admitted without a verdict after a failed call to Cloister.',
  reads: ['admission'],
  levels: ['error', 'warning'],
  run({ admission: { entries } }) {
    const open = [...entries].filter(([, { failedOpen }]) => failedOpen > 0);
    const problemOf = (level: 'error' | 'warning', found: typeof open): Problem[] => {
      if (found.length === 0) return [];
      const requests = found.reduce((sum, [, { failedOpen }]) => sum + failedOpen, 0);
      const names = found.map(([name]) => name);
      const what =
        level === 'error' ? 'failurePolicy of these entries must be Fail' : 'their authors got no warning, and no record was written';
      return [
        {
          level,
          objects: names,
          message: `calls to Cloister failed, and ${plural(requests, 'request')} passed without a verdict (${printObjects(names)}): ${what}`,
          remedy:
            'See `pods-ready` and `reach`: the API server could not call the serving pods. The counter starts again when an API server restarts.',
        },
      ];
    };
    const enforces = ([name]: (typeof open)[number]): boolean => /\.enforce\.cloister\.dev$/.test(name) && !name.includes('.workload.');
    return [
      ...problemOf('error', open.filter(enforces)),
      ...problemOf(
        'warning',
        open.filter((each) => !enforces(each)),
      ),
    ];
  },
});

/** Source: docs/performance.md. A review takes well under a millisecond; the rest is the network. */
const SLOW_SECONDS = 0.1;
/** Half of the shortest `timeoutSeconds` that a configuration can give: 2 s. Histograms have a bound at 1 s. */
const TOO_SLOW_SECONDS = 1;

export const apiLatency = checkCluster({
  id: 'api-latency',
  summary: 'The API server gets the answers of Cloister quickly.',
  reads: ['admission'],
  levels: ['error', 'warning'],
  run({ admission: { entries } }) {
    const slowAt = (seconds: number): string[] =>
      [...entries].filter(([, { slowestSeconds }]) => slowestSeconds !== undefined && slowestSeconds >= seconds).map(([name]) => name);
    const remedy = 'Give the serving pods more CPU or replicas, and check the network between the API server and them.';
    const tooSlow = slowAt(TOO_SLOW_SECONDS);
    const slow = slowAt(SLOW_SECONDS).filter((name) => !tooSlow.includes(name));
    const found = (level: 'error' | 'warning', names: readonly string[], ms: number): Problem[] =>
      names.length === 0
        ? []
        : [{ level, objects: names, message: `1 % of the calls of ${printObjects(names)} take longer than ${ms} ms`, remedy }];
    return [...found('error', tooSlow, TOO_SLOW_SECONDS * 1_000), ...found('warning', slow, SLOW_SECONDS * 1_000)];
  },
});
