import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapesOf, judge } from '../../src/core/judge.ts';
import { makeNamePattern } from '../../src/core/name-pattern.ts';
import type { Path } from '../../src/core/path.ts';
import { CONTAINER_LISTS, orEmpty, specOf } from '../../src/core/pod.ts';
import { backends } from '../../src/core/profiles/index.ts';
import { makeProfile, type ProfileOptions } from '../../src/core/profiles/profile.ts';
import { BASELINE_CAPABILITIES, GRANTS, type Grant, type WorkspaceRequirements } from '../../src/core/requirements.ts';
import type { Finding } from '../../src/core/rules/rule.ts';
import { findWallGaps } from '../../src/core/wall.ts';
import { hostilePod, hostilePods, plainPod } from '../support/pods.ts';
import { type Circumstances, inputOf, judgeAndRepair, podOf, printFindings, type Sketch } from '../support/test-rule.ts';

const MODE = 'SYSBOX_SYSCONT_MODE';

/** Every option that an operator may set, each once. */
const VARIANTS: Readonly<Record<string, ProfileOptions>> = {
  '': {},
  ' to named containers': { grantTo: [makeNamePattern('main')] },
  ' with all options': {
    nesting: 'sysadmin',
    appArmorProfile: 'Unconfined',
    seLinuxType: 'container_engine_t',
    storage: ['/var/lib/containers', '/home/dev/.local/share/containers'],
    guestPrivileged: true,
    storageMedium: 'disk',
    storageSize: '20Gi',
    identity: 'crio-annotation',
    serviceAccountToken: 'remove',
    runtimeClassName: 'team-a',
    runtimeClasses: ['team-b'],
  },
};

const combinations = backends.flatMap(({ id }) =>
  GRANTS.flatMap((grant) =>
    Object.entries(VARIANTS).map(([name, options]): [string, Circumstances] => [`${id}/${grant}${name}`, { profile: id, grant, options }]),
  ),
);

describe.each(combinations)('%s', (_, circumstances) => {
  test.each([
    ['plain', plainPod],
    ['hostile', hostilePod],
  ])('a %s pod is isolated and has no escape after its repair, and a second repair changes nothing', (_name, pod) => {
    expectRepaired(pod, circumstances);
  });

  test('any part of a hostile pod is repaired, and no two rules fix the same path', () => {
    fc.assert(
      fc.property(hostilePods(), (pod) => {
        const { findings } = judge(inputOf(pod, circumstances));
        expect(conflicts(findings)).toEqual([]);
        expectRepaired(pod, circumstances);
      }),
      { numRuns: 10 },
    );
  });

  test('T10, T13: init and ephemeral containers get no grant: they are within Pod Security baseline after the repair', () => {
    fc.assert(
      fc.property(hostilePods(), (pod) => {
        const input = inputOf(pod, circumstances);
        const { initContainers, ephemeralContainers, securityContext: shared } = specOf(judgeAndRepair(input).repair.subject.pod);
        for (const { securityContext, env } of [...orEmpty(initContainers), ...orEmpty(ephemeralContainers)]) {
          expect(securityContext?.privileged).not.toBe(true);
          expect(BASELINE_CAPABILITIES).toEqual(expect.arrayContaining([...orEmpty(securityContext?.capabilities?.add)]));
          expect(securityContext?.procMount).not.toBe('Unmasked');
          expect((securityContext?.seccompProfile ?? shared?.seccompProfile)?.type).toBe('RuntimeDefault');
          expect((securityContext?.appArmorProfile ?? shared?.appArmorProfile)?.type ?? 'RuntimeDefault').toBe('RuntimeDefault');
          if (circumstances.profile === 'sysbox') expect(orEmpty(env).at(-1)).toEqual({ name: 'SYSBOX_SYSCONT_MODE', value: 'FALSE' });
        }
      }),
      { numRuns: 5 },
    );
  });

  test('equal pods have equal findings, and judging changes no pod', () => {
    const input = inputOf(hostilePod, circumstances);
    freeze(input.subject.document);
    expect(judge(input)).toEqual(judge(input));
    expect(printFindings(judge(inputOf(hostilePod, circumstances)).findings)).toEqual(printFindings(judge(input).findings));
  });
});

test.each(GRANTS)(
  'T35: under sysbox with %s only workspace containers with nested containers run in the mode that can write to the node',
  (grant) => {
    const restricted = { allowPrivilegeEscalation: false };
    const sketch = {
      initContainers: [{ name: 'set-up' }, { name: 'lasting', restartPolicy: 'Always' }],
      containers: [
        { name: 'workspace' },
        { name: 'proxy', securityContext: restricted },
        { name: 'asks', env: [{ name: MODE, value: 'TRUE' }] },
      ],
    };
    const input = inputOf(sketch, { profile: 'sysbox', grant });
    const { initContainers, containers } = specOf(judgeAndRepair(input).repair.subject.pod);
    const modes = [...orEmpty(initContainers), ...orEmpty(containers)].map(({ name, env, securityContext }) => {
      const [mode] = orEmpty(env).filter((variable) => variable.name === MODE);
      // Where it is FALSE the capability list counts, and without SYS_ADMIN nothing can be mounted.
      if (mode?.value === 'FALSE')
        expect(BASELINE_CAPABILITIES).toEqual(expect.arrayContaining([...orEmpty(securityContext?.capabilities?.add)]));
      return [name, mode?.value];
    });
    const nested = grant === 'containers' ? 'TRUE' : 'FALSE';
    expect(Object.fromEntries(modes)).toEqual({ 'set-up': 'FALSE', lasting: nested, workspace: nested, proxy: 'FALSE', asks: nested });
  },
);

