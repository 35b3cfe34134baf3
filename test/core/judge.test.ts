import { describe, expect, test } from 'vitest';
import { escapesOf, judge } from '../../src/core/judge.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import { hostilePod } from '../support/pods.ts';
import { type Circumstances, inputOf, printFindings, type Sketch } from '../support/test-rule.ts';

const container = (name: string, more: Sketch = {}): Sketch => ({ name, ...more });
const privileged = { securityContext: { privileged: true, seccompProfile: { type: 'RuntimeDefault' } } };
const WALL = { hostUsers: false };
const SAFE = { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } };

/** Rules and paths of the escapes of an update. */
function escapes(old: Sketch, pod: Sketch, circumstances: Circumstances = {}): string[] {
  return printFindings(escapesOf(judge(inputOf(pod, { ...circumstances, old })).findings)).map((each) =>
    each.replace(/^escape |: .*$/gs, ''),
  );
}

describe('a new pod', () => {
  test('a new pod has all findings, those of the pod first and then container by container', () => {
    const findings = judge(inputOf(hostilePod)).findings;
    const places = findings.map(({ container: name }) => name ?? 'the pod').filter((name, index, all) => name !== all[index - 1]);
    expect(places).toEqual(['the pod', 'set-up', 'main', 'side', 'debug']);
  });

  test('a finding about a container that concerns its pod too names the container, or the empty name', () => {
    const findings = judge(inputOf({ containers: [container('main'), {}] }, { grant: 'containers' })).findings;
    expect(findings.filter(({ rule }) => rule === 'image-storage').map((finding) => finding.container)).toEqual(['main', '']);
  });

  test('a new pod without isolation has a finding about it, whatever its other findings', () => {
    expect(printFindings(judge(inputOf({ hostUsers: true })).findings)).toContain(
      'escape user-namespace at spec.hostUsers: hostUsers is true',
    );
  });
});

describe('an update', () => {
  test.each(['userns', 'sysbox', 'kata-qemu', 'gvisor'])(
    'T09: is not held to the faults of the pod that was there, under %s',
    (profile) => {
      const edited = { ...hostilePod, metadata: { ...(hostilePod.metadata as object), labels: { note: 'x' }, finalizers: [] } };
      expect(judge(inputOf(edited, { profile, grant: 'containers', old: hostilePod })).findings).toEqual([]);
    },
  );

  test('T09: an update that adds a finding is denied', () => {
    const key = 'devices.nri.io/pod';
    expect(escapes({ metadata: { annotations: {} } }, { metadata: { annotations: { [key]: 'x' } } })).toEqual([
      `runtime-annotations at metadata.annotations["${key}"]`,
    ]);
  });

  test('T17: an update that changes the value of a bad annotation is denied', () => {
    const noted = (value: string): Sketch => ({ metadata: { annotations: { 'io.katacontainers.config.hypervisor.path': value } } });
    expect(escapes(noted('/opt/qemu'), noted('/opt/qemu'))).toEqual([]);
    expect(escapes(noted('/opt/qemu'), noted('/tmp/qemu'))).toHaveLength(1);
  });

  test('T17: an update that widens a toleration is denied', () => {
    const key = 'node-role.kubernetes.io/control-plane';
    const narrow = { key, operator: 'Exists', effect: 'NoSchedule' };
    expect(escapes({ tolerations: [narrow, narrow] }, { tolerations: [narrow, narrow] })).toEqual([]);
    expect(escapes({ tolerations: [narrow, narrow] }, { tolerations: [narrow, { key, operator: 'Exists' }] })).toHaveLength(1);
  });

  test('an update may fix some findings and keep others', () => {
    expect(escapes({ hostPID: true, hostIPC: true }, { hostPID: true })).toEqual([]);
  });

  test('an update that moves a container keeps its findings, because its name identifies it', () => {
    const bad = container('bad', privileged);
    const old = { ...WALL, containers: [bad, container('other', SAFE)] };
    expect(escapes(old, { ...WALL, containers: [container('other', SAFE), bad] })).toEqual([]);
    expect(escapes(old, { ...WALL, containers: [container('other', privileged), bad] })).toEqual([
      'privileged at spec.containers[0].securityContext.privileged',
    ]);
  });

  test('an update that moves a list element keeps its findings, because its content identifies it', () => {
    const adding = (...add: string[]): Sketch => ({ containers: [container('main', { securityContext: { capabilities: { add } } })] });
    expect(escapes(adding('SYS_ADMIN'), adding('CHOWN', 'SYS_ADMIN'))).toEqual([]);
    expect(escapes(adding('SYS_ADMIN'), adding('SYS_PTRACE'))).toEqual([
      'capabilities at spec.containers[0].securityContext.capabilities.add[0]',
    ]);
  });

  test('T49: an update that adds a second finding equal to an old one has a new finding', () => {
    const all = { operator: 'Exists' };
    expect(escapes({ tolerations: [all] }, { tolerations: [all, all] })).toEqual(['tolerations at spec.tolerations[1]']);
    expect(escapes({ tolerations: [all, all] }, { tolerations: [all] })).toEqual([]);
  });

  test('an update distinguishes tolerations by what they tolerate', () => {
    const all = { operator: 'Exists', effect: 'NoExecute' };
    expect(escapes({ tolerations: [all] }, { tolerations: [{ ...all, effect: 'NoSchedule' }] })).toEqual([
      'tolerations at spec.tolerations[0]',
    ]);
  });

  test('T49: an update distinguishes findings in different container lists', () => {
    expect(
      escapes({ ...WALL, initContainers: [container('x', privileged)] }, { ...WALL, containers: [container('x', privileged)] }),
    ).toEqual(['privileged at spec.containers[0].securityContext.privileged']);
  });

  test('an update has findings about new promises, and not about old ones', () => {
    const old = { hostUsers: false, ...SAFE, containers: [container('main')] };
    expect(judge(inputOf({ ...old, metadata: { labels: { a: 'b' } } }, { old })).findings).toEqual([]);
  });
});

