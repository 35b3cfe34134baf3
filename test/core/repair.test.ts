import { describe, expect, test } from 'vitest';
import { applyToCopy } from '../../src/apply-patch.ts';
import { judge } from '../../src/core/judge.ts';
import { type Apply, repair } from '../../src/core/repair.ts';
import { subjectOf } from '../../src/core/subject.ts';
import { hostilePod, plainPod } from '../support/pods.ts';
import { type Circumstances, documentOf, inputOf, judgeAndRepair, printFindings, type Sketch } from '../support/test-rule.ts';

const SAFE = { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } };
const annotationIn = (document: object): unknown =>
  (document as { metadata?: { annotations?: Record<string, string> } }).metadata?.annotations?.['cloister.dev/profile-applied'];

test('T32: the patch that is sent is the one that was applied, and its result has no escape', () => {
  const input = inputOf(hostilePod);
  const { repair: done } = judgeAndRepair(input);
  expect(applyToCopy(documentOf(hostilePod), done.patch)).toEqual(done.subject.document);
  expect(judge({ ...input, subject: done.subject }).findings.filter(({ kind }) => kind === 'escape')).toEqual([]);
  expect(done.unresolved).toEqual([]);
});

test('a repair leaves the document that it was given as it is', () => {
  const input = inputOf(hostilePod);
  const { repair: done } = judgeAndRepair(input);
  expect(done.patch.length).toBeGreaterThan(10);
  expect(input.subject.document).toEqual(documentOf(hostilePod));
});

test('a repair lists the findings that its patch fixes, and no others', () => {
  const { repair: done } = judgeAndRepair(
    inputOf({ hostNetwork: true, containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }] }),
  );
  expect(done.repaired.map(({ rule }) => rule)).toEqual(['user-namespace', 'host-namespaces', 'seccomp']);
});

test('a pod that a person must change is left as it is, and the finding is listed', () => {
  const pod = { ...hostilePod, nodeName: 'worker-1' };
  const input = inputOf(pod);
  const { repair: done } = judgeAndRepair(input);
  expect(printFindings(done.unresolved)).toEqual(['escape node-name at spec.nodeName: nodeName is worker-1']);
  expect(done.subject).toBe(input.subject);
});

describe('a partial repair', () => {
  const partial = (sketch: Sketch) => {
    const input = inputOf(sketch);
    return repair(input, judge(input), { apply: applyToCopy, addsAnnotation: true, isPartial: true });
  };

  test('repairs all but what a person must change, and lists that alone', () => {
    const done = partial({ ...hostilePod, nodeName: 'worker-1' });
    expect(done.patch.length).toBeGreaterThan(10);
    expect(printFindings(done.unresolved)).toEqual(['escape node-name at spec.nodeName: nodeName is worker-1']);
    expect(done.subject.pod.spec).toMatchObject({ hostUsers: false, nodeName: 'worker-1' });
    expect(annotationIn(done.subject.document)).toBe('userns/sudo');
  });

  test.each([
    ['a raw block volume', { containers: [{ name: 'main', volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }] }] }],
    ['a pod for Windows', { os: { name: 'windows' } }],
  ] as [string, Sketch][])('leaves %s as it is, whose repair the API server would refuse', (_, sketch) => {
    const done = partial(sketch);
    expect(done.patch).toEqual([]);
    expect(printFindings(done.unresolved).length).toBeGreaterThan(0);
  });
});

test('a promise without a fix does not stop the repair of other findings', () => {
  const input = inputOf({ containers: [{ name: 'main', securityContext: { allowPrivilegeEscalation: false } }] });
  const { verdict, repair: done } = judgeAndRepair(input);
  expect(verdict.findings.some(({ kind, fix }) => kind === 'promise' && fix === undefined)).toBe(true);
  expect(done.unresolved).toEqual([]);
  expect(done.subject.pod.spec?.hostUsers).toBe(false);
});

test('T32: a patch that is not applied leaves its escapes unresolved', () => {
  const input = inputOf({});
  const idle: Apply = (document) => document;
  expect(printFindings(repair(input, judge(input), { apply: idle, addsAnnotation: false }).unresolved)).toContain(
    'escape user-namespace at spec.hostUsers: hostUsers is not set, so the pod shares its users with the node',
  );
});

