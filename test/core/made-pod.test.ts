import { expect, test } from 'vitest';
import { judge } from '../../src/core/judge.ts';
import { makePod } from '../../src/core/made-pod.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { type Circumstances, inputOf, printFindings, type Sketch } from '../support/test-rule.ts';

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';
const CONTROL_PLANE = { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' };
const WALLED = { hostUsers: false, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } };
const CONTAINER = { name: 'main', securityContext: { allowPrivilegeEscalation: true } };

function subjectWith(kind: string, template: object, more: object = {}) {
  const document = {
    metadata: { name: 'agent' },
    spec: { ...more, template: { spec: { ...WALLED, containers: [CONTAINER], ...template } } },
  };
  const subject = subjectOf(JSON.parse(JSON.stringify(document)), 'apps', kind);
  if (!subject.ok) throw new Error(JSON.stringify(subject.error));
  return subject.value;
}

const findingsOf = (subject: ReturnType<typeof subjectWith>, circumstances: Circumstances = {}): string[] =>
  printFindings(judge({ ...inputOf({}, circumstances), subject }).findings);

const NAMED = 'escape node-selection at spec.template.spec: the controller makes each pod of a DaemonSet ask for one node by its name';

test('the template of a DaemonSet has the finding of its pods, whose controller names a node, and other templates do not', () => {
  expect(findingsOf(subjectWith('DaemonSet', {}))).toEqual([NAMED]);
  expect(findingsOf(subjectWith('Deployment', {}))).toEqual([]);
  expect(findingsOf(subjectWith('DaemonSet', {}), { exempt: { 'node-selection': ['metadata.name'] } })).toEqual([]);
});

test('a kind of another API group is not taken for the workload of the same name', () => {
  for (const kind of ['DaemonSet', 'StatefulSet']) {
    const claims = { volumeClaimTemplates: [{ metadata: { name: 'data' } }] };
    const subject = { ...subjectWith(kind, {}, claims), group: 'apps.kruise.io' };
    expect(makePod(subject)).toBe(subject.pod);
  }
});

test('of the affinity of a DaemonSet, only what its pods keep is judged', () => {
  const nodeAffinity = {
    [REQUIRED]: { nodeSelectorTerms: [{ matchExpressions: [CONTROL_PLANE] }] },
    [PREFERRED]: [{ weight: 1, preference: { matchExpressions: [CONTROL_PLANE] } }],
  };
  const podAntiAffinity = { [REQUIRED]: [{ namespaceSelector: {}, topologyKey: 'zone' }] };
  expect(findingsOf(subjectWith('DaemonSet', { affinity: { nodeAffinity, podAntiAffinity } }))).toEqual([
    NAMED,
    expect.stringContaining(`nodeAffinity.${PREFERRED}[0].preference.matchExpressions[0]: node affinity asks for ${CONTROL_PLANE.key}`),
    expect.stringContaining(`escape anti-affinity at spec.template.spec.affinity.podAntiAffinity.${REQUIRED}[0]`),
  ]);
});

test('a claim of a StatefulSet is a volume of its pods, in the place of a volume of the same name', () => {
  const hostPath = { path: '/' };
  const volumes: Sketch[] = [
    { name: 'data', hostPath },
    { name: 'own', emptyDir: {} },
  ];
  const claims = { volumeClaimTemplates: [{ metadata: { name: 'images' } }, { metadata: { name: 'data' } }] };
  const subject = subjectWith('StatefulSet', { volumes }, claims);
  const claimed = (name: string) => ({ name, persistentVolumeClaim: { claimName: name } });
  expect(makePod(subject).spec?.volumes).toEqual([claimed('data'), { name: 'own', emptyDir: {} }, claimed('images')]);
  expect(subject.pod.spec?.volumes).toEqual(volumes);
  expect(findingsOf(subject)).toEqual([]);
});

test('a claim template without a name gives the pod no volume', () => {
  const subject = subjectWith('StatefulSet', {}, { volumeClaimTemplates: [{ metadata: { name: 'data' } }, { metadata: {} }] });
  expect(makePod(subject).spec?.volumes).toEqual([{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }]);
});

test('a claim of a StatefulSet can hold images, and a mount of a volume that does not exist cannot', () => {
  const template = { containers: [{ ...CONTAINER, volumeMounts: [{ name: 'images', mountPath: '/var/lib/containers' }] }] };
  const circumstances = { grant: 'containers', options: { storage: [] } } as const;
  const missing = expect.stringContaining('has no mount that could hold the images of nested containers');
  expect(findingsOf(subjectWith('StatefulSet', template), circumstances)).toContainEqual(missing);
  const claims = { volumeClaimTemplates: [{ metadata: { name: 'images' } }] };
  expect(findingsOf(subjectWith('StatefulSet', template, claims), circumstances)).not.toContainEqual(missing);
});

test.each([null, 'x', {}, [null], ['x'], [{}], [{ metadata: null }], [{ metadata: { name: 1 } }], [{ metadata: { name: '__proto__' } }]])(
  'the claim templates %j do not stop the judge',
  (volumeClaimTemplates) => {
    expect(findingsOf(subjectWith('StatefulSet', {}, { volumeClaimTemplates }))).toEqual([]);
  },
);