describe('T09, T19: an update that adds a program to a pod', () => {
  const old = {
    ...SAFE,
    initContainers: [container('set-up', { image: 'a' })],
    containers: [container('main', { image: 'a', securityContext: { privileged: true } })],
    ephemeralContainers: [container('debug', { image: 'a', securityContext: { allowPrivilegeEscalation: false } })],
  };
  const whole = escapes({}, { ...old, metadata: { labels: { team: 'b' } } });
  const wholeBecause = (pod: Sketch, from: Sketch = old): string | undefined => judge(inputOf(pod, { old: from })).wholeBecause;

  test.each<[string, Sketch, string]>([
    ['the image of a container', { containers: [{ ...old.containers[0], image: 'b' }] }, 'gives container "main" another image'],
    [
      'the image of an init container',
      { initContainers: [{ ...old.initContainers[0], image: 'b' }] },
      'gives container "set-up" another image',
    ],
    [
      'the image of an ephemeral container',
      { ephemeralContainers: [{ ...old.ephemeralContainers[0], image: 'b' }] },
      'gives container "debug" another image',
    ],
    [
      'an added ephemeral container',
      {
        ephemeralContainers: [
          ...old.ephemeralContainers,
          container('again', { ...SAFE, securityContext: { ...SAFE.securityContext, allowPrivilegeEscalation: false } }),
        ],
      },
      'adds container "again"',
    ],
  ])('with %s, the update has all escapes of the whole pod', (_, change, why) => {
    expect(whole).toContain('user-namespace at spec.hostUsers');
    expect(whole).toContain('privileged at spec.containers[0].securityContext.privileged');
    expect(escapes(old, { ...old, ...change })).toEqual(whole);
    expect(wholeBecause({ ...old, ...change })).toBe(why);
  });

  test('the update has no finding about the node that the scheduler chose', () => {
    const bound = { ...WALL, ...SAFE, nodeName: 'worker-1', containers: [container('main', { image: 'a' })] };
    expect(escapes(bound, { ...bound, containers: [container('main', { image: 'b' })] })).toEqual([]);
    expect(escapes({ ...bound, nodeName: null }, { ...bound, containers: [container('main', { image: 'b' })] })).toEqual([
      'node-name at spec.nodeName',
    ]);
  });

  test('the update has no finding about promises that the pod had broken before', () => {
    const plain = { ...WALL, ...SAFE, containers: [container('main', { image: 'a' })] };
    const { findings, wholeBecause: why } = judge(inputOf({ ...plain, containers: [container('main', { image: 'b' })] }, { old: plain }));
    expect([findings, why]).toEqual([[], 'gives container "main" another image']);
  });

  test.each<[string, Sketch]>([
    ['labels, annotations and finalizers', { metadata: { labels: { a: 'b' }, annotations: { a: 'b' }, finalizers: ['a/b'] } }],
    ['tolerations', { tolerations: [{ key: 'a', operator: 'Exists' }] }],
    ['a deadline', { activeDeadlineSeconds: 1 }],
    ['resources', { containers: [{ ...old.containers[0], resources: { limits: { cpu: '1' } } }] }],
    ['the order of containers', { ephemeralContainers: old.ephemeralContainers.toReversed() }],
    ['fewer containers', { initContainers: [] }],
  ])('an update of %s has only new findings', (_, change) => {
    expect(escapes(old, { ...old, ...change })).toEqual([]);
    expect(wholeBecause({ ...old, ...change })).toBeUndefined();
  });

  test('T49: a second container with name and image of another is an added one', () => {
    const twice = { ...old, containers: [...old.containers, ...old.containers] };
    expect(wholeBecause(twice)).toBe('gives container "main" another image');
    expect(wholeBecause(twice, twice)).toBeUndefined();
  });

  test('T43: the reason quotes no control character, and not the whole of a long name', () => {
    const added = { ...old, ephemeralContainers: [container(`\u001b[31m${'x'.repeat(100_000)}`)] };
    expect(wholeBecause(added)).toMatch(/^adds container "[\x20-\x7e]{20,80}…"$/);
  });
});