test('T32: a patch that is applied wrongly leaves the new escape unresolved', () => {
  const input = inputOf({});
  const rogue: Apply = (document, operations) => {
    const after = applyToCopy(document, operations) as { readonly spec: object };
    return { ...after, spec: { ...after.spec, hostPID: true } };
  };
  expect(printFindings(repair(input, judge(input), { apply: rogue, addsAnnotation: false }).unresolved)).toEqual([
    'escape host-namespaces at spec.hostPID: hostPID is true',
  ]);
});

test('T32: a fix that changes nothing leaves its escape unresolved', () => {
  const input = inputOf({});
  const findings = judge(input).findings.map((finding) => ({ ...finding, path: ['spec', 'absent'], fix: { remove: true } as const }));
  const done = repair(input, { findings, exempted: [] }, { apply: applyToCopy, addsAnnotation: false });
  expect(done.patch).toEqual([]);
  expect(done.unresolved.map(({ rule }) => rule)).toEqual(['user-namespace']);
});

describe('the annotation', () => {
  test.each([
    ['sudo', {}],
    ['none', { metadata: { labels: { 'cloister.dev/grant': 'none' } } }],
  ])('the annotation says profile and grant: userns/%s', (grant, pod) => {
    const input = inputOf(pod);
    expect(annotationIn(judgeAndRepair(input).repair.subject.document)).toBe(`userns/${grant}`);
  });

  test('T06: the annotation replaces one that a tenant wrote', () => {
    const input = inputOf({ metadata: { annotations: { 'cloister.dev/profile-applied': 'kata-qemu/containers' } } });
    expect(annotationIn(judgeAndRepair(input).repair.subject.document)).toBe('userns/sudo');
  });

  test('a pod without findings gets the annotation alone, and nothing a second time', () => {
    const input = inputOf({ hostUsers: false, ...SAFE });
    const { patch, subject } = judgeAndRepair(input).repair;
    expect(patch).toHaveLength(1);
    expect(judgeAndRepair({ ...input, subject }).repair.patch).toEqual([]);
  });

  test('a pod that is not about to be stored gets no annotation', () => {
    const input = inputOf(plainPod);
    const { subject } = repair(input, judge(input), { apply: applyToCopy, addsAnnotation: false });
    expect(annotationIn(subject.document)).toBeUndefined();
  });
});

