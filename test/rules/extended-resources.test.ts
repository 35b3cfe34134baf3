import { extendedResources } from '../../src/core/rules/extended-resources.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const limits = (...names: string[]): Sketch => ({ resources: { limits: Object.fromEntries(names.map((name) => [name, '1'])) } });
const path = (name: string): string => `resources.limits["${name}"]`;

testRule(extendedResources, {
  passes: {
    'none asked for': { containers: [{ name: 'main', resources: {} }] },
    null: { resources: null, containers: [{ name: 'main', resources: { limits: null, requests: null } }] },
    "Kubernetes' own": {
      containers: [{ name: 'main', ...limits('cpu', 'memory', 'ephemeral-storage', 'hugepages-2Mi') }],
    },
    'a device that the profile lists': {
      options: { devices: ['nvidia.com/gpu'] },
      pod: { containers: [{ name: 'main', ...limits('nvidia.com/gpu') }] },
    },
    'none of a device, as charts write it': {
      resources: { limits: { 'nvidia.com/gpu': '0' } },
      containers: [{ name: 'main', resources: { limits: { 'nvidia.com/gpu': 0 }, requests: { 'nvidia.com/gpu': '0' } } }],
    },
    'an exempt one': {
      exempt: { 'extended-resources': ['nvidia.com/gpu'] },
      pod: { containers: [{ name: 'main', ...limits('nvidia.com/gpu') }] },
    },
  },
  fails: {
    ...inEachList('a device', limits('cpu', 'nvidia.com/gpu', 'devices.kubevirt.io/kvm'), {
      finds: [path('nvidia.com/gpu'), path('devices.kubevirt.io/kvm')],
      fixed: 'nothing',
    }),
    'a resource claim in disguise': {
      pod: { containers: [{ name: 'main', ...limits('deviceclass.resource.kubernetes.io/gpu') }] },
      finds: [`spec.containers[0].${path('deviceclass.resource.kubernetes.io/gpu')}`],
      fixed: 'nothing',
    },
    'a request without a limit': {
      pod: { containers: [{ name: 'main', resources: { requests: { 'smarter-devices/fuse': '1' } } }] },
      finds: ['spec.containers[0].resources.requests["smarter-devices/fuse"]'],
      fixed: 'nothing',
    },
    'a device in both lists, once': {
      pod: { containers: [{ name: 'main', resources: { limits: { 'amd.com/gpu': '1' }, requests: { 'amd.com/gpu': '1' } } }] },
      finds: ['spec.containers[0].resources.limits["amd.com/gpu"]'],
      fixed: 'nothing',
    },
    'a request beside a limit of none': {
      pod: { containers: [{ name: 'main', resources: { limits: { 'amd.com/gpu': '0' }, requests: { 'amd.com/gpu': '1' } } }] },
      finds: ['spec.containers[0].resources.requests["amd.com/gpu"]'],
      fixed: 'nothing',
    },
    "the pod's own resources": { pod: limits('nvidia.com/gpu'), finds: ['spec.resources.limits["nvidia.com/gpu"]'], fixed: 'nothing' },
    'a device beside the listed one': {
      options: { devices: ['nvidia.com/gpu'] },
      pod: { containers: [{ name: 'main', ...limits('nvidia.com/gpu', 'nvidia.com/gpu.shared') }] },
      finds: [`spec.containers[0].${path('nvidia.com/gpu.shared')}`],
      fixed: 'nothing',
    },
    'under kata too, where it would be passed through': {
      profile: 'kata-qemu',
      grant: 'containers',
      pod: { containers: [{ name: 'main', ...limits('nvidia.com/gpu') }] },
      finds: [`spec.containers[0].${path('nvidia.com/gpu')}`],
      fixed: 'nothing',
    },
    'a device added to a running pod by resizing it': {
      old: { hostUsers: false, containers: [{ name: 'main', ...limits('cpu') }] },
      pod: { hostUsers: false, containers: [{ name: 'main', ...limits('cpu', 'nvidia.com/gpu') }] },
      finds: [`spec.containers[0].${path('nvidia.com/gpu')}`],
      fixed: 'nothing',
    },
  },
});