describe('T19: the removal of the last scheduling gate', () => {
  const gated = { containers: [container('main', privileged)], schedulingGates: [{ name: 'a/wait' }, { name: 'b/wait' }] };
  const half = { ...gated, schedulingGates: [{ name: 'b/wait' }] };
  const free = { ...gated, schedulingGates: [] };

  test('the removal of the last scheduling gate has all findings of the pod, promises included', () => {
    const wall = { ...WALL, ...SAFE };
    const found = printFindings(judge(inputOf({ ...wall, ...free }, { old: { ...wall, ...half } })).findings);
    expect(found).toEqual(printFindings(judge(inputOf({ ...wall, ...free })).findings));
    expect(found.map((each) => each.split(' ')[0])).toContain('promise');
    expect(escapes(half, { ...half, schedulingGates: null })).toContain('user-namespace at spec.hostUsers');
    expect(judge(inputOf(free, { old: half })).wholeBecause).toBe('removes the last scheduling gate');
  });

  test('the removal of another gate has only new findings', () => expect(escapes(gated, half)).toEqual([]));
  test('an update of a pod without a gate has only new findings', () =>
    expect(escapes(free, { ...free, metadata: { labels: { a: 'b' } } })).toEqual([]));
});

describe('T10: an added ephemeral container', () => {
  const debug = container('debug', {
    securityContext: { privileged: true, allowPrivilegeEscalation: true, capabilities: { add: ['SYS_PTRACE'] } },
  });

  test.each([
    ['userns', { hostUsers: false }],
    ['kata-qemu', { runtimeClassName: 'kata-qemu' }],
    ['gvisor', { runtimeClassName: 'gvisor' }],
  ])('is judged in full, and never has a grant: %s', (profile, wall) => {
    const old = { ...wall, ...SAFE, containers: [container('main', SAFE)] };
    expect(escapes(old, { ...old, ephemeralContainers: [debug] }, { profile, grant: 'containers' })).toEqual([
      'privileged at spec.ephemeralContainers[0].securityContext.privileged',
      'capabilities at spec.ephemeralContainers[0].securityContext.capabilities.add[0]',
    ]);
  });

  test('an added ephemeral container is judged together with one that was bad before', () => {
    const old = { ...WALL, ...SAFE, ephemeralContainers: [debug] };
    const more = { ...old, ephemeralContainers: [debug, { ...debug, name: 'again' }] };
    expect(escapes(old, more)).toEqual(
      [0, 1].flatMap((index) => [
        `privileged at spec.ephemeralContainers[${index}].securityContext.privileged`,
        `capabilities at spec.ephemeralContainers[${index}].securityContext.capabilities.add[0]`,
      ]),
    );
  });

  test('T49: an added ephemeral container is judged although a bad regular container has its name', () => {
    const old = { ...WALL, ...SAFE, containers: [{ ...debug, name: 'x' }] };
    const found = escapes(old, { ...old, ephemeralContainers: [{ ...debug, name: 'x' }] });
    expect(found.filter((each) => each.includes('ephemeralContainers'))).toHaveLength(2);
  });

  test.each([
    ['seccomp', { seccompProfile: { type: 'Unconfined' } }],
    ['apparmor', { appArmorProfile: { type: 'Unconfined' } }],
    ['selinux', { seLinuxOptions: { type: 'spc_t' } }],
    ['selinux', { seLinuxOptions: { level: 's0:c0.c1023' } }],
    ['windows', { windowsOptions: { hostProcess: true } }],
    ['user-ids', { runAsUser: 70_000 }],
  ])('a bad setting that an added ephemeral container inherits is reported once, for the pod: %s', (rule, securityContext) => {
    const old = { hostUsers: false, securityContext: { ...SAFE.securityContext, ...securityContext } };
    const found = escapes(old, { ...old, ephemeralContainers: [container('debug')] });
    expect(found).toEqual([expect.stringMatching(`^${rule} at spec\\.securityContext\\.`)]);
    // The container's own setting is another fault.
    const own = escapes(old, { ...old, ephemeralContainers: [container('debug', { securityContext })] });
    expect(own).toEqual([...found, expect.stringMatching(`^${rule} at spec\\.ephemeralContainers\\[0\\]`)]);
  });

  test('a setting of the pod that only its workspace containers may have is reported for an added ephemeral container', () => {
    const localhost = { seccompProfile: { type: 'Localhost', localhostProfile: 'cloister/workspace.json' } };
    const old = { hostUsers: false, securityContext: localhost, containers: [container('main')] };
    expect(escapes(old, { ...old, ephemeralContainers: [container('debug')] }, { grant: 'containers' })).toEqual([
      'seccomp at spec.ephemeralContainers[0].securityContext.seccompProfile',
    ]);
  });

  test('an added ephemeral container must have SYSBOX_SYSCONT_MODE=FALSE under sysbox', () => {
    const old = { hostUsers: false, runtimeClassName: 'sysbox-runc', ...SAFE };
    expect(escapes(old, { ...old, ephemeralContainers: [container('debug')] }, { profile: 'sysbox', grant: 'containers' })).toEqual([
      'sysbox-mode at spec.ephemeralContainers[0].env',
    ]);
  });
});