describe('an update', () => {
  const added = { name: 'debug', securityContext: { privileged: true, capabilities: { add: ['SYS_PTRACE'] } } };
  const wall = { hostUsers: false, ...SAFE, containers: [{ name: 'main' }] };
  const update = (old: Sketch, pod: Sketch, more: Circumstances = {}) => inputOf(pod, { ...more, old });

  test('an update repairs the added ephemeral container and changes nothing else of a pod', () => {
    // The workspace breaks promises, and inherits a profile that the added container may not have.
    const shared = { seccompProfile: { type: 'Localhost', localhostProfile: 'cloister/workspace.json' } };
    const old = { hostUsers: false, securityContext: shared, containers: [{ name: 'main' }], ephemeralContainers: [] };
    const hostile = { ...added, securityContext: { ...added.securityContext, appArmorProfile: { type: 'Unconfined' } } };
    const input = update(old, { ...old, ephemeralContainers: [hostile] }, { grant: 'containers' });
    const { repair: done } = judgeAndRepair(input);
    expect(done.unresolved).toEqual([]);
    expect(done.patch.map(({ path }) => path).filter((path) => !path.startsWith('/spec/ephemeralContainers/0/'))).toEqual([]);
    expect(done.subject.pod.spec?.ephemeralContainers?.[0]).toEqual({
      name: 'debug',
      securityContext: {
        privileged: false,
        capabilities: { add: [] },
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
  });

  test('T10, T19: an update adds no ephemeral container to a bad pod: validation denies it for the whole pod', () => {
    const old = { ...hostilePod, ephemeralContainers: [] };
    const { verdict, repair: done } = judgeAndRepair(update(old, { ...old, ephemeralContainers: [added] }));
    expect(verdict.wholeBecause).toBe('adds container "debug"');
    expect(done.patch).toEqual([]);
    expect(done.unresolved.map(({ path }) => path[1])).toEqual(expect.arrayContaining(['hostUsers', 'containers', 'initContainers']));
  });

  test('an update is refused if its ephemeral container joins what an old pod shares with its node', () => {
    const old = { ...wall, hostPID: true, volumes: [{ name: 'root', hostPath: { path: '/' } }], ephemeralContainers: [] };
    const joining = { name: 'debug', volumeMounts: [{ name: 'root', mountPath: '/host' }] };
    const { repair: done } = judgeAndRepair(update(old, { ...old, ephemeralContainers: [joining] }));
    expect(printFindings(done.unresolved)).toEqual([
      'escape host-namespaces at spec.hostPID: hostPID is true',
      'escape volume-types at spec.volumes[0].hostPath: volume "root" is the node\'s /',
    ]);
  });

  test('T10: an update leaves existing ephemeral containers as they are', () => {
    // The field may say anything here, and a repair would write false.
    const first = { name: 'first', securityContext: { privileged: null } };
    const old = { ...wall, ephemeralContainers: [first] };
    const input = update(old, { ...old, ephemeralContainers: [first, { ...added, name: 'again' }] });
    const { subject } = judgeAndRepair(input).repair;
    expect(subject.pod.spec?.ephemeralContainers?.[0]).toEqual(first);
    expect(subject.pod.spec?.ephemeralContainers?.[1]?.securityContext?.privileged).toBe(false);
  });

  test('T10: an update does not repair an existing ephemeral container that it makes bad: validation denies it', () => {
    const { repair: done } = judgeAndRepair(
      update({ ...wall, ephemeralContainers: [{ name: 'debug' }] }, { ...wall, ephemeralContainers: [added] }),
    );
    expect(done.patch).toEqual([]);
    expect(done.unresolved.map(({ rule }) => rule)).toEqual(['privileged', 'capabilities']);
  });

  test('T31: an update repairs nothing of the pod itself: validation denies what it adds there', () => {
    const input = update(wall, { ...wall, metadata: { annotations: { 'run.oci.hooks': 'x' } } });
    const { repair: done } = judgeAndRepair(input);
    expect(done.patch).toEqual([]);
    expect(printFindings(done.unresolved)).toHaveLength(1);
  });
});

test('the template of a workload is repaired within its document', () => {
  const template = { metadata: {}, spec: structuredClone(plainPod) };
  const document = { kind: 'CronJob', metadata: { name: 'nightly' }, spec: { jobTemplate: { spec: { template } } } };
  const subject = subjectOf(document, 'batch', 'CronJob');
  if (!subject.ok) throw new Error('no subject');
  const input = { ...inputOf({}), subject: subject.value };
  const done = repair(input, judge(input), { apply: applyToCopy, addsAnnotation: true });
  expect(done.unresolved).toEqual([]);
  expect(done.patch.filter(({ path }) => !path.startsWith('/spec/jobTemplate/spec/template/'))).toEqual([]);
  expect(done.subject.pod).toMatchObject({
    metadata: { annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } },
    spec: { hostUsers: false },
  });
});

test('a pod without metadata gets the parents of the annotation', () => {
  const document = { spec: { hostUsers: false, ...SAFE } };
  const subject = subjectOf(document, '', 'Pod');
  if (!subject.ok) throw new Error('no subject');
  const input = { ...inputOf({}), subject: subject.value };
  const done = repair(input, judge(input), { apply: applyToCopy, addsAnnotation: true });
  expect(done.subject.document).toEqual({
    spec: { hostUsers: false, ...SAFE },
    metadata: { annotations: { 'cloister.dev/profile-applied': 'userns/sudo' } },
  });
});

test('a patch of more than 144 KiB is not made: the pod stays as it is, and is too large', () => {
  const containers = Array.from({ length: 420 }, (_, index) => ({ name: `c-${index}` }));
  const input = inputOf({ ...SAFE, hostUsers: false, containers }, { grant: 'containers' });
  const { repair: done } = judgeAndRepair(input);
  expect(input.subject.pod.spec?.containers?.length).toBe(420);
  expect(done.unresolved.map(({ message }) => message).join()).toBe('the repair of the pod has more than 144 KiB');
  expect(done.patch).toEqual([]);
  expect(done.repaired).toEqual([]);
  expect(done.unresolved.map(({ rule }) => rule)).toEqual(['pod-size']);
  expect(done.subject).toBe(input.subject);
});
