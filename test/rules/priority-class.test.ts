import { priorityClass } from '../../src/core/rules/priority-class.ts';
import { testRule } from '../support/test-rule.ts';

testRule(priorityClass, {
  passes: {
    'the field is absent': {},
    null: { priorityClassName: null, priority: null },
    'a class of its own, at the most that it may have': { priorityClassName: 'workspace', priority: 1_000_000_000 },
    'a low one': { priority: -10 },
    'a name that only begins alike': { priorityClassName: 'systematic', priority: 0 },
  },
  fails: {
    'that of the node': {
      pod: { priorityClassName: 'system-node-critical', priority: 2_000_001_000 },
      finds: ['spec.priorityClassName'],
      fixed: 'nothing',
    },
    'that of the cluster, before it is resolved': {
      pod: { priorityClassName: 'system-cluster-critical' },
      finds: ['spec.priorityClassName'],
      fixed: 'nothing',
    },
    'an unknown one': {
      profile: 'gvisor',
      pod: { priorityClassName: 'system-x' },
      finds: ['spec.priorityClassName'],
      fixed: 'nothing',
    },
    'the number alone': { pod: { priority: 2_000_000_000 }, finds: ['spec.priority'], fixed: 'nothing' },
    'the number under another name': {
      pod: { priorityClassName: 'workspace', priority: 1_000_000_001 },
      finds: ['spec.priority'],
      fixed: 'nothing',
    },
  },
});