describe('T30: grants apply only to isolated pods', () => {
  const asked = container('added', {
    securityContext: { allowPrivilegeEscalation: true, capabilities: { add: ['SYS_ADMIN', 'CHOWN'] }, procMount: 'Unmasked' },
  });
  const update = (wall: Sketch, circumstances: Circumstances): string[] => {
    const old = { ...wall, ...SAFE, containers: [container('added')] };
    return escapes(
      old,
      {
        ...old,
        containers: [
          { ...asked, ...(circumstances.profile === 'sysbox' ? { env: [{ name: 'SYSBOX_SYSCONT_MODE', value: 'TRUE' }] } : {}) },
        ],
      },
      circumstances,
    );
  };
  const FULL = [
    'privilege-escalation at spec.containers[0].securityContext.allowPrivilegeEscalation',
    'capabilities at spec.containers[0].securityContext.capabilities.add[0]',
    'proc-mount at spec.containers[0].securityContext.procMount',
  ];
  const sysadmin = { profile: 'userns', grant: 'containers', options: { nesting: 'sysadmin' } } as const;
  const kata = { profile: 'kata-qemu', grant: 'containers' } as const;

  test('no grant applies to a pod that is older than the label of its namespace', () => {
    expect(update({}, sysadmin)).toEqual(FULL);
    expect(update({ hostUsers: true }, sysadmin)).toEqual(FULL);
    expect(update({ hostUsers: false, runtimeClassName: 'foreign' }, sysadmin)).toEqual(FULL);
    expect(update({ runtimeClassName: 'runc' }, kata)).toEqual(FULL);
    expect(update({ runtimeClassName: 'kata-qemu', hostUsers: false }, kata)).toEqual(FULL);
  });

  test('the grant applies to an isolated pod', () => {
    expect(update({ hostUsers: false }, sysadmin)).toEqual([]);
    expect(update({ runtimeClassName: 'kata-qemu' }, kata)).toEqual(['proc-mount at spec.containers[0].securityContext.procMount']);
  });

  test('an update cannot add the isolation that the old pod lacked', () => {
    const old = { ...SAFE, containers: [container('added')] };
    const found = escapes(old, { ...old, hostUsers: false, containers: [asked] }, sysadmin);
    expect(found).toEqual(FULL);
  });

  test('isolation needs user namespace and runtime class, or the annotation on old CRI-O nodes', () => {
    const crio = { profile: 'sysbox', grant: 'containers', options: { identity: 'crio-annotation' } } as const;
    const key = 'io.kubernetes.cri-o.userns-mode';
    const mode = 'sysbox-mode at spec.containers[0].env[0].value';
    expect(update({ runtimeClassName: 'sysbox-runc' }, crio)).toContain(mode);
    expect(update({ runtimeClassName: 'sysbox-runc', metadata: { annotations: { [key]: 'keep-id' } } }, crio)).toContain(mode);
    expect(update({ runtimeClassName: 'sysbox-runc', metadata: { annotations: { [key]: 'auto:size=65536' } } }, crio)).not.toContain(mode);
    expect(update({ hostUsers: false }, { profile: 'sysbox', grant: 'containers' })).toContain(mode);
    expect(update({ hostUsers: false, runtimeClassName: 'sysbox-runc' }, { profile: 'sysbox', grant: 'containers' })).not.toContain(mode);
  });
});

