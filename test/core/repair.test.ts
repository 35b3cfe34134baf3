import { describe, expect, test } from 'vitest';
import { apply } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { type Apply, repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { hostilePod, plainPod } from '../support/pods.ts';
import { type Circumstances, documentOf, questionOf, repaired, type Sketch, told } from '../support/test-rule.ts';

const SAFE = { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } };
const stampOf = (document: object): unknown =>
  (document as { metadata?: { annotations?: Record<string, string> } }).metadata?.annotations?.['cloister.dev/profile-applied'];

test('T32: what is sent is what was applied, and what was applied has no escape', () => {
  const question = questionOf(hostilePod);
  const { repair: done } = repaired(question);
  expect(apply(documentOf(hostilePod), done.patch)).toEqual(done.subject.document);
  expect(judge({ ...question, subject: done.subject }).findings.filter(({ kind }) => kind === 'escape')).toEqual([]);
  expect(done.unresolved).toEqual([]);
});

test('a repair leaves the document that it was given as it is', () => {
  const question = questionOf(hostilePod);
  const { repair: done } = repaired(question);
  expect(done.patch.length).toBeGreaterThan(10);
  expect(question.subject.document).toEqual(documentOf(hostilePod));
});

test('what the patch ends is told, and nothing else', () => {
  const { repair: done } = repaired(
    questionOf({ hostNetwork: true, containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }] }),
  );
  expect(done.repaired.map(({ rule }) => rule)).toEqual(['user-namespace', 'host-namespaces', 'seccomp']);
});

test('a pod with something that a person must change is left as its author wrote it, and that is named', () => {
  const pod = { ...hostilePod, nodeName: 'worker-1' };
  const question = questionOf(pod);
  const { repair: done } = repaired(question);
  expect(told(done.unresolved)).toEqual(['escape node-name at spec.nodeName: nodeName is worker-1']);
  expect(done.subject).toBe(question.subject);
});

test('a promise that no fix can keep leaves the rest to be repaired', () => {
  const question = questionOf({ containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }] });
  const { verdict, repair: done } = repaired(question);
  expect(verdict.findings.some(({ kind, fix }) => kind === 'promise' && fix === undefined)).toBe(true);
  expect(done.unresolved).toEqual([]);
  expect(done.subject.pod.spec?.hostUsers).toBe(false);
});

test('T32: an applier that does nothing is found out: what is left is named', () => {
  const question = questionOf({});
  const idle: Apply = (document) => document;
  expect(told(repair(question, judge(question), { apply: idle, addsAnnotation: false }).unresolved)).toContain(
    'escape user-namespace at spec.hostUsers: hostUsers is not set, so the pod shares its users with the node',
  );
});

test('T32: an applier that makes things worse is found out, too', () => {
  const question = questionOf({});
  const rogue: Apply = (document, operations) => {
    const after = apply(document, operations) as { readonly spec: object };
    return { ...after, spec: { ...after.spec, hostPID: true } };
  };
  expect(told(repair(question, judge(question), { apply: rogue, addsAnnotation: false }).unresolved)).toEqual([
    'escape host-namespaces at spec.hostPID: hostPID is true',
  ]);
});

test('T32: a fix that changes nothing is found out as well', () => {
  const question = questionOf({});
  const findings = judge(question).findings.map((finding) => ({ ...finding, path: ['spec', 'absent'], fix: { remove: true } as const }));
  const done = repair(question, { findings, exempted: [] }, { apply, addsAnnotation: false });
  expect(done.patch).toEqual([]);
  expect(done.unresolved.map(({ rule }) => rule)).toEqual(['user-namespace']);
});

describe('the stamp', () => {
  test.each([
    ['sudo', {}],
    ['none', { metadata: { labels: { 'cloister.dev/grant': 'none' } } }],
  ])('says profile and grant: userns/%s', (grant, pod) => {
    const question = questionOf(pod);
    expect(stampOf(repaired(question).repair.subject.document)).toBe(`userns/${grant}`);
  });

  test("T06: overwrites a tenant's own", () => {
    const question = questionOf({ metadata: { annotations: { 'cloister.dev/profile-applied': 'kata-qemu/containers' } } });
    expect(stampOf(repaired(question).repair.subject.document)).toBe('userns/sudo');
  });

  test('is all that a pod gets that needs no repair; and a second time nothing', () => {
    const question = questionOf({ hostUsers: false, ...SAFE });
    const { patch, subject } = repaired(question).repair;
    expect(patch).toHaveLength(1);
    expect(repaired({ ...question, subject }).repair.patch).toEqual([]);
  });

  test('is left off where nothing is stored', () => {
    const question = questionOf(plainPod);
    const { subject } = repair(question, judge(question), { apply, addsAnnotation: false });
    expect(stampOf(subject.document)).toBeUndefined();
  });
});

