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

testRule(nodeSelection, {
  passes: {
    'the field is absent': {},
    null: { nodeSelector: null, affinity: { nodeAffinity: null } },
    'workers of a kind': { nodeSelector: { 'node-role.kubernetes.io/worker': '', 'kubernetes.io/arch': 'arm64' } },
    'to shun the control plane': required({ key: KEY, operator: 'DoesNotExist' }, { key: KEY, operator: 'NotIn', values: [''] }),
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
      finds: [`${AT}.${PREFERRED}[0].preference.matchExpressions[0]`],
      fixed: 'nothing',
    },
    'an unknown operator': {
      pod: required({ key: KEY }),
      finds: [`${AT}.${REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]`],
      fixed: 'nothing',
    },
  },
});
