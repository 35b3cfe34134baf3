import { describe, expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { repair } from '../../src/core/repair.ts';
import { type Subject, subjectOf } from '../../src/core/subject.ts';
import { asWritten } from '../../src/core/written.ts';
import { inputOf } from '../support/test-rule.ts';

type Fields = Readonly<Record<string, unknown>>;

/** An entry as the API server writes it: who, and the fields. */
const entry = (manager: string, fieldsV1: Fields, operation = 'Update'): Fields => ({
  manager,
  operation,
  apiVersion: 'v1',
  fieldsType: 'FieldsV1',
  fieldsV1,
});
const CREATED = { 'f:spec': { 'f:containers': { 'k:{"name":"main"}': {} } } };
const KUBELET = entry('kubelet', { 'f:status': { 'f:phase': {} } });

/** A pod as the API server returns it after it was bound to a node. */
function bound({ managedFields, annotations = {}, ...spec }: Fields = {}): Subject {
  const metadata = {
    name: 'workspace',
    uid: '0c1f',
    resourceVersion: '7',
    annotations,
    ...(managedFields === undefined ? {} : { managedFields }),
  };
  const document = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      hostUsers: false,
      nodeName: 'worker-1',
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [{ name: 'main' }],
      ...spec,
    },
    status: { phase: 'Running' },
  };
  return subjectIn(document);
}

function subjectIn(document: object): Subject {
  const found = subjectOf(document, '', 'Pod');
  if (!found.ok) throw new Error('no pod');
  return found.value;
}

const escapesIn = (subject: Subject, circumstances = {}): string[] =>
  judge({ ...inputOf({}, circumstances), subject: asWritten(subject).subject })
    .findings.filter(({ kind }) => kind === 'escape')
    .map(({ rule }) => rule);

describe('the node of a pod that was read from a cluster', () => {
  test('the scheduler chose it where an entry has the containers and none has the node', () => {
    const subject = bound({ managedFields: [entry('kubectl-create', CREATED), KUBELET] });
    expect([escapesIn(subject), asWritten(subject).unattributed]).toEqual([[], []]);
  });

  test('the author chose it where the entry with the containers has it', () => {
    const fields = { 'f:spec': { ...CREATED['f:spec'], 'f:nodeName': {} } };
    expect(escapesIn(bound({ managedFields: [entry('kubectl-create', fields)] }))).toEqual(['node-name']);
  });

  test('the author chose it where another entry has it', () => {
    const managedFields = [entry('argocd', CREATED, 'Apply'), entry('placer', { 'f:spec': { 'f:nodeName': {} } })];
    expect(escapesIn(bound({ managedFields }))).toEqual(['node-name']);
  });

  test.each([
    ['kubectl hides them', undefined],
    ['they were cleared', []],
    ['only the kubelet is left', [KUBELET]],
    ['they are no list', {}],
    ['they are no objects', [null, 'x', { fieldsV1: null }]],
    [
      'an apply came after they were cleared',
      [entry('before-first-apply', { 'f:spec': { ...CREATED['f:spec'], 'f:nodeName': {} } }), entry('kubectl', CREATED, 'Apply')],
    ],
  ])('it is not judged, and reported as such, where nothing shows who chose it: %s', (_, managedFields) => {
    const subject = bound({ managedFields });
    expect([escapesIn(subject), asWritten(subject).unattributed]).toEqual([[], [['spec', 'nodeName']]]);
  });

  test('a file never shows that the scheduler chose it, and may show that the author did', () => {
    const scheduled = bound({
      managedFields: [entry('kubectl-create', CREATED), KUBELET],
      annotations: { 'cni.projectcalico.org/podIP': 'x' },
    });
    expect(asWritten(scheduled, { from: 'file' }).unattributed).toEqual([
      ['spec', 'nodeName'],
      ['metadata', 'annotations', 'cni.projectcalico.org/podIP'],
    ]);
    const fields = { 'f:spec': { ...CREATED['f:spec'], 'f:nodeName': {} } };
    expect(asWritten(bound({ managedFields: [entry('kubectl-create', fields)] }), { from: 'file' }).unattributed).toEqual([]);
  });

  test('it is the author’s in a manifest, which has no uid or no status', () => {
    const { document } = bound() as { readonly document: { readonly metadata: object; readonly spec: object; readonly status?: object } };
    const { status: _, ...withoutStatus } = document;
    const withoutUid = { ...document, metadata: { name: 'workspace' } };
    for (const manifest of [withoutStatus, withoutUid]) {
      const subject = subjectIn(manifest);
      expect(asWritten(subject).subject).toBe(subject);
      expect(escapesIn(subject)).toEqual(['node-name']);
    }
  });
});

