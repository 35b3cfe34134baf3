import { describe, expect, test } from 'vitest';
import { subjectOf } from '../../src/core/subject.ts';
import { classFactsOf, eventFactsOf, nodeFactsOf, podFactsOf } from '../../src/live/facts.ts';

function factsOfPod(document: object) {
  const subject = subjectOf(document, '', 'Pod');
  if (!subject.ok) throw new Error(subject.error.expected);
  return podFactsOf(subject.value.pod, document);
}

describe('the facts of a pod', () => {
  test('are read from its spec and its status', () => {
    const document = {
      metadata: { name: 'ws', creationTimestamp: '2030-01-01T00:00:00Z', annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } },
      spec: {
        nodeName: 'worker-1',
        hostUsers: false,
        hostPID: true,
        hostNetwork: false,
        runtimeClassName: 'kata',
        overhead: { memory: '1Mi' },
        nodeSelector: { zone: 'a' },
        tolerations: [{ key: 'pool' }],
        serviceAccountName: 'builder',
        containers: [{ name: 'a' }],
        volumes: [
          { name: 'home', persistentVolumeClaim: { claimName: 'home' } },
          { name: 'shared', persistentVolumeClaim: { claimName: 'shared', readOnly: true } },
          { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
        ],
      },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: '2030-01-01T00:01:00Z' }] },
    };
    expect(factsOfPod(document)).toEqual({
      created: new Date('2030-01-01T00:00:00Z'),
      phase: 'Running',
      isRunning: false,
      unreadySince: new Date('2030-01-01T00:01:00Z'),
      node: 'worker-1',
      hostNamespaces: ['hostPID'],
      hostUsers: false,
      runtimeClass: 'kata',
      overhead: { memory: '1Mi' },
      nodeSelector: { zone: 'a' },
      tolerations: [{ key: 'pool' }],
      serviceAccount: 'builder',
      hasToken: true,
      claims: ['home'],
      readOnlyClaims: ['shared'],
      applied: { profile: 'userns', grant: 'sudo' },
    });
  });

  test('are absent where the object has none', () => {
    expect(factsOfPod({ metadata: {}, spec: { containers: [] } })).toMatchObject({
      created: undefined,
      phase: undefined,
      unreadySince: undefined,
      node: undefined,
      hostUsers: undefined,
      runtimeClass: undefined,
      serviceAccount: 'default',
      hasToken: false,
      applied: undefined,
    });
  });

  test.each(['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses'])('a container of status.%s may run', (field) => {
    const isRunning = (state: object): boolean =>
      factsOfPod({ spec: { containers: [] }, status: { phase: 'Pending', [field]: [{ state: { waiting: {} } }, { state }] } }).isRunning;
    expect([isRunning({ running: {} }), isRunning({ terminated: {} })]).toEqual([true, false]);
  });

  test.each(['userns', 'userns/all', ''])('the annotation %j names no profile and grant', (value) => {
    const annotations = { 'cloister.dev/profile-applied': value };
    expect(factsOfPod({ metadata: { annotations }, spec: { containers: [] } }).applied).toBeUndefined();
  });
});

describe('the facts of a node', () => {
  test('handlers say what they say, and no more', () => {
    const document = {
      metadata: { name: 'worker-1', labels: { zone: 'a' } },
      spec: { taints: [{ key: 'pool', effect: 'NoSchedule' }], unschedulable: true, providerID: 'kind://docker/kind/worker-1' },
      status: {
        nodeInfo: {
          kubeletVersion: 'v1.35.2',
          containerRuntimeVersion: 'containerd://2.1.4',
          kernelVersion: '6.12.55+',
          operatingSystem: 'linux',
          osImage: 'Debian GNU/Linux 12 (bookworm)',
          bootID: 'a1b2',
        },
        conditions: [{ type: 'Ready', status: 'True', message: 'kubelet is posting ready status. AppArmor enabled' }],
        allocatable: { cpu: '8', 'hugepages-2Mi': '0', 'nvidia.com/gpu': '1', 'example.com/gone': '0' },
        runtimeHandlers: [
          { name: '', features: { userNamespaces: true } },
          { name: 'runsc', features: {} },
          { features: null, name: 'kata' },
        ],
      },
    };
    expect(nodeFactsOf(document)).toEqual({
      name: 'worker-1',
      kubelet: 'v1.35.2',
      runtime: 'containerd://2.1.4',
      kernel: '6.12.55+',
      bootId: 'a1b2',
      os: 'linux',
      osImage: 'Debian GNU/Linux 12 (bookworm)',
      providerId: 'kind://docker/kind/worker-1',
      isSchedulable: false,
      isReady: true,
      hasAppArmor: true,
      devices: ['nvidia.com/gpu'],
      handlers: new Map([
        ['', true],
        ['runsc', undefined],
        ['kata', undefined],
      ]),
      labels: { zone: 'a' },
      taints: [{ key: 'pool', value: '', effect: 'NoSchedule' }],
    });
  });

  test('a status of another shape says nothing, and the node exists', () => {
    const document = { metadata: { name: 'worker-1' }, status: { runtimeHandlers: [{ name: '', features: { userNamespaces: 'yes' } }] } };
    expect(nodeFactsOf(document)).toMatchObject({ name: 'worker-1', kubelet: undefined, handlers: new Map() });
  });

  test.each([null, {}, { metadata: {} }, { metadata: { name: 3 } }])('the object %j is no node', (document) => {
    expect(nodeFactsOf(document)).toBeUndefined();
  });
});

test('the facts of a class', () => {
  const metadata = { name: 'kata', creationTimestamp: 'soon' };
  const scheduling = { nodeSelector: { kata: 'true' }, tolerations: [{ key: 'kata', operator: 'Exists' }] };
  expect(classFactsOf({ metadata, handler: 'kata-qemu', overhead: { podFixed: { cpu: '1' } }, scheduling })).toEqual({
    name: 'kata',
    handler: 'kata-qemu',
    created: undefined,
    podFixed: { cpu: '1' },
    ...scheduling,
  });
  expect(classFactsOf({ metadata })).toBeUndefined();
});

test.each([
  ['of its series', { series: { lastObservedTime: '2030-01-02T00:00:00Z' }, eventTime: '2030-01-01T00:00:00Z' }],
  ['of its last time', { lastTimestamp: '2030-01-02T00:00:00Z', eventTime: '2030-01-01T00:00:00Z' }],
  ['of itself', { lastTimestamp: null, eventTime: '2030-01-02T00:00:00Z' }],
])('an event has the time %s', (_, times) => {
  const involvedObject = { kind: 'Pod', name: 'ws', uid: 'u' };
  expect(eventFactsOf({ metadata: { namespace: 'team-a' }, involvedObject, reason: 'Failed', message: 'no', ...times })).toEqual({
    namespace: 'team-a',
    kind: 'Pod',
    object: 'ws',
    uid: 'u',
    reason: 'Failed',
    message: 'no',
    time: new Date('2030-01-02T00:00:00Z'),
  });
  expect(eventFactsOf({ reason: 'Failed' })).toBeUndefined();
});
