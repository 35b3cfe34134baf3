import { userIds } from '../../src/core/rules/user-ids.ts';
import { inEachList, type Sketch, testRule } from '../support/test-rule.ts';

const last = 65_535;
const ids = (id: number | null): Sketch => ({
  runAsUser: id,
  runAsGroup: id,
  fsGroup: id,
  supplementalGroups: id === null ? null : [0, id],
});
const pod = (id: number | null): Sketch => ({ securityContext: ids(id) });
const PATHS = ['runAsUser', 'runAsGroup', 'fsGroup', 'supplementalGroups[1]'].map((field) => `spec.securityContext.${field}`);

const image = (name: string, rest: Sketch = {}): Sketch => ({ containers: [{ name: 'engine', image: name, ...rest }] });

testRule(userIds, {
  passes: {
    'a rootless engine in a guest': { profile: 'kata-qemu', pod: image('docker:28-dind-rootless') },
    'a rootless engine among enough ids': { options: { idsPerPod: 165_536 }, pod: image('docker:28-dind-rootless') },
    'a rootless engine of an image whose ids are not known': image('registry.example.com/docker-rootless:1'),
    'a rootless image that starts no engine': image('moby/buildkit:rootless', { command: ['buildctl', 'build'] }),
    'an engine that runs as root': image('moby/buildkit:v0.20'),
    'the field is absent': { containers: [{ name: 'main' }] },
    'root, who is root of the pod alone': pod(0),
    'the last id there is': pod(last),
    null: pod(null),
    'the last id of a larger namespace': { options: { idsPerPod: 131_072 }, pod: pod(131_071) },
    'any id under kata': { profile: 'kata-qemu', pod: pod(1_001_230_000) },
    'any id under gvisor': { profile: 'gvisor', pod: pod(1_001_230_000) },
  },
  fails: {
    'the first id that is not there': { pod: pod(last + 1), finds: PATHS, fixed: 'nothing' },
    'a rootless engine with ids beyond those of the pod': {
      pod: image('docker:28-dind-rootless'),
      promises: ['spec.containers[0].image'],
      says: ["the rootless engine of this image maps ids 100000 to 165535, which are not among the pod's 65536 ids, so it will not start"],
      advises: ['use an image whose /etc/subuid and /etc/subgid list ids below 65536, such as the workspace image'],
      fixed: 'nothing',
    },
    'a rootless engine behind its own starter, under sysbox': {
      profile: 'sysbox',
      pod: image('registry.example.com/moby/buildkit:master-rootless', { command: ['rootlesskit', 'buildkitd'] }),
      promises: ['spec.containers[0].image'],
      fixed: 'nothing',
    },
    'a rootless engine with one id too few': {
      options: { idsPerPod: 165_535 },
      pod: image('docker:dind-rootless'),
      promises: ['spec.containers[0].image'],
      fixed: 'nothing',
    },
    'the same under sysbox': { profile: 'sysbox', pod: pod(last + 1), finds: PATHS, fixed: 'nothing' },
    'the first id beyond a larger namespace': { options: { idsPerPod: 131_072 }, pod: pod(131_072), finds: PATHS, fixed: 'nothing' },
    'an id as OpenShift assigns them': {
      pod: { securityContext: { runAsUser: 1_001_230_000, fsGroup: 1_001_230_000 }, containers: [{ name: 'main' }] },
      finds: ['spec.securityContext.runAsUser', 'spec.securityContext.fsGroup'],
      advises: Array(2).fill(
        "use an id below 65536; an SCC of OpenShift assigns such ids from the namespace's range: choose an SCC with smaller ids, such as " +
          'nested-container, with the annotation openshift.io/required-scc',
      ),
      fixed: 'nothing',
    },
    'an id of an SCC that names itself, beside one that is only too large': {
      pod: {
        metadata: { annotations: { 'openshift.io/scc': 'restricted-v2' } },
        containers: [{ name: 'main', securityContext: { runAsUser: 1_000_650_000, runAsGroup: 70_000 } }],
      },
      finds: ['spec.containers[0].securityContext.runAsUser', 'spec.containers[0].securityContext.runAsGroup'],
      advises: [
        'use an id below 65536; the SCC restricted-v2 assigned it: choose an SCC with smaller ids, such as nested-container, with the annotation ' +
          'openshift.io/required-scc',
        'use an id below 65536',
      ],
      fixed: 'nothing',
    },
    ...inEachList(
      'an id of a container',
      { securityContext: { runAsUser: 70_000, runAsGroup: 70_000 } },
      {
        finds: ['securityContext.runAsUser', 'securityContext.runAsGroup'],
        fixed: 'nothing',
      },
    ),
    'what an added container takes over from a pod that was there, once for the pod': {
      old: { securityContext: { runAsUser: 70_000 } },
      pod: {
        securityContext: { runAsUser: 70_000 },
        ephemeralContainers: [{ name: 'debug' }, { name: 'own', securityContext: { runAsUser: 1000 } }],
      },
      finds: ['spec.securityContext.runAsUser'],
      says: ["id 70000 is not among the pod's 65536 ids"],
      advises: ['use an id below 65536'],
      fixed: 'nothing',
    },
    "a container's own, over a good one of the pod": {
      profile: 'sysbox',
      pod: { ...pod(1000), containers: [{ name: 'main', securityContext: { runAsUser: last + 1 } }] },
      finds: ['spec.containers[0].securityContext.runAsUser'],
      fixed: 'nothing',
    },
  },
});
