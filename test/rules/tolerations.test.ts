import { tolerations } from '../../src/core/rules/tolerations.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const CONTROL_PLANE = { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' };
const MASTER = { key: 'node-role.kubernetes.io/master', operator: 'Equal', value: '', effect: 'NoSchedule' };
const RKE = ['controlplane', 'etcd'].map((role) => ({ ...CONTROL_PLANE, key: `node-role.kubernetes.io/${role}` }));
const ALL = { operator: 'Exists' };
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
    'under kata too': { profile: 'kata-fc', grant: 'none', pod: tolerating(CONTROL_PLANE), finds: paths(0), fixed: tolerating() },
    'one that is added later': {
      old: tolerating(CONTROL_PLANE),
      pod: tolerating(CONTROL_PLANE, MASTER, ALL),
      finds: paths(1, 2),
      fixed: 'nothing',
    },
  },
});