describe('what others write into a pod', () => {
  test('the overhead of its RuntimeClass is the API server’s', () => {
    const pod = { runtimeClassName: 'kata-qemu', overhead: { podFixed: '160Mi' }, hostUsers: null };
    expect(escapesIn(bound({ ...pod, managedFields: [entry('kubectl', CREATED)] }), { profile: 'kata-qemu' })).toEqual([]);
    expect(escapesIn(bound({ ...pod, hostUsers: false }))).toEqual(['runtime-class']);
  });

  test('the addresses that a network plugin reports are the plugin’s, unless the author wrote them', () => {
    const annotations = { 'cni.projectcalico.org/podIP': '10.0.0.7/32', 'k8s.ovn.org/pod-networks': '{}' };
    const reported = { 'f:metadata': { 'f:annotations': { 'f:cni.projectcalico.org/podIP': {} } } };
    const plugin = entry('calico', reported);
    expect(escapesIn(bound({ annotations, managedFields: [entry('kubectl', CREATED), plugin] }))).toEqual([]);
    expect(escapesIn(bound({ annotations, managedFields: [entry('kubectl', { ...CREATED, ...reported }), plugin] }))).toEqual([
      'runtime-annotations',
    ]);
    expect(asWritten(bound({ annotations })).unattributed).toHaveLength(3);
  });

  test('other annotations of the runtime stay judged', () => {
    expect(escapesIn(bound({ annotations: { 'io.kubernetes.cri-o.Devices': '/dev/kvm' } }))).toEqual(['runtime-annotations']);
  });

  test('tolerations of admission, the token volume and the defaults of the API server are no findings', () => {
    const token = { name: 'kube-api-access-x7k2p', projected: { defaultMode: 420, sources: [{ serviceAccountToken: { path: 'token' } }] } };
    const tolerations = ['not-ready', 'unreachable'].map((state) => ({
      key: `node.kubernetes.io/${state}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    }));
    const spec = {
      tolerations,
      volumes: [token],
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
      enableServiceLinks: true,
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      serviceAccount: 'default',
      serviceAccountName: 'default',
      terminationGracePeriodSeconds: 30,
      containers: [
        {
          name: 'main',
          terminationMessagePath: '/dev/termination-log',
          volumeMounts: [{ name: token.name, mountPath: '/x', readOnly: true }],
        },
      ],
    };
    expect(escapesIn(bound(spec))).toEqual([]);
  });
});

test('a repair changes the document as it was read, and leaves the node in it', () => {
  const { subject } = asWritten(bound({ hostPID: true }));
  const input = { ...inputOf({}), subject };
  const done = repair(input, judge(input), { apply: applyToCopy, addsAnnotation: false });
  expect(done.unresolved).toEqual([]);
  expect(done.subject.document).toMatchObject({ spec: { nodeName: 'worker-1' }, status: { phase: 'Running' } });
  expect(done.subject.document).not.toHaveProperty('spec.hostPID');
});

test('the document is not changed', () => {
  const subject = bound({ annotations: { 'cni.projectcalico.org/podIP': 'x' } });
  const before = structuredClone(subject.document);
  asWritten(subject);
  expect(subject.document).toEqual(before);
});
