import { nodeSelection } from '../../src/core/rules/node-selection.ts';
import { type Failing, type Sketch, testRule } from '../support/test-rule.ts';

const KEY = 'node-role.kubernetes.io/control-plane';
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

const required = (...matchExpressions: Sketch[]): Sketch => ({
  affinity: { nodeAffinity: { [REQUIRED]: { nodeSelectorTerms: [{ matchExpressions }] } } },
});
const preferred = (...matchExpressions: Sketch[]): Sketch => ({
  affinity: { nodeAffinity: { [PREFERRED]: [{ weight: 1, preference: { matchExpressions } }] } },
});
const AT = 'spec.affinity.nodeAffinity';
const NODE = { key: 'metadata.name', operator: 'In', values: ['control-plane-1'] };
/** As the DaemonSet controller writes it. */
const ofDaemonSet = (requirement: Sketch = NODE): Sketch => ({
  affinity: { nodeAffinity: { [REQUIRED]: { nodeSelectorTerms: [{ matchFields: [requirement] }] } } },
});
/** By platform, as its documentation spells them. */
const SYSTEM: readonly (readonly [platform: string, key: string, value: string])[] = [
  ['AKS', 'kubernetes.azure.com/mode', 'system'],
  ['egress gateways of AKS', 'kubernetes.azure.com/mode', 'gateway'],
  ['egress gateways', 'kubeegressgateway.azure.com/mode', 'true'],
  ['EKS Auto Mode', 'karpenter.sh/nodepool', 'system'],
  ['GKE', 'components.gke.io/gke-managed-components', 'true'],
  ['OpenShift', 'node-role.kubernetes.io/infra', ''],
  ['OpenShift Data Foundation', 'cluster.ocs.openshift.io/openshift-storage', ''],
  ['hosted control planes', 'hypershift.openshift.io/control-plane', 'true'],
  ['request-serving nodes of hosted control planes', 'hypershift.openshift.io/request-serving-component', 'true'],
];
const IDENTITIES = ['kubernetes.io/hostname', 'alpha.eksctl.io/instance-id', 'k3s.io/hostname'];
const denied = { options: { deniedNodeLabels: ['pool=build', 'team-b'] } };
const scheduled = {
  profile: 'kata-qemu',
  options: { runtimeClassScheduling: { nodeSelector: { 'kubernetes.io/hostname': 'kata-1', 'kubernetes.azure.com/mode': 'system' } } },
};

