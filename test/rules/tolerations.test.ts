import { tolerations } from '../../src/core/rules/tolerations.ts';
import { type Failing, type Sketch, testRule } from '../support/test-rule.ts';

const CONTROL_PLANE = { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' };
const MASTER = { key: 'node-role.kubernetes.io/master', operator: 'Equal', value: '', effect: 'NoSchedule' };
const RKE = ['controlplane', 'etcd'].map((role) => ({ ...CONTROL_PLANE, key: `node-role.kubernetes.io/${role}` }));
const ALL = { operator: 'Exists' };
/** By platform, as its documentation spells them. */
const SYSTEM: Readonly<Record<string, Sketch>> = {
  'AKS, EKS, K3s and RKE2': { key: 'CriticalAddonsOnly', operator: 'Equal', value: 'true', effect: 'NoExecute' },
  GKE: { key: 'components.gke.io/gke-managed-components', operator: 'Equal', value: 'true', effect: 'NoSchedule' },
  OpenShift: { key: 'node-role.kubernetes.io/infra', operator: 'Exists' },
  'OpenShift Data Foundation': { key: 'node.ocs.openshift.io/storage', value: 'true', effect: 'NoSchedule' },
  'hosted control planes': { key: 'hypershift.openshift.io/control-plane', value: 'true', effect: 'NoSchedule' },
  'request-serving nodes of hosted control planes': { key: 'hypershift.openshift.io/request-serving-component', operator: 'Exists' },
  'egress gateways of AKS': { key: 'kubeegressgateway.azure.com/mode', value: 'true', effect: 'NoSchedule' },
};
const DEDICATED = { key: 'dedicated', operator: 'Equal', value: 'build', effect: 'NoSchedule' };
const denied = { options: { deniedTolerations: ['dedicated=build', 'dedicated=infra', 'team-b'] } };
/** What a RuntimeClass on single nodes brings. */
const scheduled = { profile: 'kata-qemu', options: { runtimeClassScheduling: { tolerations: [ALL, { ...CONTROL_PLANE }] } } };
const TENANT = { key: 'tenant', operator: 'Equal', value: 'team-a' };
const NOT_READY = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 };
const tolerating = (...entries: Sketch[]): Sketch => ({ tolerations: entries });
const paths = (...indices: number[]): string[] => indices.map((index) => `spec.tolerations[${index}]`);

testRule(tolerations, {
  passes: {
    none: {},
    null: { tolerations: null },
    'what the API server adds to every pod': tolerating(NOT_READY, { ...NOT_READY, key: 'node.kubernetes.io/unreachable' }),
    'a taint of its own nodes': tolerating(TENANT),
    'keys that look like those of a system pool': tolerating({ key: 'CriticalAddons', operator: 'Exists' }, { key: 'criticaladdonsonly' }),
    'another value of a taint that the profile denies': { ...denied, pod: tolerating({ ...DEDICATED, value: 'workspaces' }) },
    'a value that is a part of a denied one': { ...denied, pod: tolerating({ ...DEDICATED, value: 'buil' }, { key: 'team' }) },
    "exactly what the profile's runtime class adds": { ...scheduled, pod: tolerating(ALL, CONTROL_PLANE) },
    'the same, written out otherwise': {
      ...scheduled,
      pod: tolerating({ key: '', operator: 'Exists', value: '', effect: null, tolerationSeconds: null }),
    },
    'what a class brings that a pod of userns may name': {
      options: { runtimeClasses: ['crun'], runtimeClassScheduling: { tolerations: [ALL] } },
      pod: { runtimeClassName: 'crun', ...tolerating(ALL) },
    },
    'a key that looks alike': tolerating({ ...CONTROL_PLANE, key: 'node-role.kubernetes.io/control-planes' }),
    'an old one whose time is changed, which is all that an update may change': {
      old: tolerating({ ...CONTROL_PLANE, effect: 'NoExecute', tolerationSeconds: 300 }),
      pod: tolerating({ ...CONTROL_PLANE, effect: 'NoExecute', tolerationSeconds: 30 }),
    },
  },
  fails: {
    'all taints': { pod: tolerating(ALL), finds: paths(0), fixed: tolerating() },
    'all taints of an effect': { pod: tolerating({ operator: 'Exists', effect: 'NoSchedule' }), finds: paths(0), fixed: tolerating() },
    'an empty key and a null one': {
      pod: tolerating({ ...ALL, key: '' }, TENANT, { ...ALL, key: null }),
      finds: paths(0, 2),
      fixed: tolerating(TENANT),
    },
    'the control plane by either name, and its neighbours stay': {
      pod: tolerating(NOT_READY, CONTROL_PLANE, TENANT, MASTER),
      finds: paths(1, 3),
      fixed: tolerating(NOT_READY, TENANT),
    },
    'the control plane of RKE': { pod: tolerating(...RKE, TENANT), finds: paths(0, 1), fixed: tolerating(TENANT) },
    ...Object.fromEntries(
      Object.entries(SYSTEM).map(([platform, toleration]): [string, Failing] => [
        `the system nodes of ${platform}, and its neighbours stay`,
        { pod: tolerating(NOT_READY, toleration, TENANT), finds: paths(1), fixed: tolerating(NOT_READY, TENANT) },
      ]),
    ),
    'a taint that the profile denies, with its value or with any': {
      ...denied,
      pod: tolerating(DEDICATED, { key: 'dedicated', operator: 'Exists' }, { key: 'dedicated', operator: 'Gt', value: '1' }, TENANT),
      finds: paths(0, 1, 2),
      fixed: tolerating(TENANT),
    },
    'a taint that the profile denies whatever its value': {
      ...denied,
      pod: tolerating({ key: 'team-b' }, { key: 'team-b', value: 'x' }, { key: 'team-b', operator: 'Exists' }),
      finds: paths(0, 1, 2),
      fixed: tolerating(),
    },
    'the known ones beside those of the profile': { ...denied, pod: tolerating(CONTROL_PLANE), finds: paths(0), fixed: tolerating() },
    'more than the runtime class brings': {
      ...scheduled,
      pod: tolerating({ ...CONTROL_PLANE, effect: undefined }, { ...CONTROL_PLANE, tolerationSeconds: 5 }, { ...ALL, effect: 'NoExecute' }),
      finds: paths(0, 1, 2),
      fixed: tolerating(),
    },
    'what the class brings, in a pod that names no class and is given none': {
      options: { runtimeClasses: ['crun'], runtimeClassScheduling: { tolerations: [ALL] } },
      pod: tolerating(ALL),
      finds: paths(0),
      fixed: tolerating(),
    },
    'what the class brings, added to an old pod without the class': {
      ...scheduled,
      old: tolerating(TENANT),
      pod: tolerating(TENANT, ALL),
      finds: paths(1),
      fixed: 'nothing',
    },
    'under kata too': { profile: 'kata-fc', grant: 'none', pod: tolerating(CONTROL_PLANE), finds: paths(0), fixed: tolerating() },
    'one that is added later': {
      old: tolerating(CONTROL_PLANE),
      pod: tolerating(CONTROL_PLANE, MASTER, ALL),
      finds: paths(1, 2),
      fixed: 'nothing',
    },
  },
});
