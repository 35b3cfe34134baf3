import { parseConfig } from '../../src/config/load.ts';
import type { Context } from '../../src/doctor/check.ts';
import type {
  Binding,
  EntryDrift,
  Facts,
  FactValues,
  GovernedPod,
  InstallerPod,
  KubeletConfiguration,
  KubeletFact,
  KubeletMetrics,
  LiveConfiguration,
  LiveEntry,
  Namespace,
  Probe,
  Proof,
  Role,
  ServingPodFact,
} from '../../src/doctor/facts.ts';
import type { IdRange, ProbeReport } from '../../src/doctor/probe-report.ts';
import type { NodeFacts } from '../../src/live/facts.ts';
import { backendsWithClass, classWith, nodeWith } from './live-facts.ts';

export const NOW = new Date('2026-11-30T12:00:00Z');
export const daysFromNow = (days: number): Date => new Date(NOW.getTime() + days * 86_400_000);

export const PROBED = {
  hostUsers: false,
  runtimeClassName: undefined,
  isProcUnmasked: true,
  allowsEscalation: true,
  applied: 'userns/containers',
} as const;

export const WORKER: NodeFacts = nodeWith({ kernel: '6.12.0', bootId: '7f5e2b7a-8a8e-4a0e-9f43-1f1f5c8a3d10' });

/** What a pod with a user namespace prints on the node, under the grant `containers`. */
export const REPORT: ProbeReport = {
  kind: 'ProbeReport',
  version: '0.1.0',
  uidRanges: [ids(131_072)],
  gidRanges: [ids(131_072)],
  noNewPrivileges: false,
  seccompMode: 2,
  boundingCapabilities: '00000000a80425fb',
  kernelRelease: '6.12.0',
  kernelVersion: 'Linux version 6.12.0 (debian-kernel@lists.debian.org) #1 SMP',
  bootId: '7f5e2b7a-8a8e-4a0e-9f43-1f1f5c8a3d10',
  procMounts: [],
  sysboxMounts: [],
  maxUserNamespaces: 63_000,
};

/** A cluster in which every check is ok, or does not apply. */
export const HEALTHY: FactValues = {
  serverVersion: { text: 'v1.36.3', major: 1, minor: 36 },
  gates: new Map([
    ['UserNamespacesSupport', true],
    ['ProcMountType', true],
    ['UserNamespacesHostNetworkSupport', false],
  ]),
  admission: {
    plugins: new Set([
      'MutatingAdmissionWebhook',
      'PodSecurity',
      'RuntimeClass',
      'ValidatingAdmissionPolicy',
      'ValidatingAdmissionWebhook',
    ]),
    entries: new Map([['userns.namespace.enforce.cloister.dev', { failedOpen: 0, slowestSeconds: 0.005 }]]),
  },
  hasPolicies: true,
  nodes: [nodeWith(), nodeWith({ name: 'worker-2' })],
  classes: backendsWithClass.map((backend) =>
    classWith(backend, {
      ...(backend.startsWith('kata') && {
        nodeSelector: { 'katacontainers.io/kata-runtime': 'true' },
        podFixed: { cpu: '250m', memory: '320Mi' },
      }),
      ...(backend === 'sysbox' && { nodeSelector: { 'sysbox-runtime': 'running' } }),
    }),
  ),
  namespaces: [namespace('team-a', 'userns')],
  governedPods: [governedPod()],
  neighbours: [],
  events: [],
  deployment: { replicas: 2, readyReplicas: 2, failures: [] },
  ownPods: [
    { name: 'cloister-1', node: 'worker-1', isReady: true },
    { name: 'cloister-2', node: 'worker-2', isReady: true },
  ],
  installerPods: ['worker-1', 'worker-2'].map((node) => installerPod(node)),
  budgets: [{ name: 'cloister', disruptionsAllowed: 1, expectedPods: 2, currentHealthy: 2 }],
  endpoints: [{ address: '10.1.2.3:8443', isReady: true }],
  servingPods: [servingPod()],
  entryDrift: [drift()],
  policyDrift: [drift()],
  webhooks: [],
  mutatingPolicies: [],
  authorities: [{ serial: '01', from: daysFromNow(-10), to: daysFromNow(355) }],
  ensureJob: { isSuspended: false, schedule: '17 * * * *', lastSuccess: daysFromNow(-0.01), created: daysFromNow(-9) },
  rbac: { roles: [], bindings: [] },
  claims: [],
  deviceClaims: [],
  quotas: [],
  limitRanges: [],
  networkPolicies: [{ namespace: 'team-a', limitsEgress: true }],
  probes: [probe()],
  labelProbe: undefined,
  kubelets: [kubelet()],
  proofs: [proof(), proof({}, { uidRanges: [ids(196_608)], gidRanges: [ids(196_608)] })],
};

export function factsWith(changed: Partial<FactValues> = {}): Facts {
  return Object.fromEntries(Object.entries({ ...HEALTHY, ...changed }).map(([name, value]) => [name, { value }])) as unknown as Facts;
}

/** @param lines of YAML, below the head of a configuration */
export function contextWith(lines = 'profiles: {userns: {grant: containers}}', more: Partial<Context> = {}): Context {
  const config = parseConfig(`apiVersion: cloister.dev/v1alpha1\nkind: Config\n${lines}\n`, 'config.yaml', { now: NOW });
  if (!config.ok) throw new Error(config.error.join('\n'));
  return {
    ...config.value,
    digest: 'c0ffee',
    version: '0.1.0',
    service: { namespace: 'cloister-system', name: 'cloister' },
    now: NOW,
    ...more,
  };
}