describe('exemptions', () => {
  const mesh = {
    ...SAFE,
    hostUsers: false,
    initContainers: [container('mesh', { securityContext: { capabilities: { add: ['NET_ADMIN'] } } })],
  };

  test('exemptions are reported with the values that they let through', () => {
    const verdict = judge(inputOf(mesh, { exempt: { capabilities: ['NET_ADMIN'] } }));
    expect(verdict).toEqual({ findings: [], exempted: [{ rule: 'capabilities', value: 'NET_ADMIN', reason: 'the operator knows it' }] });
  });

  test('exemptions that are not needed are not reported', () => {
    expect(judge(inputOf({ ...SAFE, hostUsers: false }, { exempt: { capabilities: ['NET_ADMIN'] } })).exempted).toEqual([]);
  });

  test('exemptions are reported once, however many containers need them', () => {
    const pod = { ...mesh, securityContext: { seccompProfile: { type: 'Unconfined' } }, containers: [container('a'), container('b')] };
    const { exempted } = judge(inputOf(pod, { exempt: { seccomp: ['Unconfined'] } }));
    expect(exempted).toEqual([{ rule: 'seccomp', value: 'Unconfined', reason: 'the operator knows it' }]);
  });

  test('T07: exemptions apply only to isolated pods', () => {
    const bad = { name: 'debug', securityContext: { capabilities: { add: ['NET_ADMIN'] }, seccompProfile: { type: 'RuntimeDefault' } } };
    const exempt = { capabilities: ['NET_ADMIN'] };
    const joined = (pod: Sketch): string[] => escapes(pod, { ...pod, ephemeralContainers: [bad] }, { exempt });
    const path = 'capabilities at spec.ephemeralContainers[0].securityContext.capabilities.add[0]';
    expect(joined({ ...SAFE, hostUsers: false })).toEqual([]);
    expect(joined(SAFE)).toContain(path);
  });

  test('T06, T07: exemptions match the service account of the pod, or `default` where it names none', () => {
    const input = inputOf(mesh, { exempt: { capabilities: ['NET_ADMIN'] } });
    const [exemption] = input.exemptions;
    if (exemption === undefined) throw new Error('the input has no exemption');
    const found = (pod: Sketch, name: string): number =>
      judge({ ...inputOf(pod), exemptions: [{ ...exemption, serviceAccounts: [makeNamePattern(name)] }] }).findings.length;
    expect(found(mesh, 'default')).toBe(0);
    expect(found({ ...mesh, serviceAccountName: null }, 'default')).toBe(0);
    expect(found({ ...mesh, serviceAccountName: '' }, 'default')).toBe(0);
    expect(found({ ...mesh, serviceAccountName: 'mesh' }, 'mesh')).toBe(0);
    expect(found({ ...mesh, serviceAccountName: 'mesh' }, 'default')).toBe(1);
  });
});