testRule(nodeSelection, {
  passes: {
    'the field is absent': {},
    null: { nodeSelector: null, affinity: { nodeAffinity: null } },
    'workers of a kind': { nodeSelector: { 'node-role.kubernetes.io/worker': '', 'kubernetes.io/arch': 'arm64' } },
    'to shun the control plane': required({ key: KEY, operator: 'DoesNotExist' }, { key: KEY, operator: 'NotIn', values: [''] }),
    'user pools, and pools of other names': {
      nodeSelector: { 'kubernetes.azure.com/mode': 'user', 'karpenter.sh/nodepool': 'general-purpose', 'kubernetes.io/arch': 'amd64' },
    },
    'to avoid a system pool, one node, and one node by its field': {
      affinity: {
        nodeAffinity: {
          [REQUIRED]: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: 'kubernetes.azure.com/mode', operator: 'NotIn', values: ['system'] },
                  { key: 'kubernetes.io/hostname', operator: 'NotIn', values: ['broken'] },
                ],
                matchFields: [{ ...NODE, operator: 'NotIn' }],
              },
            ],
          },
        },
      },
    },
    'other values of a label that the profile denies with one': {
      ...denied,
      pod: required({ key: 'pool', operator: 'In', values: ['workspaces', 'gpu'] }),
    },
    "what the profile's runtime class adds": {
      ...scheduled,
      pod: { nodeSelector: { 'kubernetes.io/hostname': 'kata-1', 'kubernetes.azure.com/mode': 'system' } },
    },
    'a pod of a DaemonSet, where it is exempt': { exempt: { 'node-selection': ['metadata.name'] }, pod: ofDaemonSet() },
    'a host, where it is exempt': {
      exempt: { 'node-selection': ['kubernetes.io/hostname'] },
      pod: { nodeSelector: { 'kubernetes.io/hostname': 'worker-1' } },
    },
    'a key that looks alike': { nodeSelector: { 'node-role.kubernetes.io/control-plane-edge': '', 'example.org/master': '' } },
    'a term that says nothing': { affinity: { nodeAffinity: { [REQUIRED]: { nodeSelectorTerms: [{}] }, [PREFERRED]: [{ weight: 1 }] } } },
  },
  fails: {
    'the control plane by selector': { pod: { nodeSelector: { [KEY]: '' } }, finds: [`spec.nodeSelector["${KEY}"]`], fixed: 'nothing' },
    ...Object.fromEntries(
      ['master', 'controlplane', 'etcd'].map((role): [string, Failing] => [
        `by another name: ${role}`,
        {
          pod: { nodeSelector: { disk: 'ssd', [`node-role.kubernetes.io/${role}`]: '' } },
          finds: [`spec.nodeSelector["node-role.kubernetes.io/${role}"]`],
          fixed: 'nothing',
        },
      ]),
    ),
    ...Object.fromEntries(
      ['Exists', 'In', 'Gt'].map((operator): [string, Failing] => [
        `by a required affinity: ${operator}`,
        {
          pod: required({ key: 'disk', operator: 'In', values: ['ssd'] }, { key: KEY, operator, values: ['1'] }),
          finds: [`${AT}.${REQUIRED}.nodeSelectorTerms[0].matchExpressions[1]`],
          fixed: 'nothing',
        },
      ]),
    ),
    'by a preferred affinity': {
      profile: 'sysbox',
      pod: preferred({ key: KEY, operator: 'Exists' }),
      // A RuntimeClass adds no affinity.
      advises: ['remove it, or name a label of worker nodes'],
      finds: [`${AT}.${PREFERRED}[0].preference.matchExpressions[0]`],
      fixed: 'nothing',
    },
    ...Object.fromEntries(
      SYSTEM.flatMap(([platform, key, value]): [string, Failing][] => [
        [
          `the system nodes of ${platform}, by selector (${value})`,
          { pod: { nodeSelector: { disk: 'ssd', [key]: value } }, finds: [`spec.nodeSelector["${key}"]`], fixed: 'nothing' },
        ],
        [
          `the system nodes of ${platform}, by affinity (${value})`,
          {
            pod: required({ key, operator: 'In', values: ['other', value] }),
            finds: [`${AT}.${REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]`],
            fixed: 'nothing',
          },
        ],
      ]),
    ),
    ...Object.fromEntries(
      IDENTITIES.map((key): [string, Failing] => [
        `one node, by ${key}`,
        {
          pod: { nodeSelector: { [key]: 'worker-1' } },
          advises: [`remove it, so that the scheduler picks the node, or ask the operator for an exemption (node-selection: [${key}])`],
          finds: [`spec.nodeSelector["${key}"]`],
          fixed: 'nothing',
        },
      ]),
    ),
    'one node by affinity, also if it is only preferred': {
      pod: preferred({ key: 'kubernetes.io/hostname', operator: 'In', values: ['worker-1'] }),
      finds: [`${AT}.${PREFERRED}[0].preference.matchExpressions[0]`],
      fixed: 'nothing',
    },
    'one node by its field, as in a pod of a DaemonSet': {
      pod: ofDaemonSet(),
      says: ['node affinity asks for metadata.name'],
      advises: [
        'remove it; the DaemonSet controller adds it to each pod of a DaemonSet, or ask the operator for an exemption (node-selection: [metadata.name])',
      ],
      finds: [`${AT}.${REQUIRED}.nodeSelectorTerms[0].matchFields[0]`],
      fixed: 'nothing',
    },
    'one node by its field, preferred': {
      profile: 'gvisor',
      pod: { affinity: { nodeAffinity: { [PREFERRED]: [{ weight: 1, preference: { matchFields: [NODE] } }] } } },
      finds: [`${AT}.${PREFERRED}[0].preference.matchFields[0]`],
      fixed: 'nothing',
    },
    'one node by its field, where only the host is exempt': {
      exempt: { 'node-selection': ['kubernetes.io/hostname'] },
      pod: ofDaemonSet(),
      finds: [`${AT}.${REQUIRED}.nodeSelectorTerms[0].matchFields[0]`],
      fixed: 'nothing',
    },
    'the control plane, whatever an operator exempts': {
      exempt: { 'node-selection': [KEY, 'kubernetes.azure.com/mode', 'kubernetes.azure.com/mode=system'] },
      pod: { nodeSelector: { [KEY]: '', 'kubernetes.azure.com/mode': 'system' } },
      finds: [`spec.nodeSelector["${KEY}"]`, 'spec.nodeSelector["kubernetes.azure.com/mode"]'],
      fixed: 'nothing',
    },
    'a label that the profile denies, and any value of one that it denies with a value': {
      ...denied,
      pod: {
        nodeSelector: { 'team-b': '', pool: 'build' },
        ...required({ key: 'pool', operator: 'Exists' }, { key: 'pool', operator: 'In', values: ['gpu', 'build'] }),
      },
      finds: [
        'spec.nodeSelector.team-b',
        'spec.nodeSelector.pool',
        `${AT}.${REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]`,
        `${AT}.${REQUIRED}.nodeSelectorTerms[0].matchExpressions[1]`,
      ],
      fixed: 'nothing',
    },
    'another node than the one that the runtime class brings': {
      ...scheduled,
      pod: { nodeSelector: { 'kubernetes.io/hostname': 'kata-2' } },
      finds: ['spec.nodeSelector["kubernetes.io/hostname"]'],
      fixed: 'nothing',
    },
    'an unknown operator': {
      pod: required({ key: KEY }),
      finds: [`${AT}.${REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]`],
      fixed: 'nothing',
    },
  },
});
