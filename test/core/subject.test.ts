import { describe, expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { printPath } from '../../src/core/path.ts';
import { repair } from '../../src/core/repair.ts';
import { podPathOf, subjectOf } from '../../src/core/subject.ts';
import { inputOf } from '../support/test-rule.ts';

const KINDS: readonly (readonly [group: string, kind: string, at: readonly string[]])[] = [
  ['', 'Pod', []],
  ['', 'PodTemplate', ['template']],
  ['', 'ReplicationController', ['spec', 'template']],
  ['apps', 'Deployment', ['spec', 'template']],
  ['apps', 'StatefulSet', ['spec', 'template']],
  ['apps', 'DaemonSet', ['spec', 'template']],
  ['apps', 'ReplicaSet', ['spec', 'template']],
  ['batch', 'Job', ['spec', 'template']],
  ['batch', 'CronJob', ['spec', 'jobTemplate', 'spec', 'template']],
];

const metadata = { name: 'workspace', namespace: 'team-a' };
const within = (at: readonly string[], pod: unknown): Record<string, unknown> =>
  at.toReversed().reduce((inner, step) => ({ [step]: inner }), pod) as Record<string, unknown>;

/** The place of the mismatch in a pod's document, and what is expected there. */
function wrong(document: unknown, group = '', kind = 'Pod'): string {
  const found = subjectOf(document, group, kind);
  return found.ok ? 'nothing' : `${printPath(found.error.path)}: ${found.error.expected}`;
}

describe.each(KINDS)('%s/%s', (group, kind, at) => {
  const pod = { metadata: { labels: { app: 'x' } }, spec: { hostUsers: false } };

  test('the pod is found at its path', () => {
    const document = { ...within(at, pod), metadata: at.length === 0 ? { ...metadata, ...pod.metadata } : metadata };
    const found = subjectOf(document, group, kind);
    expect(found).toMatchObject({
      ok: true,
      value: { kind, name: 'workspace', namespace: 'team-a', at, pod: { spec: { hostUsers: false } } },
    });
    expect(found.ok && found.value.document).toBe(document);
  });

  test.each([null, undefined, 'x', 1, true, []])('the document %j holds no pod', (document) => {
    expect(wrong(document, group, kind)).toMatch(/: an object$/);
  });

  test('a document without a pod is reported with the outermost part that is missing', () => {
    const path = [...at, 'spec'];
    for (let depth = 0; depth < path.length; depth += 1) {
      const document = within(path.slice(0, depth), { [path[depth] ?? '']: 'text' });
      expect(wrong(document, group, kind)).toBe(`${printPath(path.slice(0, depth + 1))}: an object`);
    }
    expect(wrong({}, group, kind)).toMatch(/: an object$/);
  });
});

test('a kind that holds no pod, or one of another group, is rejected with the reason', () => {
  expect(wrong({}, '', 'Service')).toBe(': a kind that holds pods, not Service');
  expect(wrong({}, 'apps', 'Pod')).toBe(': a kind that holds pods, not Pod');
  expect(wrong({}, 'apps.example.org', 'Deployment')).toBe(': a kind that holds pods, not Deployment');
  expect(podPathOf('', 'constructor')).toBeUndefined();
});

test('generateName stands for a missing name, and a missing namespace is undefined', () => {
  expect(subjectOf({ metadata: { generateName: 'ws-' }, spec: {} }, '', 'Pod')).toMatchObject({
    value: { name: 'ws-', namespace: undefined },
  });
  expect(subjectOf({ metadata: { name: '', namespace: '' }, spec: {} }, '', 'Pod')).toMatchObject({
    value: { name: '', namespace: undefined },
  });
  expect(subjectOf({ spec: {} }, '', 'Pod')).toMatchObject({ value: { name: '', namespace: undefined } });
});

test.each([
  ['spec.containers: a list', { containers: {} }],
  ['spec.containers: a list', { containers: 'main' }],
  ['spec.containers[1]: an object', { containers: [{}, null] }],
  ['spec.initContainers[0]: an object', { initContainers: ['main'] }],
  ['spec.ephemeralContainers[0].securityContext: an object', { ephemeralContainers: [{ securityContext: [] }] }],
  ['spec.containers[0].securityContext.privileged: true or false', { containers: [{ securityContext: { privileged: 'true' } }] }],
  ['spec.containers[0].securityContext.capabilities.add: a list', { containers: [{ securityContext: { capabilities: { add: 'ALL' } } }] }],
  [
    'spec.containers[0].securityContext.capabilities.add[0]: a string',
    { containers: [{ securityContext: { capabilities: { add: [null] } } }] },
  ],
  ['spec.containers[0].ports[0].hostPort: a number', { containers: [{ ports: [{ hostPort: '80' }] }] }],
  ['spec.containers[0].env[0]: an object', { containers: [{ env: [null] }] }],
  ['spec.hostUsers: true or false', { hostUsers: 'false' }],
  ['spec.hostNetwork: true or false', { hostNetwork: 1 }],
  ['spec.runtimeClassName: a string', { runtimeClassName: ['gvisor'] }],
  ['spec.volumes[0]: an object', { volumes: [[]] }],
  ['spec.nodeSelector.disk: a string', { nodeSelector: { disk: 1 } }],
  ['spec.tolerations[0].key: a string', { tolerations: [{ key: {} }] }],
  ['spec.securityContext.supplementalGroups[0]: a number', { securityContext: { supplementalGroups: ['0'] } }],
])('%s', (expected, spec) => {
  expect(wrong({ metadata, spec })).toBe(expected);
});

test.each([
  ['metadata: an object', []],
  ['metadata.labels: an object', { labels: ['a'] }],
  ['metadata.annotations["a/b"]: a string', { annotations: { 'a/b': true } }],
  ['metadata.ownerReferences: a list', { ownerReferences: {} }],
])('%s', (expected, given) => {
  expect(wrong({ metadata: given, spec: {} })).toBe(expected);
});

describe('an unusual document', () => {
  test('T42: null counts as absent in every field', () => {
    const spec = { containers: null, volumes: null, securityContext: null, hostUsers: null, affinity: null, nodeSelector: null };
    expect(wrong({ metadata: null, spec })).toBe('nothing');
    expect(() => judge(inputOf(spec))).not.toThrow();
  });

  test('T42: unknown fields are ignored', () => {
    expect(wrong({ metadata, spec: { novelty: [null, { deep: 1 }], containers: [{ name: 'main', novelty: null }] } })).toBe('nothing');
  });
});

describe('a hostile document', () => {
  const proto = '{"hostPID": true, "hostUsers": false, "runtimeClassName": "kata-qemu", "privileged": true}';

  test('T23, T47: the keys `__proto__` and `constructor` are data like any other', () => {
    const text = `{"metadata": {"labels": {"__proto__": "x", "constructor": "y"}, "annotations": {"__proto__": "x"}, "__proto__": ${proto}},
      "spec": {"__proto__": ${proto}, "containers": [{"name": "__proto__", "__proto__": {"securityContext": ${proto}}, "securityContext": {"__proto__": ${proto}}}],
      "volumes": [{"name": "v", "__proto__": {"hostPath": {"path": "/"}}}], "nodeSelector": {"__proto__": "x"}}, "__proto__": ${proto}}`;
    const found = subjectOf(JSON.parse(text), '', 'Pod');
    if (!found.ok) throw new Error(`${printPath(found.error.path)} is not ${found.error.expected}`);
    const input = { ...inputOf({}), subject: found.value };
    const findings = judge(input).findings;
    expect(findings.map(({ rule }) => rule)).not.toContain('host-namespaces');
    expect(findings.map(({ rule }) => rule)).not.toContain('privileged');
    expect(findings.map(({ rule }) => rule)).toEqual(expect.arrayContaining(['user-namespace', 'volume-types', 'unknown-fields']));
    repair(input, judge(input), { apply: applyToCopy, addsAnnotation: true });
    expect(Object.hasOwn({}, 'hostUsers') || 'hostUsers' in {}).toBe(false);
  });

  test('T44: ten thousand levels of nesting do no harm, in judged and unjudged fields', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`);
    const list = JSON.parse(`${'['.repeat(10_000)}1${']'.repeat(10_000)}`);
    const spec = {
      novelty: deep,
      affinity: { podAffinity: deep },
      overhead: { cpu: deep },
      volumes: [{ name: 'v', csi: deep }],
      containers: [
        {
          name: 'main',
          startupProbe: { exec: { command: list } },
          env: [{ name: 'SYSBOX_SYSCONT_MODE', valueFrom: deep }],
          resources: { limits: { 'a/b': deep } },
        },
      ],
    };
    const found = subjectOf({ metadata, spec }, '', 'Pod');
    if (!found.ok) throw new Error('no subject');
    const input = { ...inputOf({}, { profile: 'sysbox' }), subject: found.value };
    expect(judge({ ...input, old: found.value }).findings).toEqual([]);
    expect(() => repair(input, judge(input), { apply: applyToCopy, addsAnnotation: true })).not.toThrow();
    expect(wrong({ metadata, spec: { containers: [deep, list] } })).toBe('spec.containers[1]: an object');
  });
});
