import { nodeName } from '../../src/core/rules/node-name.ts';
import { testRule } from '../support/test-rule.ts';

const finds = ['spec.nodeName'];

testRule(nodeName, {
  passes: {
    'the field is absent': {},
    'null and empty, as before scheduling': { nodeName: '' },
    null: { nodeName: null },
    'a node by its label, which node-selection judges': { nodeSelector: { 'kubernetes.io/hostname': 'worker-1' } },
    'a pod that was scheduled since': { old: { nodeName: 'worker-1' }, pod: { nodeName: 'worker-1', metadata: { labels: { a: 'b' } } } },
  },
  fails: {
    'a node': { pod: { nodeName: 'worker-1' }, finds, fixed: 'nothing' },
    'a node, under kata': { profile: 'kata-qemu', pod: { nodeName: 'control-plane' }, finds, fixed: 'nothing' },
    'no exemption': { exempt: { 'node-name': ['worker-1'] }, pod: { nodeName: 'worker-1' }, finds, fixed: 'nothing' },
  },
});