describe.each(backends.map((backend) => [backend.id, backend] as const))('%s', (id, backend) => {
  test.each(Object.entries(VARIANTS))('T30: a smaller grant allows less%s', (_, options) => {
    const profile = makeProfile(id, backend, options);
    const [none, sudo, containers] = GRANTS.map((grant) => profile.requirementsFor(grant).workspace) as [
      WorkspaceRequirements,
      WorkspaceRequirements,
      WorkspaceRequirements,
    ];
    expectWithin(none, sudo);
    expectWithin(sudo, containers);
    expectWithin(profile.withoutIsolation.workspace, makeProfile('baseline', backend, {}).requirementsFor('sudo').workspace);
    expect([...profile.withoutIsolation.workspace.allowedCapabilities].toSorted()).toEqual([...BASELINE_CAPABILITIES].toSorted());
  });

  test.each(GRANTS)('the capabilities that the grant %s adds are among those that it allows', (grant) => {
    const { addedCapabilities = [], allowedCapabilities } = makeProfile(id, backend, {}).requirementsFor(grant).workspace;
    expect(addedCapabilities.filter((capability) => !allowedCapabilities.has(capability))).toEqual([]);
  });

  test('the default grant is sudo, without devices, choices or foreign classes', () => {
    const profile = makeProfile(id, backend, {});
    expect(profile.grant).toBe<Grant>('sudo');
    expect(profile.mayChoose).toEqual([]);
    const { allowedDevices, wall, removesToken } = profile.requirementsFor('containers');
    expect([allowedDevices.size, wall.runtimeClasses.size, removesToken]).toEqual([0, 0, false]);
  });

  test('the id is a DNS label, and summary and requirements are written', () => {
    expect(id).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
    expect(backend.summary).toMatch(/^[A-Z].*\.$/);
    expect(backend.requires).not.toEqual([]);
  });
});

test('no two backends have the same wall', () => {
  const walls = backends.map((backend) => JSON.stringify({ ...backend.makeWall({}), runtimeClasses: undefined }));
  expect(new Set(walls).size).toBe(backends.length);
  const classes = backends.flatMap((backend) => backend.makeWall({}).runtimeClassName ?? []);
  expect(new Set(classes).size).toBe(classes.length);
});

function expectRepaired(pod: Sketch, circumstances: Circumstances): void {
  const input = inputOf(pod, circumstances);
  const { repair } = judgeAndRepair(input);
  expect(printFindings(repair.unresolved)).toEqual([]);
  const fixed = { ...input, subject: repair.subject };
  const again = judge(fixed);
  expect(printFindings(escapesOf(again.findings))).toEqual([]);
  expect(findWallGaps(fixed.subject.pod, input.policy.profile.requirementsFor(input.policy.grant).wall)).toEqual([]);
  expect(printFindings(again.findings.filter(({ fix }) => fix !== undefined))).toEqual([]);

  const second = judgeAndRepair(fixed).repair;
  expect(second.patch).toEqual([]);
  expect(JSON.stringify(second.subject.document)).toBe(JSON.stringify(fixed.subject.document));
}

function expectWithin(less: WorkspaceRequirements, more: WorkspaceRequirements): void {
  expect([...less.allowedCapabilities].filter((capability) => !more.allowedCapabilities.has(capability))).toEqual([]);
  for (const power of ['allowPrivilegeEscalation', 'makesPrivileged', 'unmasksProc'] as const) {
    expect(less[power] && !more[power], power).toBe(false);
  }
  for (const extra of ['seccompProfile', 'appArmorProfile', 'seLinuxType', 'storageMedium', 'storageSize'] as const) {
    expect([undefined, more[extra]], extra).toContainEqual(less[extra]);
  }
  expect(less.storage.filter((path) => !more.storage.includes(path))).toEqual([]);
  expect(less.sysboxMode === 'TRUE' && more.sysboxMode === 'FALSE').toBe(false);
}

/**
 * Fixes of two rules where one would undo the other: at the same path, or inside what the other replaces. Removing and appending list
 * elements conflict with nothing: patches remove last, and append at the end.
 */
function conflicts(findings: readonly Finding[]): string[] {
  const fixes = findings.flatMap((finding) => (finding.fix === undefined ? [] : [{ ...finding, fix: finding.fix }]));
  const replacing = fixes.filter(({ fix, path }) => !('append' in fix) && typeof path.at(-1) !== 'number');
  const inside = (path: Path, whole: Path): boolean => whole.every((step, index) => step === path[index]);
  return replacing.flatMap((a) =>
    fixes.filter((b) => b.rule !== a.rule && inside(b.path, a.path)).map((b) => printFindings([a, b]).join(' | ')),
  );
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}

test('T12: this suite covers every list of containers', () => {
  expect(CONTAINER_LISTS).toEqual(['initContainers', 'containers', 'ephemeralContainers']);
  expect(podOf(hostilePod).pod.spec?.ephemeralContainers).toHaveLength(1);
});