describe('an update', () => {
  const added = { name: 'debug', securityContext: { privileged: true, capabilities: { add: ['SYS_PTRACE'] } } };
  const wall = { hostUsers: false, ...SAFE, containers: [{ name: 'main' }] };
  const update = (old: Sketch, pod: Sketch, more: Circumstances = {}) => questionOf(pod, { ...more, old });

  test('repairs the ephemeral container that was added, where the pod is as bad as it was, and touches nothing else', () => {
    const old = { ...hostilePod, hostNetwork: null, hostPID: null, hostIPC: null, ephemeralContainers: [] };
    const question = update(old, { ...old, ephemeralContainers: [added] });
    const { repair: done } = repaired(question);
    expect(done.unresolved).toEqual([]);
    expect(done.patch.map(({ path }) => path).filter((path) => !path.startsWith('/spec/ephemeralContainers/0/'))).toEqual([]);
    expect(done.subject.pod.spec?.ephemeralContainers?.[0]).toEqual({
      name: 'debug',
      securityContext: {
        privileged: false,
        capabilities: { add: [] },
        seccompProfile: { type: 'RuntimeDefault' },
        appArmorProfile: { type: 'RuntimeDefault' },
      },
    });
  });

  test('lets no ephemeral container into what an old pod shares with its node', () => {
    const old = { ...wall, hostPID: true, volumes: [{ name: 'root', hostPath: { path: '/' } }], ephemeralContainers: [] };
    const joining = { name: 'debug', volumeMounts: [{ name: 'root', mountPath: '/host' }] };
    const { repair: done } = repaired(update(old, { ...old, ephemeralContainers: [joining] }));
    expect(told(done.unresolved)).toEqual([
      'escape volume-types at spec.ephemeralContainers[0].volumeMounts[0].name: volume "root" is the node\'s /',
      'escape host-namespaces at spec.ephemeralContainers[0].name: the container joins a pod with hostPID',
    ]);
  });

  test('T10: leaves the ephemeral containers that were there, bad as they may be', () => {
    const old = { ...wall, ephemeralContainers: [added] };
    const question = update(old, { ...old, ephemeralContainers: [added, { ...added, name: 'again' }] });
    const { subject } = repaired(question).repair;
    expect(subject.pod.spec?.ephemeralContainers?.[0]).toEqual(added);
    expect(subject.pod.spec?.ephemeralContainers?.[1]?.securityContext?.privileged).toBe(false);
  });

  test('T10: does not repair one that was there and is bad only now: that is for the validator', () => {
    const { repair: done } = repaired(
      update({ ...wall, ephemeralContainers: [{ name: 'debug' }] }, { ...wall, ephemeralContainers: [added] }),
    );
    expect(done.patch).toEqual([]);
    expect(done.unresolved.map(({ rule }) => rule)).toEqual(['privileged', 'capabilities']);
  });

  test('T31: repairs nothing of the pod itself: a fault that is added there is for the validator', () => {
    const question = update(wall, { ...wall, metadata: { annotations: { 'run.oci.hooks': 'x' } } });
    const { repair: done } = repaired(question);
    expect(done.patch).toEqual([]);
    expect(told(done.unresolved)).toHaveLength(1);
  });
});

test('the template of a workload is repaired in its place', () => {
  const template = { metadata: {}, spec: structuredClone(plainPod) };
  const document = { kind: 'CronJob', metadata: { name: 'nightly' }, spec: { jobTemplate: { spec: { template } } } };
  const subject = subjectOf(document, 'batch', 'CronJob');
  if (!subject.ok) throw new Error('no subject');
  const question = { ...questionOf({}), subject: subject.value };
  const done = repair(question, judge(question), { apply, addsAnnotation: true });
  expect(done.unresolved).toEqual([]);
  expect(done.patch.filter(({ path }) => !path.startsWith('/spec/jobTemplate/spec/template/'))).toEqual([]);
  expect(done.subject.pod).toMatchObject({
    metadata: { annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } },
    spec: { hostUsers: false },
  });
});

test('a pod without metadata gets what the stamp needs', () => {
  const document = { spec: { hostUsers: false, ...SAFE } };
  const subject = subjectOf(document, '', 'Pod');
  if (!subject.ok) throw new Error('no subject');
  const question = { ...questionOf({}), subject: subject.value };
  const done = repair(question, judge(question), { apply, addsAnnotation: true });
  expect(done.subject.document).toEqual({
    spec: { hostUsers: false, ...SAFE },
    metadata: { annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } },
  });
});
