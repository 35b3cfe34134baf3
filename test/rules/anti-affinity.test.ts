import { antiAffinity } from '../../src/core/rules/anti-affinity.ts';
import { type Sketch, testRule } from '../support/test-rule.ts';

const required = (...terms: Sketch[]): Sketch => ({
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: terms.map((term) => ({ topologyKey: 'zone', labelSelector: {}, ...term })),
    },
  },
});
const AT = 'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution';

testRule(antiAffinity, {
  passes: {
    'no affinity': {},
    null: { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: null } } },
    'anti-affinity to pods of its own namespace': required({}),
    'its own namespace, by name': required({ namespaces: ['team-a'], namespaceSelector: null }),
    'no namespace at all, which is its own': required({ namespaces: [] }),
    'a preference, which keeps no pod out': {
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: 'zone', namespaceSelector: {} } }],
        },
      },
    },
    'affinity to pods of other namespaces, which keeps no pod out': {
      affinity: {
        podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', namespaceSelector: {} }] },
      },
    },
    'all namespaces, where the operator lets them': {
      options: { antiAffinity: 'all-namespaces' },
      pod: required({ namespaceSelector: {}, namespaces: ['other'] }),
    },
  },
  fails: {
    'a selector of all namespaces': {
      pod: required({}, { namespaceSelector: {} }),
      finds: [`${AT}[1].namespaceSelector`],
      says: ['required anti-affinity selects namespaces by label, and keeps their pods off nodes'],
      fixed: required({}, {}),
    },
    'other namespaces by name': {
      pod: required({ namespaces: ['team-a', 'other'] }),
      finds: [`${AT}[0].namespaces`],
      says: ['required anti-affinity keeps pods of namespace other off nodes'],
      fixed: required({}),
    },
    'both, beside its own namespace': {
      pod: required(
        { namespaces: ['team-a'], namespaceSelector: { matchLabels: { team: 'b' } } },
        { namespaces: ['b'], namespaceSelector: {} },
      ),
      finds: [`${AT}[0].namespaceSelector`, `${AT}[1].namespaces`, `${AT}[1].namespaceSelector`],
      fixed: required({ namespaces: ['team-a'] }, {}),
    },
    'an update that adds one, which only a new pod could repair': {
      old: required({}),
      pod: required({ namespaceSelector: {} }),
      finds: [`${AT}[0].namespaceSelector`],
      fixed: 'nothing',
    },
  },
});