export function namespace(name: string, enforce?: string, more: Partial<Namespace> = {}): Namespace {
  const label = enforce === undefined ? {} : { 'cloister.dev/enforce': enforce };
  return {
    name,
    annotations: {},
    isTerminating: false,
    enforcedSince: daysFromNow(-5),
    ...more,
    labels: { 'kubernetes.io/metadata.name': name, ...label, ...more.labels },
  };
}

export function governedPod(more: Partial<GovernedPod> = {}): GovernedPod {
  return {
    namespace: 'team-a',
    name: 'workspace-1',
    uid: 'a1b2',
    created: daysFromNow(-1),
    phase: 'Running',
    isRunning: true,
    unreadySince: undefined,
    node: 'worker-1',
    hostNamespaces: [],
    hostUsers: false,
    runtimeClass: undefined,
    overhead: {},
    nodeSelector: {},
    tolerations: [],
    serviceAccount: 'default',
    hasToken: true,
    claims: [],
    readOnlyClaims: [],
    applied: { profile: 'userns', grant: 'containers' },
    labels: {},
    walls: ['userns'],
    containers: ['main'],
    unlimited: [],
    powerlessInits: [],
    ...more,
  };
}

/** A pod that does not start, and the event that says why. */
export function failing(reason: string, message: string, pod: Partial<GovernedPod> = {}): Pick<FactValues, 'governedPods' | 'events'> {
  const failed = governedPod({ phase: 'Pending', isRunning: false, ...pod });
  const { namespace: of, name: object, uid } = failed;
  return { governedPods: [failed], events: [{ namespace: of, kind: 'Pod', object, uid, reason, message, time: NOW }] };
}

export function installerPod(node: string, more: Partial<InstallerPod> = {}): InstallerPod {
  return { namespace: 'cloister-system', node, isReady: true, image: 'registry.example.com/cloister:0.1.0', ...more };
}

export function servingPod({
  leaf,
  ...more
}: Partial<Omit<ServingPodFact, 'leaf'>> & { readonly leaf?: Partial<ServingPodFact['leaf'] & object> } = {}): ServingPodFact {
  return {
    address: '10.1.2.3:8443',
    version: '0.1.0',
    configuration: 'c0ffee',
    problem: undefined,
    ...more,
    leaf: { serial: '02', from: daysFromNow(-5), to: daysFromNow(25), distrustedBy: [], coversService: true, ...leaf },
  };
}

/** A pod that does not answer. */
export const SILENT: ServingPodFact = {
  address: '10.1.2.3:8443',
  version: undefined,
  configuration: undefined,
  leaf: undefined,
  problem: '10.1.2.3:8443 does not answer: connect ECONNREFUSED',
};

export function drift(more: Partial<EntryDrift> = {}): EntryDrift {
  return { title: 'ValidatingWebhookConfiguration cloister', isMissing: false, differences: [], foreign: [], isHandsOff: false, ...more };
}

export function probe(more: Partial<Probe> = {}): Probe {
  return { namespace: 'team-a', profile: 'userns', pod: 'grant', outcome: { is: 'admitted', pod: PROBED }, ...more };
}

export const rejected = (message: string, more: Partial<Probe> = {}, status = 403): Probe =>
  probe({ ...more, outcome: { is: 'rejected', status, message } });

export const role = (name: string, group: string, resource: string, verbs: readonly string[], more: Partial<Role> = {}): Role => ({
  name,
  rules: [{ apiGroups: [group], resources: [resource], verbs }],
  ...more,
});

export const binding = (name: string, subject: string, more: Partial<Binding> = {}): Binding => {
  const [kind = '', path = ''] = subject.split(' ');
  const [first = '', second] = path.split('/');
  return {
    name: `${name}-binding`,
    role: { kind: 'ClusterRole', name },
    subjects: [second === undefined ? { kind, name: first } : { kind, namespace: first, name: second }],
    ...more,
  };
};

export function webhook(name: string, entry: Partial<LiveEntry> = {}, kind: 'Mutating' | 'Validating' = 'Mutating'): LiveConfiguration {
  return {
    kind: `${kind}WebhookConfiguration`,
    name,
    entries: [
      {
        name: `${name}.example.com`,
        clientConfig: {},
        rules: [{ apiGroups: [''], resources: ['pods'], operations: ['CREATE'] }],
        failurePolicy: 'Fail',
        timeoutSeconds: 10,
        ...entry,
      },
    ],
  };
}

/** A pod of `--run`. @param report what differs in what it prints */
export function proof(more: Partial<Proof> = {}, report: Partial<ProbeReport> = {}): Proof {
  return {
    profile: 'userns',
    namespace: 'team-a',
    node: WORKER,
    outcome: { is: 'ran', report: { ...REPORT, ...report }, seccompProfiles: ['cloister/workspace.json'] },
    leftBehind: undefined,
    ...more,
  };
}

/** The ids of a pod, from the given one of its node on. */
export function ids(outside: number, length = 65_536): IdRange {
  return { inside: 0, outside, length };
}

export function kubelet(said: Partial<KubeletConfiguration & KubeletMetrics> = {}, node = 'worker-1'): KubeletFact {
  const { idsPerPod, ...metrics } = { idsPerPod: 65_536, userNamespaceErrors: 0, cgroupVersion: 2, ...said };
  return { node, configuration: { value: { idsPerPod } }, metrics: { value: metrics } };
}
