import type { Context, Level } from '../../src/doctor/check.ts';
import type { FactValues, KubeletFact } from '../../src/doctor/facts.ts';
import {
  binding,
  contextWith,
  daysFromNow,
  drift,
  governedPod,
  HEALTHY,
  kubelet,
  namespace,
  PROBED,
  probe,
  rejected,
  role,
  SILENT,
  servingPod,
  webhook,
} from '../support/doctor-facts.ts';
import { nodeWith } from '../support/live-facts.ts';
import { provingCases } from './proof-cases.ts';

/** What a check answers to some facts. */
export interface Case {
  readonly title: string;
  /** Those that differ from a healthy cluster. */
  readonly facts?: Partial<FactValues>;
  readonly context?: Context;
  /** Each with a part of its message; empty: the check is left out. */
  readonly answers: readonly (readonly [level: Level, message: RegExp])[];
}

const ok: Case = { title: 'a healthy cluster', answers: [['ok', /./]] };
const kata = contextWith('profiles: {kata-qemu: {}}');
const leftOutFor = (title: string, context: Context): Case => ({ title, context, answers: [] });
const metricsOf = (name: string, failedOpen: number, slowestSeconds: number): Partial<FactValues> => ({
  admission: { ...HEALTHY.admission, entries: new Map([[name, { failedOpen, slowestSeconds }]]) },
});
const nodes = (...versions: readonly string[]): Partial<FactValues> => ({
  nodes: versions.map((kubelet, index) => nodeWith({ name: `worker-${index}`, kubelet })),
});
const version = (minor: number): FactValues['serverVersion'] => ({ text: `v1.${minor}.0`, major: 1, minor });
const silent: Case = { title: 'a pod that cannot be asked', facts: { servingPods: [SILENT] }, answers: [['unknown', /ECONNREFUSED/]] };
const partlySilent: Case = {
  title: 'one of two pods that cannot be asked',
  facts: { servingPods: [servingPod(), { ...SILENT, address: '10.1.2.4:8443' }] },
  answers: [['unknown', /^10\.1\.2\.4:8443 cannot be asked/]],
};
const noPods: Case = { title: 'no serving pod', facts: { servingPods: [] }, answers: [] };
const psa = (level: string, profile = 'userns', key = 'enforce', psaVersion?: string) => ({
  namespaces: [
    namespace('team-a', profile, {
      labels: {
        [`pod-security.kubernetes.io/${key}`]: level,
        ...(psaVersion !== undefined && { [`pod-security.kubernetes.io/${key}-version`]: psaVersion }),
      },
    }),
  ],
});
const claim = (storage: string | undefined): Partial<FactValues> => ({
  governedPods: [governedPod({ claims: ['home'] })],
  claims: [
    { namespace: 'team-a', name: 'home', volume: 'pv-1', storage },
    { namespace: 'team-b', name: 'home', volume: 'pv-2', storage: 'nfs' },
  ],
});
const bound = (subject: string, ...given: Parameters<typeof role>): Partial<FactValues> => ({
  rbac: { roles: [role(...given)], bindings: [binding(given[0], subject)] },
});
const FORBIDDEN = 'pods is forbidden: User "ci" cannot create resource "pods" in API group "" in the namespace "team-a"';
const BY_POLICY =
  "pods \"probe\" is forbidden: ValidatingAdmissionPolicy 'cloister-profile-userns' with binding 'cloister-profile-userns-namespace' denied request: user-namespace: hostUsers is not false";
const UNREACHABLE =
  'Internal error occurred: failed calling webhook "userns.namespace.enforce.cloister.dev": failed to call webhook: Post "https://cloister.cloister-system.svc:443/mutate/userns?timeout=3s": dial tcp 10.0.0.7:443: i/o timeout';
const PSA_REFUSAL =
  'pods "x" is forbidden: violates PodSecurity "baseline:v1.34": procMount (container "workspace" must not set securityContext.procMount to "Unmasked")';

/** Answers that say nothing about Cloister. */
const NO_DECISIONS = (
  [
    [404, 'namespaces "team-a" not found'],
    [429, 'too many requests'],
    [500, 'Internal error occurred: etcdserver: leader changed'],
    [504, 'Timeout: request did not complete within the allotted timeout'],
    [403, 'pods "x" is forbidden: unable to create new content in namespace team-a because it is being terminated'],
  ] as const
).map(
  ([status, message]): Case => ({
    title: `${status} ${message}`,
    facts: { probes: [rejected(message, {}, status)] },
    answers: [['unknown', /no dry run of a pod succeeded in team-a: the API server says: /]],
  }),
);

/** Of the checks that need no facts about nodes; the others are in `node-cases.ts`. */
const MUTE: KubeletFact = { node: 'worker-3', configuration: { missing: 'no answer' }, metrics: { missing: 'no answer' } };
const idsOf = (idsPerPod: number) => contextWith(`profiles: {userns: {grant: containers, idsPerPod: ${idsPerPod}}}`);

