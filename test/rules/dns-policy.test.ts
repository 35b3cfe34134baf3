import { dnsPolicy } from '../../src/core/rules/dns-policy.ts';
import { testRule } from '../support/test-rule.ts';

testRule(dnsPolicy, {
  passes: {
    'the field is absent': { hostNetwork: true },
    'the usual policy in the network of the node': { hostNetwork: true, dnsPolicy: 'ClusterFirst' },
    'a resolver of its own': { hostNetwork: true, dnsPolicy: 'None', dnsConfig: { nameservers: ['10.0.0.10'] } },
    "the node's resolver, which any pod may ask": { dnsPolicy: 'Default' },
    null: { hostNetwork: true, dnsPolicy: null },
    'the odd policy in a network of its own, where it says nothing': { dnsPolicy: 'ClusterFirstWithHostNet' },
  },
  fails: {
    "what hangs on the node's network": {
      pod: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      finds: ['spec.dnsPolicy'],
      fixed: { hostNetwork: true, dnsPolicy: 'ClusterFirst' },
    },
    'the same under kata': {
      profile: 'kata-fc',
      pod: { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' },
      finds: ['spec.dnsPolicy'],
      fixed: { hostNetwork: true, dnsPolicy: 'ClusterFirst' },
    },
  },
});