export const cases: Readonly<Record<string, readonly Case[]>> = {
  'api-version': [
    ok,
    { title: 'Kubernetes 1.29', facts: { serverVersion: version(29) }, answers: [['error', /v1\.29\.0: Cloister needs Kubernetes 1\.30/]] },
    {
      title: 'Kubernetes 1.32 with userns',
      facts: { serverVersion: version(32) },
      answers: [['warning', /tests Kubernetes 1\.33 to 1\.37, and .* off by default before 1\.33/]],
    },
    {
      title: 'Kubernetes 1.32 with Kata alone',
      facts: { serverVersion: version(32) },
      context: kata,
      answers: [['warning', /tests Kubernetes 1\.33 to 1\.37$/]],
    },
    { title: 'Kubernetes 1.33', facts: { serverVersion: version(33) }, answers: [['ok', /./]] },
    { title: 'Kubernetes 1.37', facts: { serverVersion: version(37) }, answers: [['ok', /./]] },
    {
      title: 'Kubernetes 1.38',
      facts: { serverVersion: version(38) },
      answers: [['info', /v1\.38\.0: Cloister supports and tests Kubernetes 1\.33 to 1\.37/]],
    },
    { title: 'Kubernetes 2', facts: { serverVersion: { text: 'v2.0.0', major: 2, minor: 0 } }, answers: [['info', /v2\.0\.0/]] },
  ],
  'api-gate-userns': [
    ok,
    leftOutFor('Kata', kata),
    { title: 'the gate is off', facts: { gates: new Map([['UserNamespacesSupport', false]]) }, answers: [['error', /drops hostUsers/]] },
    { title: 'the gate is not reported', facts: { gates: new Map() }, answers: [['unknown', /UserNamespacesSupport/]] },
  ],
  'api-gate-procmount': [
    ok,
    leftOutFor('grant sudo', contextWith('profiles: {userns: {}}')),
    { title: 'the gate is off', facts: { gates: new Map([['ProcMountType', false]]) }, answers: [['error', /drops procMount/]] },
    { title: 'the gate is not reported', facts: { gates: new Map() }, answers: [['unknown', /ProcMountType/]] },
  ],
  'api-gate-hostnet': [
    ok,
    { title: 'the gate is on', facts: { gates: new Map([['UserNamespacesHostNetworkSupport', true]]) }, answers: [['info', /is on/]] },
  ],
  'api-policies': [
    ok,
    { title: 'an API server without policies', facts: { hasPolicies: false }, answers: [['error', /no ValidatingAdmissionPolicy/]] },
  ],
  'api-skew': [
    ok,
    { title: 'a kubelet 3 versions behind', facts: nodes('v1.33.1-eks-1234567'), answers: [['ok', /./]] },
    {
      title: 'kubelets 4 versions behind',
      facts: nodes('v1.32.9+k3s1', 'v1.32.0', 'v1.32.4-gke.100', 'v1.36.0'),
      answers: [['warning', /3 of 4 .* \(worker-0, worker-1, \+1\)/]],
    },
    { title: 'a newer kubelet', facts: nodes('v1.37.0'), answers: [['warning', /1 of 1 kubelets are newer/]] },
    { title: 'a version that cannot be read', facts: nodes('latest'), answers: [['unknown', /cannot be read \(worker-0\)/]] },
  ],
  'api-plugins': [
    ok,
    {
      title: 'a plug-in that was never called',
      facts: { admission: { ...HEALTHY.admission, plugins: new Set(['PodSecurity']) } },
      answers: [['unknown', /RuntimeClass/]],
    },
  ],
  'api-pressure': [
    ok,
    {
      title: 'an entry that enforces',
      facts: metricsOf('userns.pod.enforce.cloister.dev', 3, 0),
      answers: [['error', /failed, and 3 requests .*failurePolicy of these entries must be Fail/]],
    },
    {
      title: 'an entry that audits',
      facts: metricsOf('userns.namespace.audit.cloister.dev', 2, 0),
      answers: [['warning', /failed, and 2 requests .*no record was written/]],
    },
    {
      title: 'an entry that advises',
      facts: metricsOf('userns.workload.enforce.cloister.dev', 2, 0),
      answers: [['warning', /failed, and 2 requests .*no record was written/]],
    },
  ],
  'api-latency': [
    ok,
    { title: 'slow calls', facts: metricsOf('userns.pod.enforce.cloister.dev', 0, 0.1), answers: [['warning', /longer than 100 ms/]] },
    {
      title: 'calls near the timeout',
      facts: metricsOf('userns.pod.enforce.cloister.dev', 0, 1),
      answers: [['error', /longer than 1000 ms/]],
    },
  ],
  'pods-ready': [
    ok,
    { title: 'no Deployment', facts: { deployment: undefined }, answers: [['error', /no Deployment cloister-system\/cloister/]] },
    {
      title: 'no ready pod',
      facts: { ownPods: [{ name: 'a', node: 'worker-1', isReady: false }] },
      answers: [['error', /no serving pod is ready/]],
    },
    {
      title: 'one ready pod',
      facts: { ownPods: [{ name: 'a', node: 'worker-1', isReady: true }] },
      answers: [['warning', /one serving pod/]],
    },
    {
      title: 'all pods on one node',
      facts: { ownPods: ['a', 'b'].map((name) => ({ name, node: 'worker-1', isReady: true })) },
      answers: [['warning', /on node worker-1/]],
    },
  ],
  'pods-config': [
    ok,
    silent,
    partlySilent,
    noPods,
    {
      title: 'another configuration',
      facts: { servingPods: [servingPod(), servingPod({ configuration: 'beef' })] },
      answers: [['warning', /1 of 2 .* configuration/]],
    },
    { title: 'another version', facts: { servingPods: [servingPod({ version: '0.0.9' })] }, answers: [['warning', /0\.0\.9/]] },
  ],
  'entries-drift': [
    ok,
    { title: 'no entries', facts: { entryDrift: [drift({ isMissing: true })] }, answers: [['error', /is missing/]] },
    {
      title: 'a changed entry',
      facts: { entryDrift: [drift({ differences: ['a.cloister.dev: failurePolicy is "Ignore" instead of "Fail"', 'b'] })] },
      answers: [['error', /failurePolicy.*\(and 1 more\)/]],
    },
    {
      title: 'an entry too many',
      facts: { entryDrift: [drift({ foreign: ['old.pod.enforce.cloister.dev'] })] },
      answers: [['warning', /old\.pod/]],
    },
  ],
  'entries-backend': [
    ok,
    silent,
    partlySilent,
    noPods,
    {
      title: 'new entries and an old pod',
      facts: { servingPods: [servingPod({ configuration: 'beef' })] },
      answers: [['error', /1 of 1 serving pods run another one/]],
    },
    {
      title: 'old entries and an old pod',
      facts: { servingPods: [servingPod({ configuration: 'beef' })], entryDrift: [drift({ isMissing: true })] },
      answers: [['ok', /./]],
    },
  ],
  'ca-matches': [
    ok,
    silent,
    partlySilent,
    noPods,
    {
      title: 'an authority that an entry does not have',
      facts: { servingPods: [servingPod({ leaf: { distrustedBy: ['a.cloister.dev'] } })] },
      answers: [['error', /caBundle of a\.cloister\.dev/]],
    },
    {
      title: 'a certificate of another name',
      facts: { servingPods: [servingPod({ leaf: { coversService: false } })] },
      answers: [['error', /does not cover cloister\.cloister-system\.svc/]],
    },
  ],
  'cert-expiry': [
    ok,
    silent,
    partlySilent,
    noPods,
    {
      title: 'an expired certificate',
      facts: { servingPods: [servingPod({ leaf: { to: daysFromNow(-1) } })] },
      answers: [['error', /expired at 2026-11-29 12:00/]],
    },
    {
      title: 'a certificate that is not valid yet',
      facts: { servingPods: [servingPod({ leaf: { from: daysFromNow(0.1), to: daysFromNow(30) } })] },
      answers: [['error', /is not valid before 2026-11-30 14:24/]],
    },
    {
      title: 'a certificate of the last day',
      facts: { servingPods: [servingPod({ leaf: { to: daysFromNow(0.5) } })] },
      answers: [['error', /expires at/]],
    },
    {
      title: 'a certificate in its last third',
      facts: { servingPods: [servingPod({ leaf: { from: daysFromNow(-25), to: daysFromNow(5) } })] },
      answers: [['warning', /less than a third/]],
    },
  ],
  'ca-expiry': [
    ok,
    {
      title: 'an authority that expires soon',
      facts: { authorities: [{ serial: '01', from: daysFromNow(-300), to: daysFromNow(29) }] },
      answers: [['warning', /expires at .* \(serial 01\)/]],
    },
    {
      title: 'an expired authority',
      facts: { authorities: [{ serial: '01', from: daysFromNow(-300), to: daysFromNow(-1) }] },
      answers: [['warning', /expired at/]],
    },
  ],
  'ensure-runs': [
    ok,
    { title: 'no CronJob', facts: { ensureJob: undefined }, answers: [['warning', /there is no CronJob/]] },
    {
      title: 'a suspended CronJob',
      facts: { ensureJob: { ...HEALTHY.ensureJob, isSuspended: true } as FactValues['ensureJob'] },
      answers: [['error', /is suspended/]],
    },
    {
      title: 'a last success four hours ago',
      facts: { ensureJob: { ...HEALTHY.ensureJob, lastSuccess: daysFromNow(-4 / 24) } as FactValues['ensureJob'] },
      answers: [['warning', /last succeeded at 2026-11-30 08:00/]],
    },
    {
      title: 'no success since its creation',
      facts: { ensureJob: { isSuspended: false, schedule: '17 * * * *', lastSuccess: undefined, created: daysFromNow(-1) } },
      answers: [['warning', /has never succeeded/]],
    },
    {
      title: 'a new CronJob',
      facts: { ensureJob: { isSuspended: false, schedule: '17 * * * *', lastSuccess: undefined, created: daysFromNow(-0.1) } },
      answers: [['ok', /./]],
    },
    ...(
      [
        ['17 */6 * * *', 17, 'ok'],
        ['17 */6 * * *', 19, 'warning'],
        ['0 3 * * *', 71, 'ok'],
        ['0 3 * * *', 73, 'warning'],
        ['@daily', 71, 'ok'],
        ['@hourly', 4, 'warning'],
        ['0 3 * * 0', 20 * 24, 'ok'],
        ['0 3 * * 0', 22 * 24, 'warning'],
      ] as const
    ).map(
      ([schedule, hours, level]): Case => ({
        title: `schedule ${schedule}, ${hours} hours after the last success`,
        facts: { ensureJob: { isSuspended: false, schedule, lastSuccess: daysFromNow(-hours / 24), created: daysFromNow(-60) } },
        answers: [[level, /./]],
      }),
    ),
  ],
  'service-endpoints': [
    ok,
    { title: 'no endpoint', facts: { endpoints: [] }, answers: [['error', /has no endpoint/]] },
    {
      title: 'no ready endpoint',
      facts: { endpoints: [{ address: '10.1.2.3:8443', isReady: false }] },
      answers: [['error', /none of the 1 endpoints/]],
    },
  ],
  'label-policy': [
    ok,
    { title: 'an API server without policies', facts: { hasPolicies: false }, answers: [] },
    {
      title: 'a missing policy',
      facts: { policyDrift: [drift({ title: 'ValidatingAdmissionPolicy cloister-pods', isMissing: true })] },
      answers: [['error', /cloister-pods is missing/]],
    },
    {
      title: 'a changed binding, hands-off',
      facts: { policyDrift: [drift({ differences: ['spec.validationActions[0] is "Audit" instead of "Deny"'], isHandsOff: true })] },
      answers: [['error', /"Audit" instead of "Deny"$/]],
    },
  ],
  'label-holders': [
    ok,
    {
      title: 'a group of everyone',
      facts: bound('Group system:authenticated', 'cloister-labeler', 'cloister.dev', 'profiles', ['label']),
      answers: [['warning', /Group system:authenticated may change the labels/]],
    },
    {
      title: 'a user',
      facts: bound('User anna', 'cloister-labeler', 'cloister.dev', 'profiles', ['label']),
      answers: [['info', /User anna/]],
    },
    { title: 'a role of wildcards', facts: bound('User bob', 'all', '*', '*', ['*']), answers: [['info', /User bob/]] },
    {
      title: 'an administrator by the role cluster-admin',
      facts: bound('User root', 'cluster-admin', '*', '*', ['*']),
      answers: [['ok', /./]],
    },
    {
      title: 'everyone, by the role cluster-admin',
      facts: bound('Group system:authenticated', 'cluster-admin', '*', '*', ['*']),
      answers: [['warning', /Group system:authenticated/]],
    },
    { title: 'the administrators', facts: bound('Group system:masters', 'cluster-admin', '*', '*', ['*']), answers: [['ok', /./]] },
    {
      title: 'a controller of Kubernetes',
      facts: bound('ServiceAccount kube-system/generic-garbage-collector', 'all', '*', '*', ['*']),
      answers: [['ok', /./]],
    },
    { title: 'another verb', facts: bound('User anna', 'reader', 'cloister.dev', 'profiles', ['get']), answers: [['ok', /./]] },
  ],
  'platform-labels': [
    ok,
    {
      title: 'a platform that may create namespaces',
      facts: { ...bound('ServiceAccount che/che', 'che', '', 'namespaces', ['create']), namespaces: [namespace('anna-che')] },
      answers: [['warning', /ServiceAccount che\/che may create or change namespaces/]],
    },
    {
      title: 'the same where every namespace is labelled',
      facts: bound('ServiceAccount che/che', 'che', '', 'namespaces', ['create']),
      answers: [['ok', /./]],
    },
    {
      title: 'the same where the other namespaces are those of Kubernetes',
      facts: {
        ...bound('ServiceAccount che/che', 'che', '', 'namespaces', ['create']),
        namespaces: [namespace('default'), namespace('kube-public')],
      },
      answers: [['ok', /./]],
    },
    {
      title: 'the same where the configuration governs the namespace',
      facts: { ...bound('ServiceAccount che/che', 'che', '', 'namespaces', ['create']), namespaces: [namespace('anna-che')] },
      context: contextWith("profiles: {userns: {}}\ngoverns: [{namespaces: ['*-che'], enforce: userns}]"),
      answers: [['ok', /./]],
    },
    {
      title: 'a platform that may label, too',
      facts: {
        namespaces: [namespace('anna-che')],
        rbac: {
          roles: [role('che', '', 'namespaces', ['create']), role('cloister-labeler', 'cloister.dev', 'profiles', ['label'])],
          bindings: [binding('che', 'ServiceAccount che/che'), binding('cloister-labeler', 'ServiceAccount che/che')],
        },
      },
      answers: [['ok', /./]],
    },
  ],
  'webhook-writers': [
    ok,
    {
      title: 'another writer of webhook configurations',
      facts: bound('ServiceAccount mesh/istiod', 'istiod', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', ['patch']),
      answers: [['warning', /ServiceAccount mesh\/istiod/]],
    },
    {
      title: '`cloister ensure`',
      facts: bound(
        'ServiceAccount cloister-system/cloister-ensure',
        'ensure',
        'admissionregistration.k8s.io',
        'mutatingwebhookconfigurations',
        ['update'],
      ),
      answers: [['ok', /./]],
    },
    {
      title: 'a reader',
      facts: bound('User anna', 'r', 'admissionregistration.k8s.io', 'mutatingwebhookconfigurations', ['list']),
      answers: [['ok', /./]],
    },
  ],
  'hands-off': [
    ok,
    {
      title: 'a marked policy',
      facts: { policyDrift: [drift({ title: 'ValidatingAdmissionPolicy cloister-pods', isHandsOff: true })] },
      answers: [['warning', /cloister-pods/]],
    },
  ],
  exemptions: [
    leftOutFor('no exemption', contextWith()),
    { title: 'an exemption in force', context: exempting('2031-01-01', 'team-*'), answers: [['ok', /./]] },
    {
      title: 'an exemption that ends',
      context: exempting('2026-12-10', 'team-*'),
      answers: [['warning', /exemptions\[0\] \(mesh\) expires at/]],
    },
    { title: 'an exemption that has ended', context: exempting('2026-01-01', 'team-*'), answers: [['warning', /expired at/]] },
    { title: 'an exemption for nothing', context: exempting('2031-01-01', 'gone'), answers: [['info', /matches no namespace/]] },
  ],
  disruption: [
    ok,
    { title: 'one replica', facts: { deployment: { replicas: 1, readyReplicas: 1, failures: [] } }, answers: [] },
    { title: 'no PodDisruptionBudget', facts: { budgets: [] }, answers: [['warning', /no PodDisruptionBudget/]] },
    {
      title: 'a budget that allows nothing',
      facts: { budgets: [{ name: 'b', disruptionsAllowed: 0, expectedPods: 2, currentHealthy: 2 }] },
      answers: [['warning', /allows no eviction/]],
    },
    {
      title: 'a budget while a pod is down',
      facts: { budgets: [{ name: 'b', disruptionsAllowed: 0, expectedPods: 2, currentHealthy: 1 }] },
      answers: [['ok', /./]],
    },
  ],
  'priority-quota': [
    ok,
    { title: 'no Deployment', facts: { deployment: undefined }, answers: [] },
    {
      title: 'pods that the quota forbids',
      facts: {
        deployment: {
          replicas: 2,
          readyReplicas: 0,
          failures: [
            'pods "cloister-x" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [system-cluster-critical]}]',
          ],
        },
      },
      answers: [['error', /insufficient quota/]],
    },
  ],
  'label-unknown': [
    ok,
    {
      title: 'a typing error',
      facts: { namespaces: [namespace('team-x', 'usern')] },
      answers: [['error', /team-x: .*"usern".*did you mean userns\?/]],
    },
    {
      title: 'another mode',
      facts: { namespaces: [namespace('team-x', undefined, { labels: { 'cloister.dev/audit': 'gone' } })] },
      answers: [['warning', /audit names profile "gone"/]],
    },
    {
      title: 'a namespace that is not checked',
      facts: { namespaces: [namespace('team-x', 'usern')] },
      context: contextWith(undefined, { only: ['team-a'] }),
      answers: [['ok', /./]],
    },
  ],
  'label-excluded': [
    ok,
    {
      title: "Cloister's own namespace",
      facts: { namespaces: [namespace('cloister-system', 'userns')] },
      answers: [['warning', /label of cloister-system has no effect/]],
    },
    {
      title: 'kube-system',
      facts: { namespaces: [namespace('kube-system', undefined, { labels: { 'cloister.dev/warn': 'userns' } })] },
      answers: [['warning', /kube-system/]],
    },
  ],
  'pods-older': [
    ok,
    {
      title: 'a pod that is older than the label',
      facts: { governedPods: [governedPod({ applied: undefined, created: daysFromNow(-9) })] },
      answers: [
        [
          'warning',
          /pods in team-a that were not created under profile userns, or are older than the label of the namespace: 1 \(workspace-1\); older than the label: 1/,
        ],
      ],
    },
    {
      title: 'a pod with the mark that is older than the label',
      facts: { governedPods: [governedPod({ created: daysFromNow(-9) })] },
      answers: [
        [
          'warning',
          /pods in team-a that were not created under profile userns, or are older than the label of the namespace: 1 \(workspace-1\); older than the label: 1/,
        ],
      ],
    },
    {
      title: 'a pod with the mark, by the configuration',
      facts: {
        governedPods: [governedPod({ created: daysFromNow(-9) })],
        namespaces: [namespace('team-a', undefined, { enforcedSince: undefined })],
      },
      context: contextWith('profiles: {userns: {grant: containers}}\ndefault: {enforce: userns}'),
      answers: [['ok', /./]],
    },
    {
      title: 'a pod that was never repaired',
      facts: { governedPods: [governedPod({ applied: undefined })] },
      answers: [['warning', /: 1 \(workspace-1\)$/]],
    },
    {
      title: 'a pod of another profile',
      facts: { governedPods: [governedPod({ applied: { profile: 'kata-qemu', grant: 'sudo' } })] },
      answers: [['warning', /not created under profile userns/]],
    },
    {
      title: 'a pod that chose another profile',
      facts: {
        governedPods: [governedPod({ applied: { profile: 'kata-qemu', grant: 'sudo' }, labels: { 'cloister.dev/profile': 'kata-qemu' } })],
      },
      context: contextWith('profiles: {userns: {mayChoose: [kata-qemu]}, kata-qemu: {}}'),
      answers: [['ok', /./]],
    },
  ],
  'pod-label-clash': [
    ok,
    {
      title: 'a pod that names another profile',
      facts: { governedPods: [governedPod({ labels: { 'cloister.dev/profile': 'kata-qemu' } })] },
      answers: [['error', /profile=kata-qemu of team-a\/workspace-1/]],
    },
    {
      title: 'a pod that names the profile',
      facts: { governedPods: [governedPod({ labels: { 'cloister.dev/profile': 'userns' } })] },
      answers: [['ok', /./]],
    },
  ],
  'psa-level': [
    ok,
    {
      title: 'baseline of version 1.34',
      facts: psa('baseline', 'userns', 'enforce', 'v1.34'),
      answers: [['error', /team-a: Pod Security baseline v1\.34 refuses procMount Unmasked/]],
    },
    { title: 'baseline of version 1.35', facts: psa('baseline', 'userns', 'enforce', 'v1.35'), answers: [['ok', /./]] },
    { title: 'baseline of the latest version', facts: psa('baseline'), answers: [['ok', /./]] },
    {
      title: 'baseline of the latest version, which is 1.34',
      facts: { ...psa('baseline'), serverVersion: version(34) },
      answers: [['error', /Pod Security baseline latest refuses procMount Unmasked/]],
    },
    {
      title: 'baseline of a version that the API server does not know yet',
      facts: { ...psa('baseline', 'userns', 'enforce', 'v1.35'), serverVersion: version(34) },
      answers: [['error', /Pod Security baseline v1\.35 refuses procMount Unmasked/]],
    },
    { title: 'restricted', facts: psa('restricted'), answers: [['error', /privilege escalation/]] },
    {
      title: "Cloister's own namespace",
      facts: { namespaces: [namespace('cloister-system', 'userns', { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } })] },
      answers: [['ok', /./]],
    },
    { title: 'privileged', facts: psa('privileged'), answers: [['ok', /./]] },
    {
      title: 'baseline under Kata with containers',
      facts: psa('baseline', 'kata-qemu'),
      context: contextWith('profiles: {kata-qemu: {grant: containers}}'),
      answers: [['error', /capabilities .*SYS_ADMIN/]],
    },
    {
      title: 'baseline with AppArmor Unconfined',
      facts: psa('baseline'),
      context: contextWith('profiles: {userns: {grant: containers, appArmorProfile: Unconfined}}'),
      answers: [['error', /AppArmor/]],
    },
    {
      title: 'baseline with privileged guests',
      facts: psa('baseline', 'kata-qemu'),
      context: contextWith('profiles: {kata-qemu: {grant: containers, guestPrivileged: true}}'),
      answers: [['error', /privileged containers/]],
    },
    {
      title: 'restricted under grant none',
      facts: psa('restricted'),
      context: contextWith('profiles: {userns: {grant: none}}'),
      answers: [['ok', /./]],
    },
  ],
  'psa-noise': [
    ok,
    { title: 'warn at restricted', facts: psa('restricted', 'userns', 'warn'), answers: [['info', /Pod Security warns about every pod/]] },
  ],
  'grant-to': [
    leftOutFor('a profile without grantTo', contextWith()),
    { title: 'a container that matches', context: contextWith('profiles: {userns: {grantTo: [ma*]}}'), answers: [['ok', /./]] },
    {
      title: 'no container that matches',
      context: contextWith('profiles: {userns: {grantTo: [tooling-*]}}'),
      answers: [['warning', /\[tooling-\*\] matches no container in team-a \(pods: 1\)/]],
    },
  ],
  quota: [
    ok,
    { title: 'a quota with space', facts: quotaOf('8', '9'), answers: [['ok', /./]] },
    { title: 'a full quota', facts: quotaOf('95', '100'), answers: [['warning', /pods 95 of 100/]] },
    { title: 'a quota of zero', facts: quotaOf('0', '0'), answers: [['warning', /pods 0 of 0/]] },
    {
      title: 'memory with suffixes',
      facts: quotaOf('950Mi', '1Gi', 'requests.memory'),
      answers: [['warning', /requests\.memory 950Mi of 1Gi/]],
    },
    {
      title: 'a full quota of an ungoverned namespace',
      facts: { ...quotaOf('95', '100'), namespaces: [namespace('team-a')] },
      answers: [['ok', /./]],
    },
  ],
  'limit-range': [
    leftOutFor('userns', contextWith()),
    { title: 'no LimitRange', context: kata, answers: [['ok', /./]] },
    {
      title: 'a small default under Kata',
      facts: { ...limitOf('128Mi'), namespaces: [namespace('team-a', 'kata-qemu')] },
      context: kata,
      answers: [['warning', /128Mi/]],
    },
    {
      title: 'a large default under Kata',
      facts: { ...limitOf('1Gi'), namespaces: [namespace('team-a', 'kata-qemu')] },
      context: kata,
      answers: [['ok', /./]],
    },
  ],
  'no-limits': [
    leftOutFor('userns', contextWith()),
    { title: 'no pod', context: kata, answers: [['ok', /./]] },
    {
      title: 'a pod without a memory limit under Kata',
      facts: { governedPods: [governedPod({ unlimited: ['main'] })], namespaces: [namespace('team-a', 'kata-qemu')] },
      context: kata,
      answers: [['warning', /pods in team-a without a memory limit: 1 \(workspace-1\)/]],
    },
    {
      title: 'a pod with limits under Kata',
      facts: { governedPods: [governedPod()], namespaces: [namespace('team-a', 'kata-qemu')] },
      context: kata,
      answers: [['ok', /./]],
    },
  ],
  'metadata-access': [
    ok,
    { title: 'no policy', facts: { networkPolicies: [] }, answers: [['info', /limits egress in team-a/]] },
    {
      title: 'a policy for ingress',
      facts: { networkPolicies: [{ namespace: 'team-a', limitsEgress: false }] },
      answers: [['info', /team-a/]],
    },
    {
      title: 'a policy of another namespace',
      facts: { networkPolicies: [{ namespace: 'team-b', limitsEgress: true }] },
      answers: [['info', /team-a/]],
    },
  ],
  'volume-idmap': [
    ok,
    leftOutFor('Kata', kata),
    { title: 'block storage', facts: claim('ebs.csi.aws.com'), answers: [['ok', /./]] },
    { title: 'a claim that is not bound', facts: claim(undefined), answers: [['ok', /./]] },
    { title: 'NFS', facts: claim('nfs'), answers: [['error', /claims of workspaces on nfs: 1 \(team-a\/home\); this file system/]] },
    { title: 'EFS', facts: claim('efs.csi.aws.com'), answers: [['error', /efs/]] },
    { title: 'CephFS of Rook', facts: claim('rook-ceph.cephfs.csi.ceph.com'), answers: [['warning', /only new kernels/]] },
  ],
  'volume-hostpath': [ok, { title: 'a hostPath volume', facts: claim('hostPath'), answers: [['warning', /team-a\/home/]] }],
  'openshift-range': [
    ok,
    leftOutFor('Kata', kata),
    {
      title: 'the range of OpenShift',
      facts: { namespaces: [namespace('team-a', 'userns', { annotations: { 'openshift.io/sa.scc.uid-range': '1000650000/10000' } })] },
      answers: [['error', /ids above 65536/]],
    },
    {
      title: 'a small range',
      facts: { namespaces: [namespace('team-a', 'userns', { annotations: { 'openshift.io/sa.scc.uid-range': '1000/1000' } })] },
      answers: [['ok', /./]],
    },
  ],
  'service-account-rights': [
    ok,
    {
      title: 'cluster-admin',
      facts: bound('ServiceAccount team-a/default', 'cluster-admin', '*', '*', ['*']),
      answers: [['error', /team-a\/default, with get and list and watch on secrets in the whole cluster/]],
    },
    ...[
      'User system:serviceaccount:team-a:default',
      'Group system:serviceaccounts:team-a',
      'Group system:serviceaccounts',
      'Group system:authenticated',
      'Group system:unauthenticated',
    ].map(
      (subject): Case => ({
        title: `create on pods in the whole cluster, by ${subject}`,
        facts: bound(subject, 'runner', '', 'pods', ['create']),
        answers: [['error', /team-a\/default, with create on pods in the whole cluster/]],
      }),
    ),
    ...[
      'User system:serviceaccount:team-b:default',
      'Group system:serviceaccounts:team-b',
      'Group system:masters',
      'ServiceAccount team-b/default',
    ].map(
      (subject): Case => ({
        title: `create on pods for others: ${subject}`,
        facts: bound(subject, 'runner', '', 'pods', ['create']),
        answers: [['ok', /./]],
      }),
    ),
    ...(
      [
        ['', 'pods/exec', 'create'],
        ['', 'pods/exec', 'get'],
        ['', '*/attach', 'create'],
        ['', 'pods/ephemeralcontainers', 'patch'],
        ['', 'serviceaccounts/token', 'create'],
        ['', 'nodes/proxy', 'get'],
        ['apps', 'deployments', 'create'],
        ['batch', 'cronjobs', 'create'],
        ['', 'groups', 'impersonate'],
        ['rbac.authorization.k8s.io', 'clusterroles', 'bind'],
        ['rbac.authorization.k8s.io', 'clusterroles', 'escalate'],
        ['admissionregistration.k8s.io', 'mutatingwebhookconfigurations', 'create'],
        ['admissionregistration.k8s.io', 'validatingadmissionpolicybindings', 'delete'],
        ['admissionregistration.k8s.io', 'mutatingadmissionpolicies', 'update'],
        ['cloister.dev', 'profiles', 'label'],
      ] as const
    ).map(
      ([group, resource, verb]): Case => ({
        title: `${verb} on ${resource} in the whole cluster`,
        facts: bound('ServiceAccount team-a/default', 'r', group, resource, [verb]),
        answers: [['error', new RegExp(`with ${verb} on [a-z/.0-9]+ in the whole cluster`)]],
      }),
    ),
    {
      title: 'questions about itself, which every identity may ask',
      facts: bound('Group system:authenticated', 'system:basic-user', 'authorization.k8s.io', 'selfsubjectaccessreviews', ['create']),
      answers: [['ok', /./]],
    },
    {
      title: 'pods/exec in its namespace',
      facts: {
        rbac: {
          roles: [role('exec', '', 'pods/exec', ['get'])],
          bindings: [binding('exec', 'ServiceAccount team-a/default', { namespace: 'team-a' })],
        },
      },
      answers: [['warning', /may do more than read/]],
    },
    {
      title: 'edit in another namespace',
      facts: {
        rbac: {
          roles: [role('edit', 'apps', 'deployments', ['update'])],
          bindings: [binding('edit', 'ServiceAccount team-a/default', { namespace: 'team-b' })],
        },
      },
      answers: [['warning', /may do more than read/]],
    },
    {
      title: 'edit in its namespace',
      facts: {
        rbac: {
          roles: [role('edit', 'apps', 'deployments', ['get', 'update'])],
          bindings: [binding('edit', 'ServiceAccount team-a/default', { namespace: 'team-a' })],
        },
      },
      answers: [['warning', /may do more than read/]],
    },
    {
      title: 'view in its namespace, by its group',
      facts: {
        rbac: {
          roles: [role('view', 'apps', 'deployments', ['get', 'list'])],
          bindings: [binding('view', 'Group system:serviceaccounts:team-a', { namespace: 'team-a' })],
        },
      },
      answers: [['ok', /./]],
    },
    {
      title: 'Secrets of its namespace, by a Role',
      facts: {
        rbac: {
          roles: [role('secrets', '', 'secrets', ['get'], { namespace: 'team-a' })],
          bindings: [binding('secrets', 'ServiceAccount team-a/default', { namespace: 'team-a', role: { kind: 'Role', name: 'secrets' } })],
        },
      },
      answers: [['warning', /team-a\/default/]],
    },
  ],
  'other-mutating': [
    ok,
    {
      title: 'a webhook before Cloister',
      facts: { webhooks: [webhook('istio', { reinvocationPolicy: 'IfNeeded' })] },
      answers: [['ok', /./]],
    },
    {
      title: 'a webhook after Cloister, called again',
      facts: { webhooks: [webhook('zzz', { reinvocationPolicy: 'IfNeeded' })] },
      answers: [['warning', /zzz\.example\.com \(zzz\)/]],
    },
    { title: 'a webhook after Cloister, called once', facts: { webhooks: [webhook('zzz')] }, answers: [['info', /calls Cloister again/]] },
    {
      title: 'a webhook for other namespaces',
      facts: {
        webhooks: [
          webhook('zzz', { namespaceSelector: { matchExpressions: [{ key: 'cloister.dev/enforce', operator: 'DoesNotExist' }] } }),
        ],
      },
      answers: [['ok', /./]],
    },
    {
      title: 'a webhook for other objects',
      facts: { webhooks: [webhook('zzz', { rules: [{ apiGroups: ['apps'], resources: ['*'], operations: ['*'] }] })] },
      answers: [['ok', /./]],
    },
  ],
  'other-map': [
    ok,
    {
      title: 'a policy for pods',
      facts: {
        mutatingPolicies: [
          { name: 'sidecar', resources: ['pods'] },
          { name: 'other', resources: ['services'] },
        ],
      },
      answers: [['info', /MutatingAdmissionPolicies sidecar change/]],
    },
  ],
  'other-validating': [
    ok,
    {
      title: 'a webhook that fails closed',
      facts: { webhooks: [webhook('kyverno', {}, 'Validating')] },
      answers: [['warning', /kyverno\.example\.com/]],
    },
    {
      title: 'a webhook in a governed namespace',
      facts: {
        webhooks: [
          webhook('lint', { clientConfig: { service: { namespace: 'team-a', name: 'lint', port: 443, path: '/' } } }, 'Validating'),
        ],
      },
      answers: [['error', /after an outage of both, neither can start/]],
    },
    {
      title: 'a webhook that fails open',
      facts: { webhooks: [webhook('kyverno', { failurePolicy: 'Ignore' }, 'Validating')] },
      answers: [['ok', /./]],
    },
    {
      title: "a webhook that excludes Cloister's namespace",
      facts: {
        webhooks: [
          webhook('kyverno', {
            namespaceSelector: {
              matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['cloister-system'] }],
            },
          }),
        ],
      },
      answers: [['ok', /./]],
    },
  ],
  timeouts: [
    ok,
    {
      title: 'mutating webhooks one after another',
      facts: { webhooks: [webhook('a'), webhook('b'), webhook('c')] },
      answers: [['warning', /team-a may take 30 s/]],
    },
    {
      title: 'validating webhooks together',
      facts: { webhooks: [webhook('a', {}, 'Validating'), webhook('b', {}, 'Validating'), webhook('c', {}, 'Validating')] },
      answers: [['ok', /./]],
    },
  ],
  duplicate: [
    ok,
    {
      title: 'entries of another Cloister',
      facts: { webhooks: [webhook('zz-cloister-2', { name: 'userns.pod.enforce.cloister.dev' })] },
      answers: [['error', /MutatingWebhookConfiguration zz-cloister-2/]],
    },
  ],
  reach: [
    ok,
    { title: 'no dry run', facts: { probes: [] }, answers: [] },
    ...NO_DECISIONS,
    { title: 'no right to try', facts: { probes: [rejected(FORBIDDEN)] }, answers: [['unknown', /needs the verb create on pods there/]] },
    { title: 'a call that fails', facts: { probes: [rejected(UNREACHABLE)] }, answers: [['error', /i\/o timeout/]] },
    { title: 'only denials by policies', facts: { probes: [rejected(BY_POLICY)] }, answers: [['unknown', /none shows whether/]] },
  ],
  'probe-grant': [
    ok,
    { title: 'no dry run', facts: { probes: [] }, answers: [] },
    ...NO_DECISIONS,
    { title: 'no right to try', facts: { probes: [rejected(FORBIDDEN)] }, answers: [['unknown', /needs the verb create on pods there/]] },
    {
      title: 'a webhook without dry runs',
      facts: { probes: [rejected('admission webhook "a.example.com" does not support dry run')] },
      answers: [['unknown', /webhook a\.example\.com/]],
    },
    { title: 'Pod Security', facts: { probes: [rejected(PSA_REFUSAL)] }, answers: [['error', /violates PodSecurity/]] },
    {
      title: 'two causes',
      facts: {
        probes: [rejected('exceeded quota: q, requested: pods=1'), rejected('RuntimeClass "x" not found', { namespace: 'team-b' })],
      },
      answers: [
        ['error', /in team-a: exceeded quota/],
        ['error', /in team-b: RuntimeClass/],
      ],
    },
    {
      title: 'a pod that Cloister has not seen',
      facts: { probes: [probedWith({ applied: undefined })] },
      answers: [['error', /Cloister was not called/]],
    },
    { title: 'a dropped hostUsers', facts: { probes: [probedWith({ hostUsers: undefined })] }, answers: [['error', /dropped hostUsers/]] },
    { title: 'a dropped procMount', facts: { probes: [probedWith({ isProcUnmasked: false })] }, answers: [['error', /dropped procMount/]] },
    {
      title: 'a removed escalation',
      facts: { probes: [probedWith({ allowsEscalation: false })] },
      answers: [['error', /without privilege escalation/]],
    },
    {
      title: 'another class',
      facts: {
        probes: [probe({ profile: 'kata-qemu', outcome: { is: 'admitted', pod: { ...PROBED, runtimeClassName: 'runc' } } })],
      },
      context: kata,
      answers: [['error', /runtimeClassName runc/]],
    },
  ],
  'probe-refused': [
    { title: 'no dry run', facts: { probes: [] }, answers: [] },
    {
      title: 'a refusal of Cloister',
      facts: { probes: [rejected('admission webhook "userns.namespace.enforce.cloister.dev" denied the request: no', { pod: 'refused' })] },
      answers: [['ok', /./]],
    },
    {
      title: 'an admitted pod',
      facts: { probes: [probe({ pod: 'refused' })] },
      answers: [['error', /must refuse is admitted in team-a/]],
    },
    {
      title: 'a refusal of another webhook',
      facts: { probes: [rejected('admission webhook "v.kyverno.svc" denied the request', { pod: 'refused' })] },
      answers: [['unknown', /something else refuses/]],
    },
    {
      title: 'a webhook that cannot be called',
      facts: { probes: [rejected(UNREACHABLE, { pod: 'refused' }, 500)] },
      answers: [['unknown', /in team-a the API server cannot call Cloister/]],
    },
    {
      title: 'no right to try',
      facts: { probes: [rejected(FORBIDDEN, { pod: 'refused' })] },
      answers: [['unknown', /needs the verb create on pods there/]],
    },
    {
      title: 'a busy API server',
      facts: { probes: [rejected('status 429', { pod: 'refused' }, 429)] },
      answers: [['unknown', /no dry run of a pod succeeded in team-a: the API server says: status 429/]],
    },
  ],
  'probe-opt-in': [
    { title: 'no dry run', facts: { probes: [] }, answers: [] },
    { title: 'an admitted pod', facts: { probes: [probe({ pod: 'opt-in', namespace: 'default' })] }, answers: [['ok', /./]] },
    {
      title: 'a pod that comes back without Cloister, where no pod names the profile',
      facts: {
        probes: [probe({ pod: 'opt-in', namespace: 'default', outcome: { is: 'admitted', pod: { ...PROBED, applied: undefined } } })],
      },
      answers: [['error', /Cloister was not called/]],
    },
    {
      title: 'a pod that Cloister refuses, where no pod names the profile',
      facts: { probes: [rejected('admission webhook "a.cloister.dev" denied the request: no', { pod: 'opt-in', namespace: 'default' })] },
      answers: [['error', /a plain pod is refused in default/]],
    },
    {
      title: 'an unreachable webhook, where no pod names the profile',
      facts: { probes: [rejected(UNREACHABLE, { pod: 'opt-in', namespace: 'default' }, 500)] },
      answers: [['error', /failed calling webhook/]],
    },
    ...(
      [
        ['where no pod names the profile', {}, 'warning'],
        ['where a pod names the profile', { namespace: 'default', labels: { 'cloister.dev/profile': 'userns' } }, 'error'],
        ['where a pod names another profile', { namespace: 'default', labels: { 'cloister.dev/profile': 'kata-qemu' } }, 'warning'],
        ['where a pod of an enforcing namespace names it', { labels: { 'cloister.dev/profile': 'userns' } }, 'warning'],
      ] as const
    ).map(
      ([place, pod, level]): Case => ({
        title: `a refused pod, ${place}`,
        facts: { probes: [rejected(PSA_REFUSAL, { pod: 'opt-in', namespace: 'default' })], governedPods: [governedPod(pod)] },
        answers: [[level, /in default/]],
      }),
    ),
  ],
  'psa-default': [
    ok,
    ...NO_DECISIONS,
    { title: 'no right to try', facts: { probes: [rejected(FORBIDDEN)] }, answers: [['unknown', /needs the verb create on pods there/]] },
    {
      title: 'a default that refuses',
      facts: { probes: [rejected(PSA_REFUSAL)] },
      answers: [['error', /team-a: no label of Pod Security/]],
    },
    { title: 'a namespace with a level of its own', facts: { ...psa('baseline'), probes: [rejected(PSA_REFUSAL)] }, answers: [] },
  ],
  'probe-labels': [
    { title: 'an identity that may label', answers: [] },
    {
      title: 'a refusal of the policy',
      facts: {
        labelProbe: {
          namespace: 'team-a',
          outcome: {
            is: 'rejected',
            status: 403,
            message: "ValidatingAdmissionPolicy 'cloister-namespace-labels' with binding 'x' denied request",
          },
        },
      },
      answers: [['ok', /./]],
    },
    {
      title: 'a changed label',
      facts: { labelProbe: { namespace: 'team-a', outcome: { is: 'admitted' } } },
      answers: [['error', /lets it change the label of team-a/]],
    },
    {
      title: 'another refusal',
      facts: {
        labelProbe: { namespace: 'team-a', outcome: { is: 'rejected', status: 403, message: 'admission webhook "x" denied the request' } },
      },
      answers: [['unknown', /something else refuses/]],
    },
  ],
  ...provingCases,
  'ids-per-pod': [
    ok,
    leftOutFor('Kata', kata),
    { title: 'no node', facts: { kubelets: [] }, answers: [['ok', /./]] },
    { title: 'fewer ids', context: idsOf(131_072), answers: [['error', /give 65536 ids, and the profile says 131072.* \(worker-1\)$/]] },
    { title: 'more ids', facts: { kubelets: [kubelet({ idsPerPod: 131_072 })] }, answers: [['info', /give 131072 ids/]] },
    {
      title: 'one kubelet of three with fewer ids, and one that does not answer',
      facts: { kubelets: [kubelet(), kubelet({ idsPerPod: 32_768 }, 'worker-2'), MUTE] },
      answers: [
        ['error', /give 32768 ids.* \(worker-2\)$/],
        ['unknown', /configuration of the kubelet cannot be read: no answer \(worker-3\)$/],
      ],
    },
  ],
  'userns-errors': [
    ok,
    leftOutFor('Kata', kata),
    {
      title: 'failed pods',
      facts: { kubelets: [kubelet({ userNamespaceErrors: 3 })] },
      answers: [['warning', /^3 pods .* \(worker-1\)$/]],
    },
    {
      title: 'kubelets that do not count',
      facts: { kubelets: [kubelet({ userNamespaceErrors: undefined }), kubelet({ userNamespaceErrors: undefined }, 'worker-2')] },
      answers: [['unknown', /older than 1\.34.* \(worker-1, worker-2\)$/]],
    },
    {
      title: 'a kubelet that does not answer',
      facts: { kubelets: [MUTE] },
      answers: [['unknown', /metrics of the kubelet cannot be read: no answer/]],
    },
  ],
  cgroups: [
    ok,
    leftOutFor('Kata', kata),
    {
      title: 'version 1',
      facts: { kubelets: [kubelet({ cgroupVersion: 1 })] },
      answers: [['warning', /version 1 of control groups.* \(worker-1\)$/]],
    },
    {
      title: 'an old kubelet',
      facts: { kubelets: [kubelet({ cgroupVersion: undefined })] },
      answers: [['unknown', /does not report the version/]],
    },
    { title: 'a kubelet that does not answer', facts: { kubelets: [MUTE] }, answers: [['unknown', /no answer/]] },
  ],
};

function exempting(expires: string, namespaces: string): Context {
  return contextWith(`profiles: {userns: {}}
exemptions:
  - {reason: mesh, expires: ${expires}, namespaces: ['${namespaces}'], serviceAccounts: ['*'], containers: [istio-init], allow: {capabilities: [NET_ADMIN]}}`);
}

function quotaOf(used: string, hard: string, resource = 'pods'): Partial<FactValues> {
  return { quotas: [{ namespace: 'team-a', name: 'q', hard: { [resource]: hard }, used: { [resource]: used } }] };
}

function limitOf(memory: string): Partial<FactValues> {
  return { limitRanges: [{ namespace: 'team-a', name: 'l', limits: [{ type: 'Container', default: { memory } }] }] };
}

function probedWith(pod: Partial<Extract<FactValues['probes'][number]['outcome'], { is: 'admitted' }>['pod']>) {
  return probe({ outcome: { is: 'admitted', pod: { ...PROBED, ...pod } } });
}
